//! A shared store as a tier: with a codec and a deadline, and a failure is a miss.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::{millis, unix_millis};
use crate::codec::{Codec, Storable};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::config;
use crate::envelope::{self, Label};
use crate::looks::Looks;
use crate::owed::{self, Debt, Owed};
use crate::policy::{Backend, Policy};
use crate::stats::Counters;
use crate::{BoxFuture, Error, ErrorKind, Holder, Key, Lease, Over, Result, Store, Watch};

/// The shared values of one instance of a function.
pub(crate) struct Tier<K, V> {
    key: fn(&str, &K) -> Result<Key>,
    codec: Codec<V>,
    remote: Remote,
}

/// What of a tier does not depend on the types of the function.
struct Remote {
    store: Result<Arc<dyn Store>>,
    namespace: String,
    /// Where the stamp of the namespace is: values with another stamp were cleared.
    stamp: Key,
    looks: Looks<Loaded>,
    counters: &'static Counters,
    /// Whether the last operation failed, so that a broken store is reported once and not at each call.
    failing: AtomicBool,
    owed: Owed,
    /// Held by whoever repeats something that is owed.
    paying: tokio::sync::Mutex<()>,
}

/// What is under a key.
#[derive(Debug)]
pub(crate) enum Seen<V> {
    /// A value that can be used.
    Value(V),
    /// Nothing, or nothing that can be used; it can be asked for the lease.
    Vacant(Vacant),
    /// The store failed.
    Unknown,
}

/// A key without a usable value.
#[derive(Debug, Clone)]
pub(crate) struct Vacant {
    key: Key,
    /// The stamp of the namespace, if it is known.
    stamp: Option<u64>,
    occupant: Occupant,
    /// Who had the lease when it was asked for last.
    holder: Option<Holder>,
}

/// What lies under a key that is to be filled.
#[derive(Debug, Clone)]
enum Occupant {
    None,
    /// What can not be used; anything else there is news.
    Useless(Bytes),
    /// Whatever it is, it is to be replaced.
    Any,
}

/// What asking for a lease has brought.
#[derive(Debug)]
pub(crate) enum Acquiring {
    /// The right to fill the key; given back when it is dropped.
    Held(Held),
    /// Someone has filled the key since it was looked at.
    Filled,
    /// Another process computes.
    Busy(Vacant),
    /// Another process computes, and not the one that did before: that one has not brought a value.
    TakenOver,
    /// The store failed.
    Unknown,
}

/// What became of a value that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// It is stored, or could have been: nothing was invalidated while it was computed.
    Stored,
    /// The lease was lost, or everything was cleared: what was computed may be from before that.
    Refused,
    /// The store failed, or was not asked.
    Unknown,
}

/// A lease with what is needed to use it.
pub(crate) struct Held {
    remote: &'static Remote,
    key: Key,
    stamp: u64,
    since: Instant,
    lease: Option<Lease>,
}

/// A value in bytes, with its lifetime.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    ttl: Duration,
    codec: u8,
    fingerprint: u64,
}

/// The bytes under a key, and the stamp of the namespace.
type Loaded = (Option<Bytes>, Option<u64>);

/// How long a lease lasts without being extended; also how long a dead process keeps others from filling a key.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// Between the attempts to give a lease back, in milliseconds; after the last it has ended by itself.
const PAUSES: [u64; 8] = [50, 100, 200, 400, 800, 1_600, 3_200, 3_200];

/// A net below the deadlines that stores have themselves, for stores of users that have none.
const DEADLINE: Duration = Duration::from_secs(1);

impl<K, V> Tier<K, V>
where
    K: serde::Serialize,
    V: Storable,
{
    pub(crate) fn new(policy: &'static Policy, name: &str, counters: &'static Counters) -> Self {
        Self {
            key: |namespace, key| Key::new(namespace, key),
            codec: Codec::new(policy.codec),
            remote: Remote::new(policy, name, counters),
        }
    }
}

/// Makes every value of a namespace stale, when its types are not at hand.
///
/// What the store could not be told is not repeated: this process has no use for the namespace yet.
pub(crate) fn clear(
    policy: &Policy,
    name: &str,
    counters: &'static Counters,
) -> BoxFuture<'static, Result<()>> {
    let is_shared = !matches!(policy.backend, Backend::Memory);
    let remote = is_shared.then(|| Remote::new(policy, name, counters));
    Box::pin(async move {
        match remote {
            Some(remote) => remote.renew_stamp().await,
            None => Ok(()),
        }
    })
}

impl<K, V> Tier<K, V> {
    /// Looks what is under a key.
    pub(crate) async fn look(&'static self, key: &K) -> Seen<V> {
        let Ok(key) = self.key(key) else { return Seen::Unknown };
        let (remote, asked) = (&self.remote, key.clone());
        let looked = remote.looks.look(&key, move || {
            let key = asked.clone();
            async move { remote.load(&key).await }
        });
        let Ok((found, stamp)) = looked.await else { return Seen::Unknown };
        match self.usable(&key, found.as_ref(), stamp) {
            Some(value) => Seen::Value(value),
            None => {
                let occupant = found.map_or(Occupant::None, Occupant::Useless);
                Seen::Vacant(Vacant { key, stamp, occupant, holder: None })
            }
        }
    }

    /// A key whose value is to be replaced, so that it counts as vacant.
    pub(crate) fn occupied(&self, key: &K) -> Option<Vacant> {
        Some(Vacant { key: self.key(key).ok()?, stamp: None, occupant: Occupant::Any, holder: None })
    }

    /// Asks for the lease of a key that was seen vacant.
    ///
    /// What fills it must be computed after this, so that no value from before an invalidation is stored.
    /// The store is asked by a task: a lease that is given after the caller has gone is given back.
    pub(crate) async fn acquire(&'static self, vacant: Vacant) -> Acquiring {
        in_a_task(self.remote.acquire(vacant)).await.unwrap_or(Acquiring::Unknown)
    }

    /// Asks to be told when a key that was seen vacant may have changed; nothing if the store can not tell, or fails.
    pub(crate) async fn watch(&'static self, vacant: &Vacant) -> Option<Watch> {
        self.remote.bounded(|store| store.watch(&vacant.key)).await.ok()?
    }

    /// The value under a key; nothing if the store fails.
    pub(crate) async fn peek(&'static self, key: &K) -> Option<V> {
        let key = self.key(key).ok()?;
        let (found, stamp) = self.remote.load(&key).await.ok()?;
        self.usable(&key, found.as_ref(), stamp)
    }

    /// Turns a value into bytes.
    pub(crate) fn encode(&self, value: &V, ttl: Duration) -> Result<Payload> {
        let bytes = (self.codec.encode)(value).inspect_err(|error| self.remote.failed(error))?;
        Ok(Payload { bytes, ttl, codec: self.codec.id, fingerprint: self.codec.fingerprint })
    }

    /// Stores a value whatever is there, and ends the lease.
    pub(crate) async fn put(&'static self, key: &K, payload: Payload) -> Result<()> {
        let key = self.key(key)?;
        let put = async {
            // A clear that is repeated later would take this value with it.
            while self.remote.owed.next() == Some(Debt::All) {
                self.remote.pay_one().await.transpose()?;
            }
            let stamp = self.remote.stamp().await?;
            let bytes = payload.seal(&key, stamp, Duration::ZERO)?;
            self.remote.bounded(|store| store.put(&key, bytes, Some(payload.ttl))).await
        };
        let put = put.await;
        // What it was to replace must not come back.
        self.remote.settle(put, Debt::Key(key))
    }

    /// Removes a value and ends the lease.
    pub(crate) async fn remove(&'static self, key: &K) -> Result<()> {
        let key = self.key(key)?;
        let removed = self.remote.bounded(|store| store.remove(&key)).await;
        self.remote.settle(removed, Debt::Key(key))
    }

    /// Makes every value stale, by one write.
    pub(crate) async fn clear(&'static self) -> Result<()> {
        let cleared = self.remote.renew_stamp().await;
        self.remote.settle(cleared, Debt::All)
    }

    fn key(&self, key: &K) -> Result<Key> {
        (self.key)(&self.remote.namespace, key).inspect_err(|error| self.remote.failed(error))
    }

    /// The value in what was found. Without a stamp every value counts as cleared, and one that should have been removed
    /// counts as removed.
    fn usable(&self, key: &Key, found: Option<&Bytes>, stamp: Option<u64>) -> Option<V> {
        let (found, stamp) = found.zip(stamp).filter(|_| !self.remote.owed.covers(key))?;
        self.open(key, found, stamp)
    }

    /// The value in an envelope, if it is one of ours, of this type, not cleared and still fresh.
    fn open(&self, key: &Key, bytes: &[u8], stamp: u64) -> Option<V> {
        let decoded = envelope::open(key, bytes).and_then(|(label, payload)| {
            let ours = label.codec == self.codec.id && label.fingerprint == self.codec.fingerprint;
            if !ours {
                return None;
            }
            if label.stamp != stamp || label.fresh_until <= unix_millis() {
                return Some(None);
            }
            (self.codec.decode)(payload).ok().map(Some)
        });
        if decoded.is_none() {
            self.remote.counters.undecodable.add(1);
            tracing::debug!(namespace = %self.remote.namespace, "a value in the store can not be used");
        }
        decoded.flatten()
    }
}

impl<K, V> fmt::Debug for Tier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("namespace", &self.remote.namespace).finish_non_exhaustive()
    }
}

impl Remote {
    fn new(policy: &Policy, name: &str, counters: &'static Counters) -> Self {
        let namespace = format!("{name}.v{}", policy.version);
        let store = match &policy.backend {
            // Not reached: only shared backends have a tier.
            Backend::Memory => Err(Error::new(ErrorKind::Config, "memory is not a shared store")),
            #[cfg(feature = "redis")]
            Backend::Redis => config::redis(),
            #[cfg(feature = "memcached")]
            Backend::Memcached => config::memcached(),
            Backend::Store(store) => Ok(Arc::clone(store)),
        };
        let stamp = Key::from_bytes(&format!("{namespace}.stamp"), &[]);
        let (failing, looks, owed) = (AtomicBool::new(false), Looks::new(), Owed::default());
        let paying = tokio::sync::Mutex::new(());
        Self { store, namespace, stamp, looks, counters, failing, owed, paying }
    }

    async fn acquire(&'static self, vacant: Vacant) -> Acquiring {
        // Before the computation, so that a value computed from before a `clear` is stale from the start.
        let stamp = match vacant.stamp {
            Some(stamp) => Ok(stamp),
            None => self.stamp().await,
        };
        let Ok(stamp) = stamp else { return Acquiring::Unknown };
        let over = match vacant.occupant {
            Occupant::None => Over::Nothing,
            Occupant::Useless(_) | Occupant::Any => Over::Value,
        };
        let acquire = || self.bounded(|store| store.acquire(&vacant.key, LEASE, over));
        let Ok(mut acquired) = acquire().await else { return Acquiring::Unknown };
        if acquired.lease.is_none() && matches!(vacant.occupant, Occupant::Any) {
            // A refresh does not wait for whoever holds the lease, and is not undone by what that one computes.
            // To store without a lease instead would undo an invalidation.
            let removed = self.bounded(|store| store.remove(&vacant.key)).await;
            let (Ok(()), Ok(again)) = (removed, acquire().await) else { return Acquiring::Unknown };
            acquired = again;
        }
        if let Some(lease) = acquired.lease {
            return Acquiring::Held(Held {
                remote: self,
                key: vacant.key,
                stamp,
                since: Instant::now(),
                lease: Some(lease),
            });
        }
        let is_news = acquired.value.is_some_and(|value| match &vacant.occupant {
            Occupant::None => true,
            Occupant::Useless(found) => value != *found,
            Occupant::Any => false,
        });
        if is_news {
            return Acquiring::Filled;
        }
        let holders = vacant.holder.zip(acquired.holder);
        if holders.is_some_and(|(before, now)| before != now) {
            return Acquiring::TakenOver;
        }
        Acquiring::Busy(Vacant { stamp: Some(stamp), holder: acquired.holder.or(vacant.holder), ..vacant })
    }

    async fn renew_stamp(&self) -> Result<()> {
        self.bounded(|store| store.put(&self.stamp, new_stamp(), None)).await
    }

    /// Remembers a change that the store has not confirmed, and sees to it that it is repeated.
    fn settle(&'static self, changed: Result<()>, debt: Debt) -> Result<()> {
        match &changed {
            Ok(()) => self.owed.paid(&debt),
            Err(_) => self.owed.add(debt),
        }
        self.see_to_debts();
        changed
    }

    /// Starts a task that repeats what is owed until nothing is, unless one is at it.
    ///
    /// If its runtime ends before that, the next call that reaches the store starts another.
    fn see_to_debts(&'static self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(payer) = self.owed.payer() else { return };
        runtime.spawn(async move {
            let mut payer = Some(payer);
            let mut pause = owed::FIRST_PAUSE;
            while payer.is_some() {
                match self.pay_one().await {
                    Some(Ok(())) => {
                        tracing::info!(namespace = %self.namespace, "an invalidation was repeated");
                    }
                    Some(Err(_)) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(owed::LONGEST_PAUSE);
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
    async fn pay_one(&self) -> Option<Result<()>> {
        let _turn = self.paying.lock().await;
        let debt = self.owed.next()?;
        let paid = match &debt {
            Debt::Key(key) => self.bounded(|store| store.remove(key)).await,
            Debt::All => self.renew_stamp().await,
        };
        if paid.is_ok() {
            self.owed.paid(&debt);
        }
        Some(paid)
    }

    /// The bytes under a key, and the stamp of the namespace.
    async fn load(&'static self, key: &Key) -> Result<Loaded> {
        let keys = [key.clone(), self.stamp.clone()];
        let mut found = self.bounded(|store| store.get(&keys)).await?.into_iter();
        self.see_to_debts();
        let value = found.next().flatten();
        Ok((value, found.next().flatten().and_then(|stamp| stamp_from(&stamp))))
    }

    /// The stamp of the namespace, made now if there is none.
    async fn stamp(&self) -> Result<u64> {
        let stamp = self.bounded(|store| store.add(&self.stamp, new_stamp())).await?;
        if let Some(stamp) = stamp_from(&stamp) {
            return Ok(stamp);
        }
        // Something else was written there; what it protected is gone with it.
        let stamp = new_stamp();
        self.bounded(|store| store.put(&self.stamp, stamp.clone(), None)).await?;
        stamp_from(&stamp).ok_or(Error::new(ErrorKind::Protocol, "the stamp of the namespace is not one"))
    }

    /// The stamp of the namespace now, if the store tells.
    async fn current_stamp(&self) -> Option<u64> {
        let keys = [self.stamp.clone()];
        let found = self.bounded(|store| store.get(&keys)).await.ok()?.pop()??;
        stamp_from(&found)
    }

    /// Asks the store something, for a bounded time.
    async fn bounded<'a, T, F>(&'a self, ask: impl FnOnce(&'a dyn Store) -> F) -> Result<T>
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

    fn failed(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(namespace = %self.namespace, ?error, "the store fails; calls go on without it");
        }
    }
}

impl Held {
    /// Stores what was computed, if there is something to store and the lease is still ours; also if the caller goes
    /// away meanwhile. Whether others may have it as well is found out only if somebody is `waiting`.
    pub(crate) async fn settle(self, payload: Option<Payload>, waiting: bool) -> Fill {
        let (remote, stamp) = (self.remote, self.stamp);
        let settled = async move {
            let settled = match payload {
                Some(payload) => self.fill(payload).await,
                None => self.give_back(waiting).await,
            };
            // A clear does not end leases.
            if settled == Fill::Stored && waiting && remote.current_stamp().await != Some(stamp) {
                return Fill::Refused;
            }
            settled
        };
        in_a_task(settled).await.unwrap_or(Fill::Unknown)
    }

    /// Gives the lease back; whether it was still ours is asked only if somebody is `waiting`.
    async fn give_back(self, waiting: bool) -> Fill {
        let kept = match &self.lease {
            Some(lease) if waiting => {
                self.remote.bounded(|store| store.extend(&self.key, lease, LEASE)).await
            }
            _ => Ok(true),
        };
        self.release().await;
        match kept {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Refused,
            Err(_) => Fill::Unknown,
        }
    }

    async fn fill(mut self, payload: Payload) -> Fill {
        let Some(lease) = self.lease else { return Fill::Unknown };
        let sealed = payload.seal(&self.key, self.stamp, self.since.elapsed());
        let Ok(bytes) = sealed.inspect_err(|error| self.remote.failed(error)) else {
            self.release().await;
            return Fill::Unknown;
        };
        self.lease = None;
        match self.remote.bounded(|store| store.fill(&self.key, lease, bytes, payload.ttl)).await {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Refused,
            Err(_) => {
                self.release_later(lease);
                Fill::Unknown
            }
        }
    }

    /// Gives the lease back.
    pub(crate) async fn release(mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.remote.bounded(|store| store.release(&self.key, lease)).await.is_err() {
            self.release_later(lease);
        }
    }

    /// Gives a lease back by a task, when the store works again: until then it would hold up whoever comes next.
    ///
    /// If the store has done what it was asked for and only its answer was lost, this does nothing.
    fn release_later(&self, lease: Lease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (remote, key) = (self.remote, self.key.clone());
        runtime.spawn(async move {
            for pause in PAUSES {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                if remote.bounded(|store| store.release(&key, lease)).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// What keeps the lease while it is being used; never ends.
    pub(crate) fn keeper(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (remote, key, lease) = (self.remote, self.key.clone(), self.lease);
        async move {
            loop {
                tokio::time::sleep(LEASE / 3).await;
                if let Some(lease) = &lease {
                    // A lease that was lost is noticed when it is used.
                    let _ = remote.bounded(|store| store.extend(&key, lease, LEASE)).await;
                }
            }
        }
    }
}

impl Drop for Held {
    /// The store is told by a task; without a runtime, or if it ends first, the lease ends by itself.
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (remote, key) = (self.remote, self.key.clone());
        // Without a `Held` in it: a runtime that is shutting down drops the task right here.
        runtime.spawn(async move {
            let _ = remote.bounded(|store| store.release(&key, lease)).await; // Counted there.
        });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("key", &self.key).field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl Payload {
    fn seal(&self, key: &Key, stamp: u64, compute_time: Duration) -> Result<Bytes> {
        let now = unix_millis();
        let label = Label {
            codec: self.codec,
            fingerprint: self.fingerprint,
            computed_at: now,
            fresh_until: now.saturating_add(millis(self.ttl)),
            compute_time: u32::try_from(compute_time.as_millis()).unwrap_or(u32::MAX),
            stamp,
        };
        envelope::seal(key, &label, &self.bytes)
            .ok_or(Error::new(ErrorKind::TooLarge, "the value is larger than 4 GiB"))
    }
}

/// Lets a step that must not be left half done go on when its caller is dropped; `None` if the runtime ends first.
///
/// What is asked of a store takes a bounded time, and so does the task.
async fn in_a_task<T: Send + 'static>(step: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::runtime::Handle::try_current().ok()?.spawn(step).await.ok()
}

/// A number that no other has: two clears must not make one stamp.
fn new_stamp() -> Bytes {
    Bytes::copy_from_slice(&RandomState::new().hash_one(unix_millis()).to_be_bytes())
}

fn stamp_from(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
