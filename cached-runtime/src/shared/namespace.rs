//! A shared store as it is asked: within a deadline, and with what is owed to it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::pending;
use super::pending::{Invalidation, PendingInvalidations};
use super::reads::Reads;
use crate::policy::Counters;
use crate::policy::{Backend, Policy};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::store;
use crate::util::random::random;
use crate::{Error, ErrorKind, Key, Result, Store};

/// What of a tier does not depend on the types of the function.
pub(crate) struct Namespace {
    pub(crate) store: Result<Arc<dyn Store>>,
    pub(crate) namespace: String,
    /// Where the stamp of the namespace is: values with another stamp were cleared.
    pub(crate) stamp: Key,
    pub(crate) looks: Reads<Loaded>,
    pub(crate) counters: &'static Counters,
    /// Whether the last operation failed, so that a broken store is reported once and not at each call.
    failing: AtomicBool,
    /// Whether it was reported that something can not be kept in a store at all.
    is_unfit: AtomicBool,
    pub(crate) owed: PendingInvalidations,
    /// Held by whoever repeats something that is owed.
    paying: tokio::sync::Mutex<()>,
}

/// What the store has under a key.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) value: Option<Bytes>,
    pub(crate) stamps: Box<[Option<u64>]>,
    /// Of the tags that are named in the value.
    pub(crate) named: Box<[Option<u64>]>,
}

/// The namespace of the tags in every store; that of a function has a version behind its name.
pub(crate) const TAGS: &str = "tags";

/// A net below the deadlines that stores have themselves, for stores of users that have none.
const DEADLINE: Duration = Duration::from_secs(1);

impl Namespace {
    pub(crate) fn new(store: Result<Arc<dyn Store>>, namespace: String, counters: &'static Counters) -> Self {
        let stamp = Key::from_bytes(&format!("{namespace}.generation"), &[]);
        Self {
            store,
            namespace,
            stamp,
            looks: Reads::new(),
            counters,
            failing: AtomicBool::new(false),
            is_unfit: AtomicBool::new(false),
            owed: PendingInvalidations::default(),
            paying: tokio::sync::Mutex::new(()),
        }
    }

    /// The store that a policy names.
    pub(crate) fn store_of(policy: &Policy) -> Result<Arc<dyn Store>> {
        match &policy.backend {
            // Not reached: only shared backends have a tier.
            Backend::Memory => Err(Error::new(ErrorKind::Config, "memory is not a shared store")),
            #[cfg(feature = "redis")]
            Backend::Redis => store::configured_redis(),
            #[cfg(feature = "memcached")]
            Backend::Memcached => store::configured_memcached(),
            Backend::Store(store) => Ok(Arc::clone(store)),
        }
    }

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

    /// It lies where a tag lies that nobody can name, so that a value can have it for its tag.
    pub(crate) fn mark_key(&self) -> Key {
        Key::of_tag(Key::from_bytes(&format!("{}.all", self.namespace), &[]).digest())
    }

    /// Where the stamp of a tag is.
    pub(crate) fn tag_key(&self, tag: &str) -> Key {
        Key::from_bytes(&self.namespace, tag.as_bytes())
    }

    /// Ends a tag: what has it is stale, and so is what is being computed.
    pub(crate) async fn end_tag(&'static self, tag: &str) -> Result<()> {
        let key = self.tag_key(tag);
        self.change(Invalidation::Key(key.clone()), async move { self.tell(&key).await }).await
    }

    /// Asks the store something, for a bounded time.
    pub(crate) async fn bounded<'a, T, F>(&'a self, ask: impl FnOnce(&'a dyn Store) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let asked = async {
            let store = self.store.as_deref().map_err(Error::clone)?;
            if tokio::runtime::Handle::try_current().is_err() {
                return Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"));
            }
            match tokio::time::timeout(DEADLINE, ask(store)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::new(ErrorKind::Timeout, "the store did not answer in time")),
            }
        };
        let answer = asked.await;
        match &answer {
            Ok(_) if self.failing.load(Ordering::Relaxed) => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(namespace = %self.namespace, "the store works again");
            }
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
        answer
    }

    /// A key or a value that no store can be given.
    pub(crate) fn unfit(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.is_unfit.swap(true, Ordering::Relaxed) {
            tracing::warn!(namespace = %self.namespace, ?error, "this can not be kept in a store and is computed each time");
        }
    }

    /// A value that was written for this very type and can not be read as that.
    pub(crate) fn unreadable(&self) {
        if !self.is_unfit.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = %self.namespace,
                "a value does not come back from its codec and is computed each time; another `codec` may do"
            );
        }
    }

    fn failed(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(namespace = %self.namespace, ?error, "the store fails; calls go on without it");
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Lets a step that must not be left half done go on when its caller is dropped; `None` if the runtime ends first.
///
/// What is asked of a store takes a bounded time, and so does the task.
pub(crate) async fn in_a_task<T: Send + 'static>(
    step: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::runtime::Handle::try_current().ok()?.spawn(step).await.ok()
}

/// A number that no other has: two clears must not make one stamp.
pub(crate) fn new_stamp() -> Bytes {
    Bytes::copy_from_slice(&random().to_be_bytes())
}
