//! Invalidations sent to a shared store, retried until the store confirms them.

use std::future::Future;

use super::changes::BegunChange;
use super::generation::Generation;
use super::generations::{TAG_GENERATION_TTL, new_generation};
use super::namespace::Namespace;
use super::pending::{FIRST_RETRY_PAUSE, Invalidation};
use super::put_turns::PutTurn;
use super::shutdown::WriteInFlight;
use crate::store::shutting_down;
use crate::util::{join_all, limits, unix_millis};
use crate::{Error, ErrorKind, Key, LeaseMode, Result};

/// How often the lease of a generation is requested, before its tag is invalidated instead of expired.
const MAX_EXPIRE_ATTEMPTS: usize = 3;

impl Namespace {
    /// Makes every value of the namespace stale, by one write.
    pub(crate) async fn renew_generation(&self) -> Result<()> {
        self.with_deadline(|store| store.put(&self.generation_key, new_generation(), None)).await
    }

    /// Makes every value stale as [`apply`](Self::apply) does, in a namespace whose function this process has not called yet.
    /// Another function with the same name may use it.
    pub(super) async fn clear_unused(self) -> Result<()> {
        let (change, last) = (self.begin_change(&Invalidation::Namespace), self.state.pending.last_number());
        let cleared = self.renew_generation().await;
        if cleared.is_ok() {
            change.confirm();
            self.state.pending.confirm(&Invalidation::Namespace, last);
            return cleared;
        }
        drop(change);
        let state = self.state;
        state.pending.add(Invalidation::Namespace);
        // Leaked, which is bounded: once for each state.
        state.registered(|| Box::leak(Box::new(self))).start_retrier();
        cleared
    }

    /// Runs a write that amounts to an invalidation, and queues the invalidation if the store does not confirm the write.
    ///
    /// The write starts at once, before the future is polled. Puts that are in flight yield to it.
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
        // Before anything is sent, so that a put that takes over the lease after this change was executed knows of it.
        let change = self.begin_change(&invalidation);
        let confirmed = async move {
            let written = write.await;
            if written.is_ok() {
                change.confirm();
            }
            written
        };
        self.in_task(invalidation.clone(), self.confirm_or_queue(invalidation, confirmed))
    }

    /// As [`apply`](Self::apply), for a put, which records itself in its turn.
    pub(crate) fn apply_put<W>(
        &'static self,
        invalidation: Invalidation,
        turn: PutTurn,
        write: W,
    ) -> impl Future<Output = Result<()>> + Send + use<W>
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let pending = invalidation.clone();
        self.in_task(invalidation, async move {
            // In its turn: what the put before it leaves pending is confirmed by this one.
            let made = self.confirm_or_queue(pending.clone(), write);
            turn.make(made).await.unwrap_or_else(|| {
                self.queue_pending(pending);
                Err(shutting_down())
            })
        })
    }

    /// Makes a write, which confirms the invalidation if it is pending, or else queues it.
    async fn confirm_or_queue(
        &'static self,
        invalidation: Invalidation,
        write: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let last = self.state.pending.last_number();
        let written = write.await;
        match &written {
            Ok(()) => self.state.pending.confirm(&invalidation, last),
            Err(_) => self.queue_pending(invalidation),
        }
        written
    }

    /// Records the beginning of a change, for the puts in flight.
    fn begin_change(&self, invalidation: &Invalidation) -> BegunChange {
        if !self.state.changes.has_watches() {
            return BegunChange::default();
        }
        match invalidation {
            // A value whose derived tags are unknown depends on the epoch, which any tag replaces.
            Invalidation::Key(key) if self.is_of_tags => self.state.changes.begin([key, &self.epoch_key()]),
            Invalidation::Key(key) => self.state.changes.begin([key]),
            Invalidation::Namespace => self.state.changes.begin_of_all(),
        }
    }

    /// Runs a write in a task of its own; queues the invalidation if that ends without a result.
    fn in_task<W>(
        &'static self,
        invalidation: Invalidation,
        write: W,
    ) -> impl Future<Output = Result<()>> + Send + use<W>
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let in_flight = WriteInFlight::new();
        let applied = async move {
            let _in_flight = in_flight;
            let written = write.await;
            self.start_retrier();
            written
        };
        let task = tokio::runtime::Handle::try_current().map(|runtime| runtime.spawn(applied));
        async move {
            match task {
                Ok(task) => task.await.ok(),
                Err(_) => None,
            }
            .unwrap_or_else(|| {
                self.queue_pending(invalidation);
                Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime that stays alive"))
            })
        }
    }

    /// Queues an invalidation that the store has not confirmed.
    fn queue_pending(&'static self, invalidation: Invalidation) {
        self.state.pending.add(invalidation);
        self.state.registered(|| self);
    }

    /// Spawns a task that retries pending invalidations until none is left, unless one is running.
    ///
    /// If its runtime shuts down first, the next call that reaches the store starts another.
    pub(crate) fn start_retrier(&'static self) {
        // Only then: all threads contend for the counter of references to the runtime.
        let Some(retrier) = self.state.pending.retrier() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let mut retrier = Some(retrier);
            let (mut pause, mut confirmed) = (FIRST_RETRY_PAUSE, 0);
            while retrier.is_some() {
                match self.retry_some().await {
                    Some(Ok(some)) => (pause, confirmed) = (FIRST_RETRY_PAUSE, confirmed + some),
                    // They may be of a server that is down, and the next ones of others.
                    Some(Err(_)) if self.state.pending.has_untried() => {}
                    Some(Err(_)) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(limits::RETRY_PAUSE.time());
                    }
                    None => {
                        drop(retrier.take());
                        // An invalidation queued before that line found a retrier and started none.
                        retrier = self.state.pending.retrier();
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

    /// Retries some of the pending invalidations at the same time, and returns how many the store has confirmed; `None` if there
    /// are none.
    ///
    /// One task does so at a time, so that none is sent after it was confirmed.
    ///
    /// # Errors
    ///
    /// That of one of them, if the store has confirmed none.
    pub(crate) async fn retry_some(&self) -> Option<Result<usize>> {
        let pending = &self.state.pending;
        let _guard = self.state.retry_lock.lock().await;
        let (last, invalidations) = (pending.last_number(), pending.next());
        let retry = async |invalidation: &Invalidation| {
            let confirmed = match invalidation {
                Invalidation::Key(key) => self.send_invalidation(key).await,
                Invalidation::Namespace => self.renew_generation().await,
            };
            match &confirmed {
                Ok(()) => pending.confirm(invalidation, last),
                Err(_) => pending.failed(invalidation),
            }
            confirmed
        };
        let results = join_all(invalidations.iter().map(retry)).await;
        let confirmed = results.iter().filter(|result| result.is_ok()).count();
        match results.into_iter().next()? {
            Err(error) if confirmed == 0 => Some(Err(error)),
            Ok(()) | Err(_) => Some(Ok(confirmed)),
        }
    }

    /// Removes what is under a key.
    ///
    /// For the generation of a tag, the epoch of all tags is replaced first.
    pub(crate) async fn send_invalidation(&self, key: &Key) -> Result<()> {
        if self.is_of_tags {
            self.renew_epoch().await?;
        }
        self.with_deadline(|store| store.remove(key)).await
    }

    /// Makes every value with this tag stale, as of now.
    ///
    /// The generation is replaced under its lease. An invalidation removes it and ends the lease, so it is not undone. Where
    /// that does not succeed, the tag is invalidated.
    async fn send_expiration(&'static self, key: &Key) -> Result<()> {
        self.renew_epoch().await?;
        for _ in 0..MAX_EXPIRE_ATTEMPTS {
            let (lease, acquired) = self.request_lease(key, LeaseMode::Replace).await?;
            // Read under the lease, so that a generation that is removed meanwhile does not come back.
            let current = self.read_value(key).await?.and_then(|value| Generation::from_bytes(&value));
            let next = current.and_then(|generation| generation.after_expiration(unix_millis()));
            // Without a generation no value has the tag; the removal ends the lease.
            let Some(next) = next else { break };
            if acquired.is_granted && self.fill(key, lease, next.to_bytes(), TAG_GENERATION_TTL).await? {
                return Ok(());
            }
        }
        self.with_deadline(|store| store.remove(key)).await
    }

    /// Replaces the epoch of all tags, which ends the computations whose values do not have a tag yet but may turn out to.
    async fn renew_epoch(&self) -> Result<()> {
        let epoch_key = self.epoch_key();
        self.with_deadline(|store| store.put(&epoch_key, new_generation(), None)).await
    }

    /// Makes every value with this tag stale, for the time that its function uses stale values.
    ///
    /// It starts at once, as [`apply`](Self::apply) does.
    pub(crate) fn expire_tag(&'static self, tag: &str) -> impl Future<Output = Result<()>> + Send + use<> {
        let key = self.tag_key(tag);
        self.apply(Invalidation::Key(key.clone()), async move { self.send_expiration(&key).await })
    }

    /// Makes every value with this tag unusable, and every value with it that is being computed.
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
