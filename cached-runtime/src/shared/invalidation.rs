//! Invalidations of a namespace, and the repetition of those that the store has not confirmed.

use std::future::Future;

use super::generations::new_stamp;
use super::namespace::{Namespace, TAGS, in_a_task};
use super::pending;
use super::pending::Invalidation;
use crate::{Error, ErrorKind, Key, Result};

impl Namespace {
    /// Makes every value of the namespace stale, by one write.
    pub(crate) async fn renew_stamp(&self) -> Result<()> {
        self.bounded(|store| store.put(&self.stamp, new_stamp(), None)).await
    }

    /// Makes a change, also if its caller goes away meanwhile. One that the store has not confirmed is owed to it, and is
    /// repeated.
    pub(crate) async fn change(
        &'static self,
        debt: Invalidation,
        change: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let step = {
            let debt = debt.clone();
            async move {
                let last = self.owed.last();
                let changed = change.await;
                match &changed {
                    Ok(()) => self.owed.paid(&debt, last),
                    Err(_) => self.owed.add(debt),
                }
                self.see_to_debts();
                changed
            }
        };
        in_a_task(step).await.unwrap_or_else(|| {
            self.owed.add(debt);
            Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime that goes on"))
        })
    }

    /// Starts a task that repeats what is owed until nothing is, unless one is at it.
    ///
    /// If its runtime ends before that, the next call that reaches the store starts another.
    pub(crate) fn see_to_debts(&'static self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(payer) = self.owed.payer() else { return };
        runtime.spawn(async move {
            let mut payer = Some(payer);
            let mut pause = pending::FIRST_PAUSE;
            while payer.is_some() {
                match self.pay_one().await {
                    Some(Ok(())) => {
                        tracing::info!(namespace = %self.namespace, "an invalidation was repeated");
                    }
                    Some(Err(_)) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(pending::LONGEST_PAUSE);
                    }
                    None => {
                        drop(payer.take());
                        // Whoever added something before that line relied on this task.
                        payer = self.owed.payer();
                    }
                }
            }
        });
    }

    /// Repeats one invalidation that is owed, if there is one. One at a time, so that none is repeated after it was paid.
    pub(crate) async fn pay_one(&self) -> Option<Result<()>> {
        let _turn = self.paying.lock().await;
        let (last, debt) = (self.owed.last(), self.owed.next()?);
        let paid = match &debt {
            Invalidation::Key(key) => self.tell(key).await,
            Invalidation::All => self.renew_stamp().await,
        };
        if paid.is_ok() {
            self.owed.paid(&debt, last);
        }
        Some(paid)
    }

    /// Removes what is under a key. If it is the stamp of a tag, the mark is changed first, for values that do not have
    /// the tag yet but will turn out to.
    pub(crate) async fn tell(&self, key: &Key) -> Result<()> {
        if self.namespace == TAGS {
            let mark = self.mark_key();
            self.bounded(|store| store.put(&mark, new_stamp(), None)).await?;
        }
        self.bounded(|store| store.remove(key)).await
    }

    /// Ends a tag: what has it is stale, and so is what is being computed.
    pub(crate) async fn end_tag(&'static self, tag: &str) -> Result<()> {
        let key = self.tag_key(tag);
        self.change(Invalidation::Key(key.clone()), async move { self.tell(&key).await }).await
    }
}
