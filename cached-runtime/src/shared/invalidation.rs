//! Invalidations sent to a shared store, retried until the store confirms them.

use std::future::Future;

use super::generations::new_generation;
use super::namespace::{Namespace, TAGS};
use super::pending::{FIRST_RETRY_PAUSE, Invalidation};
use super::shutdown::{self, WriteInFlight};
use crate::util::limits;
use crate::{Error, ErrorKind, Key, Result};

impl Namespace {
    /// Makes every value of the namespace stale, by one write.
    pub(crate) async fn renew_generation(&self) -> Result<()> {
        self.with_deadline(|store| store.put(&self.generation_key, new_generation(), None)).await
    }

    /// Runs a write that amounts to an invalidation, and queues the invalidation if the store does not confirm the write.
    ///
    /// The write starts at once, before the future is polled.
    ///
    /// # Cancel safety
    ///
    /// The write completes even if the caller is dropped.
    pub(crate) fn apply<W>(
        &'static self,
        invalidation: Invalidation,
        write: W,
    ) -> impl Future<Output = Result<()>> + Send + use<W>
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let applied = {
            let (invalidation, in_flight) = (invalidation.clone(), WriteInFlight::new());
            async move {
                let _in_flight = in_flight;
                let last = self.pending.last_number();
                let written = write.await;
                match &written {
                    Ok(()) => self.pending.confirm(&invalidation, last),
                    Err(_) => self.owe(invalidation),
                }
                self.start_retrier();
                written
            }
        };
        let task = tokio::runtime::Handle::try_current().map(|runtime| runtime.spawn(applied));
        async move {
            match task {
                Ok(task) => task.await.ok(),
                Err(_) => None,
            }
            .unwrap_or_else(|| {
                self.owe(invalidation);
                Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime that stays alive"))
            })
        }
    }

    /// Queues an invalidation that the store has not confirmed.
    fn owe(&'static self, invalidation: Invalidation) {
        if self.pending.add(invalidation) {
            shutdown::add_debtor(self);
        }
    }

    /// Spawns a task that retries pending invalidations until none is left, unless one is running.
    ///
    /// If its runtime shuts down first, the next call that reaches the store starts another.
    pub(crate) fn start_retrier(&'static self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(retrier) = self.pending.retrier() else { return };
        runtime.spawn(async move {
            let mut retrier = Some(retrier);
            let (mut pause, mut confirmed) = (FIRST_RETRY_PAUSE, 0_u64);
            while retrier.is_some() {
                match self.retry_one().await {
                    Some(Ok(())) => confirmed += 1,
                    Some(Err(_)) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(limits::RETRY_PAUSE.time());
                    }
                    None => {
                        drop(retrier.take());
                        // An invalidation queued before that line found a retrier and started none.
                        retrier = self.pending.retrier();
                    }
                }
            }
            if confirmed > 0 {
                tracing::info!(
                    namespace = %self.name,
                    confirmed,
                    "the shared store confirmed all pending invalidations; calls use the store again for what was \
                     invalidated"
                );
            }
        });
    }

    /// Retries one pending invalidation; `None` if there is none.
    ///
    /// One retry runs at a time, so that none is sent after it was confirmed.
    pub(crate) async fn retry_one(&self) -> Option<Result<()>> {
        let _guard = self.retry_lock.lock().await;
        let (last, invalidation) = (self.pending.last_number(), self.pending.next()?);
        let confirmed = match &invalidation {
            Invalidation::Key(key) => self.send_invalidation(key).await,
            Invalidation::Namespace => self.renew_generation().await,
        };
        if confirmed.is_ok() {
            self.pending.confirm(&invalidation, last);
        }
        Some(confirmed)
    }

    /// Removes what is under a key.
    ///
    /// For the generation of a tag, the epoch of all tags is replaced first: it ends the computations whose values do
    /// not have the tag yet but may turn out to.
    pub(crate) async fn send_invalidation(&self, key: &Key) -> Result<()> {
        if self.name == TAGS {
            let epoch_key = self.epoch_key();
            self.with_deadline(|store| store.put(&epoch_key, new_generation(), None)).await?;
        }
        self.with_deadline(|store| store.remove(key)).await
    }

    /// Makes every value with this tag stale, and every value with it that is being computed.
    ///
    /// It starts at once, as [`apply`](Self::apply) does.
    pub(crate) fn invalidate_tag(
        &'static self,
        tag: &str,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let key = self.tag_key(tag);
        self.apply(Invalidation::Key(key.clone()), async move { self.send_invalidation(&key).await })
    }
}
