//! A shared store as it is asked: within a deadline, with leases and stamps, and with what is owed to it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::{millis, unix_millis};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::config;
use crate::entry::Leaves;
use crate::envelope::{self, Label};
use crate::looks::Looks;
use crate::owed::{self, Debt, Owed};
use crate::policy::{Backend, Policy};
use crate::random::random;
use crate::stats::Counters;
use crate::tags::Told;
use crate::{Error, ErrorKind, Holder, Key, Lease, Over, Result, Store};

/// What of a tier does not depend on the types of the function.
pub(crate) struct Remote {
    pub(crate) store: Result<Arc<dyn Store>>,
    pub(crate) namespace: String,
    /// Where the stamp of the namespace is: values with another stamp were cleared.
    pub(crate) stamp: Key,
    pub(crate) looks: Looks<Loaded>,
    pub(crate) counters: &'static Counters,
    /// Whether the last operation failed, so that a broken store is reported once and not at each call.
    failing: AtomicBool,
    /// Whether it was reported that something can not be kept in a store at all.
    is_unfit: AtomicBool,
    pub(crate) owed: Owed,
    /// Held by whoever repeats something that is owed.
    paying: tokio::sync::Mutex<()>,
}

/// Where a value is, and where the stamps are that it depends on.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) key: Key,
    /// That of the namespace first; for a function with tags those of all tags and of each tag after it.
    pub(crate) stamps: Arc<[Key]>,
    /// Where a value of another type is that this one lies beside; the mark of that is the last of the stamps then.
    pub(crate) beside: Option<Key>,
    pub(crate) tags: Tags,
}

/// What there is to know about the tags of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tags {
    /// It has none.
    None,
    /// The remote of the tags in its store.
    Of(&'static Remote),
    /// The same, and there are tags that only the value tells.
    FromValue(&'static Remote),
}

impl Place {
    /// The keys of all that it depends on.
    fn dependencies(&self) -> impl Iterator<Item = &Key> {
        self.stamps.iter().chain(&self.beside)
    }

    /// What was found under these keys as stamps.
    fn stamps_in(&self, found: &[Option<Bytes>]) -> Box<[Option<u64>]> {
        // A store that returns too little has not got them.
        let found = |index: usize| found.get(index)?.as_ref();
        let stamps = (0..self.stamps.len()).map(|index| stamp_from(found(index)?));
        let beside = self.beside.iter().map(|_| envelope::mark(found(self.stamps.len())?));
        stamps.chain(beside).collect()
    }
}

impl Tags {
    pub(crate) fn remote(self) -> Option<&'static Remote> {
        match self {
            Self::None => None,
            Self::Of(remote) | Self::FromValue(remote) => Some(remote),
        }
    }

    /// Whether the store has not heard yet that one of these has ended.
    pub(crate) fn are_owed<'a>(self, tags: impl IntoIterator<Item = &'a Key>) -> bool {
        self.remote().is_some_and(|remote| {
            let is_owed = |tag: &Key| remote.owed.covers(tag) || *tag == remote.mark_key();
            remote.owed.is_any() && tags.into_iter().any(is_owed)
        })
    }
}

/// A key without a usable value.
#[derive(Debug, Clone)]
pub(crate) struct Vacant {
    pub(crate) place: Place,
    /// The stamps that were seen with it.
    pub(crate) stamps: Option<Box<[Option<u64>]>>,
    pub(crate) occupant: Occupant,
    /// Who had the lease when it was asked for last.
    pub(crate) holder: Option<Holder>,
}

/// What lies under a key that is to be filled.
#[derive(Debug, Clone)]
pub(crate) enum Occupant {
    None,
    /// What can not be used, or not for long; anything else there is news.
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
    place: Place,
    /// What it was given over.
    over: Over,
    stamps: Box<[u64]>,
    /// The mark of the last invalidation of any tag, if the value will tell its tags.
    mark: Option<u64>,
    since: Instant,
    lease: Option<Lease>,
}

/// A value in bytes, with its lifetime.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ttl: Duration,
    /// How long it stays in the store after it was fresh.
    pub(crate) retention: Duration,
    pub(crate) codec: u8,
    pub(crate) fingerprint: u64,
    /// The tags that only the value could tell.
    pub(crate) tags: Vec<Key>,
}

/// What the store has under a key.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) value: Option<Bytes>,
    pub(crate) stamps: Box<[Option<u64>]>,
    /// Of the tags that are named in the value.
    pub(crate) named: Box<[Option<u64>]>,
}

/// How long a lease lasts without being extended; also how long a dead process keeps others from filling a key.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// Between the attempts to give a lease back, in milliseconds; after the last it has ended by itself.
const PAUSES: [u64; 8] = [50, 100, 200, 400, 800, 1_600, 3_200, 3_200];

/// The namespace of the tags in every store; that of a function has a version behind its name.
pub(crate) const TAGS: &str = "tags";

/// How many stamps of namespaces come before those of tags.
const NAMESPACES: usize = 2;

/// How long the stamp of a tag stays in a store. When it goes, the values with that tag are computed once more.
const STAMP_TERM: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A net below the deadlines that stores have themselves, for stores of users that have none.
const DEADLINE: Duration = Duration::from_secs(1);

impl Remote {
    pub(crate) fn new(store: Result<Arc<dyn Store>>, namespace: String, counters: &'static Counters) -> Self {
        let stamp = Key::from_bytes(&format!("{namespace}.stamp"), &[]);
        Self {
            store,
            namespace,
            stamp,
            looks: Looks::new(),
            counters,
            failing: AtomicBool::new(false),
            is_unfit: AtomicBool::new(false),
            owed: Owed::default(),
            paying: tokio::sync::Mutex::new(()),
        }
    }

    /// The store that a policy names.
    pub(crate) fn store_of(policy: &Policy) -> Result<Arc<dyn Store>> {
        match &policy.backend {
            // Not reached: only shared backends have a tier.
            Backend::Memory => Err(Error::new(ErrorKind::Config, "memory is not a shared store")),
            #[cfg(feature = "redis")]
            Backend::Redis => config::redis(),
            #[cfg(feature = "memcached")]
            Backend::Memcached => config::memcached(),
            Backend::Store(store) => Ok(Arc::clone(store)),
        }
    }

    pub(crate) async fn acquire(&'static self, vacant: Vacant) -> Acquiring {
        let over = match vacant.occupant {
            Occupant::None => Over::Nothing,
            Occupant::Useless(_) | Occupant::Any => Over::Value,
        };
        let acquire = || self.bounded(|store| store.acquire(&vacant.place.key, LEASE, over));
        let Ok(mut acquired) = acquire().await else { return Acquiring::Unknown };
        if acquired.lease.is_none() && matches!(vacant.occupant, Occupant::Any) {
            // A refresh does not wait for whoever holds the lease, and is not undone by what that one computes.
            // To store without a lease instead would undo an invalidation.
            let removed = self.bounded(|store| store.remove(&vacant.place.key)).await;
            let (Ok(()), Ok(again)) = (removed, acquire().await) else { return Acquiring::Unknown };
            acquired = again;
        }
        if let Some(lease) = acquired.lease {
            let (since, place) = (Instant::now(), vacant.place);
            let mut held = Held {
                remote: self,
                place,
                over,
                stamps: Box::default(),
                mark: None,
                since,
                lease: Some(lease),
            };
            return match held.read_stamps(vacant.stamps).await {
                Ok(()) => Acquiring::Held(held),
                Err(_) => Acquiring::Unknown,
            };
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
        let holder = acquired.holder.or(vacant.holder);
        // By the time the lease is free the stamps will be out of date.
        Acquiring::Busy(Vacant { stamps: None, holder, ..vacant })
    }

    /// Makes every value of the namespace stale, by one write.
    pub(crate) async fn renew_stamp(&self) -> Result<()> {
        self.bounded(|store| store.put(&self.stamp, new_stamp(), None)).await
    }

    /// Makes a change, also if its caller goes away meanwhile. One that the store has not confirmed is owed to it, and is
    /// repeated.
    pub(crate) async fn change(
        &'static self,
        debt: Debt,
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
    pub(crate) async fn pay_one(&self) -> Option<Result<()>> {
        let _turn = self.paying.lock().await;
        let (last, debt) = (self.owed.last(), self.owed.next()?);
        let paid = match &debt {
            Debt::Key(key) => self.tell(key).await,
            Debt::All => self.renew_stamp().await,
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

    /// What is under a key, and the stamps that it depends on, in one round trip; those of tags that are named in the
    /// value take another.
    pub(crate) async fn load(&'static self, place: &Place) -> Result<Loaded> {
        let keys: Vec<Key> = std::iter::once(&place.key).chain(place.dependencies()).cloned().collect();
        let found = self.bounded(|store| store.get(&keys)).await?;
        self.see_to_debts();
        if let Some(tags) = place.tags.remote() {
            tags.see_to_debts();
        }
        let stamps = place.stamps_in(found.get(1..).unwrap_or_default());
        let value = found.into_iter().next().flatten();
        let named = match value.as_deref().map(envelope::named) {
            Some(named) if !named.is_empty() => self.read_stamps(&named).await?,
            Some(_) | None => Box::default(),
        };
        Ok(Loaded { value, stamps, named })
    }

    /// The stamps under these keys, where there are any.
    async fn read_stamps(&self, keys: &[Key]) -> Result<Box<[Option<u64>]>> {
        let found = self.bounded(|store| store.get(keys)).await?;
        Ok(found.iter().map(|stamp| stamp_from(stamp.as_ref()?)).collect())
    }

    /// The stamps that a place depends on, where there are any.
    async fn dependencies(&self, place: &Place) -> Result<Box<[Option<u64>]>> {
        let keys: Vec<Key> = place.dependencies().cloned().collect();
        Ok(place.stamps_in(&self.bounded(|store| store.get(&keys)).await?))
    }

    /// The stamps of a place, made now where there are none.
    pub(crate) async fn stamps(&self, place: &Place, seen: Option<Box<[Option<u64>]>>) -> Result<Box<[u64]>> {
        let seen = match seen {
            Some(seen) => seen,
            // To make one is to read it.
            None if place.stamps.len() == 1 && place.beside.is_none() => [None].into(),
            None => self.dependencies(place).await?,
        };
        let mut stamps = Vec::with_capacity(seen.len());
        for (index, (key, seen)) in place.dependencies().zip(seen).enumerate() {
            stamps.push(match seen {
                Some(stamp) => stamp,
                // What it lies beside has gone meanwhile: then nothing will find it.
                None if index == place.stamps.len() => random(),
                None => self.make_stamp(key, (index >= NAMESPACES).then_some(STAMP_TERM)).await?,
            });
        }
        Ok(stamps.into())
    }

    /// The stamp under a key, made now if there is none.
    pub(crate) async fn make_stamp(&self, key: &Key, term: Option<Duration>) -> Result<u64> {
        let stamp = self.bounded(|store| store.add(key, new_stamp(), term)).await?;
        if let Some(stamp) = stamp_from(&stamp) {
            return Ok(stamp);
        }
        // Something else was written there; what it protected is gone with it.
        let stamp = new_stamp();
        self.bounded(|store| store.put(key, stamp.clone(), term)).await?;
        stamp_from(&stamp).ok_or(Error::new(ErrorKind::Protocol, "a stamp is not one"))
    }

    /// Whether the stamps of a place are still these, as far as the store tells.
    async fn are_current(&self, place: &Place, stamps: &[u64]) -> bool {
        let current = self.dependencies(place).await;
        current.is_ok_and(|current| current.iter().copied().eq(stamps.iter().map(|stamp| Some(*stamp))))
    }

    /// The stamps of these tags, made now where there are none.
    pub(crate) async fn name(&self, tags: &[Key]) -> Result<Vec<(Key, u64)>> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let mut named = Vec::with_capacity(tags.len());
        for (tag, stamp) in tags.iter().zip(self.read_stamps(tags).await?) {
            let stamp = match stamp {
                Some(stamp) => stamp,
                None => self.make_stamp(tag, Some(STAMP_TERM)).await?,
            };
            named.push((tag.clone(), stamp));
        }
        Ok(named)
    }

    /// As long as this does not change, no tag is invalidated.
    async fn mark(&self) -> Result<u64> {
        self.make_stamp(&self.mark_key(), None).await
    }

    /// It lies where a tag lies that nobody can name, so that a value can have it for its tag.
    fn mark_key(&self) -> Key {
        Key::of_tag(Key::from_bytes(&format!("{}.mark", self.namespace), &[]).digest())
    }

    /// Where the stamp of a tag is.
    pub(crate) fn tag_key(&self, tag: &str) -> Key {
        Key::from_bytes(&self.namespace, tag.as_bytes())
    }

    /// Where the stamps of these tags are.
    pub(crate) fn told_keys(&self, told: &Told) -> Vec<Key> {
        match told {
            Told::These(tags) => tags.iter().map(|tag| self.tag_key(tag)).collect(),
            Told::Any => vec![self.mark_key()],
        }
    }

    /// Ends a tag: what has it is stale, and so is what is being computed.
    pub(crate) async fn end_tag(&'static self, tag: &str) -> Result<()> {
        let key = self.tag_key(tag);
        self.change(Debt::Key(key.clone()), async move { self.tell(&key).await }).await
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

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Held {
    /// Reads what the value will depend on: before the computation, so that a value computed from before an invalidation
    /// is stale from the start.
    async fn read_stamps(&mut self, seen: Option<Box<[Option<u64>]>>) -> Result<()> {
        self.stamps = self.remote.stamps(&self.place, seen).await?;
        if let Tags::FromValue(tags) = self.place.tags {
            self.mark = Some(tags.mark().await?);
        }
        Ok(())
    }

    /// Leaves in the store what was computed, if the lease is still ours; also if the caller goes
    /// away meanwhile. Whether others may have it as well is found out only if somebody is `waiting`.
    pub(crate) async fn settle(self, leaves: Leaves<Payload>, waiting: bool) -> Fill {
        let settled = async move {
            let (remote, place, stamps) = (self.remote, self.place.clone(), self.stamps.clone());
            let settled = match leaves {
                Leaves::Value(payload) => self.fill(payload, waiting).await,
                Leaves::Nothing => self.leave_nothing(waiting).await,
                Leaves::WhatIsThere => self.give_back(waiting).await,
            };
            // Neither a clear nor the end of a tag ends leases.
            if settled == Fill::Stored && waiting && !remote.are_current(&place, &stamps).await {
                return Fill::Refused;
            }
            settled
        };
        in_a_task(settled).await.unwrap_or(Fill::Unknown)
    }

    /// Gives the lease back; whether it was still ours is asked only if somebody is `waiting`.
    async fn give_back(self, waiting: bool) -> Fill {
        let kept = match &self.lease {
            Some(lease) if waiting => self.is_kept(lease).await,
            _ => Ok(true),
        };
        self.release().await;
        match kept {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Refused,
            Err(_) => Fill::Unknown,
        }
    }

    /// Whether the lease is still ours, and no tag was invalidated that the value might have had.
    async fn is_kept(&self, lease: &Lease) -> Result<bool> {
        let is_ours = self.remote.bounded(|store| store.extend(&self.place.key, lease, LEASE)).await?;
        match (self.place.tags, self.mark) {
            (Tags::FromValue(tags), Some(mark)) if is_ours => Ok(tags.mark().await? == mark),
            _ => Ok(is_ours),
        }
    }

    /// Removes what is there, and the lease with it. Should that be another's by now, it is computed once more.
    async fn vacate(mut self) -> Fill {
        let Some(lease) = &self.lease else { return Fill::Unknown };
        match self.is_kept(lease).await {
            Ok(true) => {}
            Ok(false) => {
                self.release().await;
                return Fill::Refused;
            }
            Err(_) => return Fill::Unknown,
        }
        match self.remote.bounded(|store| store.remove(&self.place.key)).await {
            Ok(()) => {
                self.lease = None;
                Fill::Stored
            }
            Err(_) => Fill::Unknown,
        }
    }

    async fn leave_nothing(self, waiting: bool) -> Fill {
        match self.over {
            Over::Value => self.vacate().await,
            Over::Nothing => self.give_back(waiting).await,
        }
    }

    async fn fill(mut self, payload: Payload, waiting: bool) -> Fill {
        let named = match self.name_tags(&payload).await {
            Ok(Some(named)) => named,
            Ok(None) => {
                self.release().await;
                return Fill::Refused;
            }
            Err(_) => {
                self.release().await;
                return Fill::Unknown;
            }
        };
        let sealed = payload.seal(&self.place.key, &self.stamps, &named, self.since.elapsed());
        let Ok(bytes) = sealed.inspect_err(|error| self.remote.unfit(error)) else {
            return self.leave_nothing(waiting).await;
        };
        let Some(lease) = self.lease.take() else { return Fill::Unknown };
        let filled = self.remote.bounded(|store| store.fill(&self.place.key, lease, bytes, payload.term()));
        match filled.await {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Refused,
            // The store keeps nothing so large; nor must it keep what that was to replace.
            Err(error) if error.kind() == ErrorKind::TooLarge && self.over == Over::Value => {
                let _ = self.remote.bounded(|store| store.remove(&self.place.key)).await; // Counted there.
                Fill::Refused
            }
            Err(_) => {
                self.release_later(lease);
                Fill::Unknown
            }
        }
    }

    /// The stamps of the tags that only the value could tell; nothing if any tag was invalidated since the computation
    /// began, because it might be one of these.
    async fn name_tags(&self, payload: &Payload) -> Result<Option<Vec<(Key, u64)>>> {
        let (Tags::FromValue(tags), Some(mark)) = (self.place.tags, self.mark) else {
            return Ok(Some(Vec::new()));
        };
        let named = tags.name(&payload.tags).await?;
        Ok((tags.mark().await? == mark).then_some(named))
    }

    /// Gives the lease back.
    pub(crate) async fn release(mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.remote.bounded(|store| store.release(&self.place.key, lease)).await.is_err() {
            self.release_later(lease);
        }
    }

    /// Gives a lease back by a task, when the store works again: until then it would hold up whoever comes next.
    ///
    /// If the store has done what it was asked for and only its answer was lost, this does nothing.
    fn release_later(&self, lease: Lease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (remote, key) = (self.remote, self.place.key.clone());
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
        let (remote, key, lease) = (self.remote, self.place.key.clone(), self.lease);
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
        let (remote, key) = (self.remote, self.place.key.clone());
        // Without a `Held` in it: a runtime that is shutting down drops the task right here.
        runtime.spawn(async move {
            let _ = remote.bounded(|store| store.release(&key, lease)).await; // Counted there.
        });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("key", &self.place.key)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl Payload {
    /// How long it stays in the store.
    pub(crate) fn term(&self) -> Duration {
        self.ttl.saturating_add(self.retention)
    }

    pub(crate) fn seal(
        &self,
        key: &Key,
        stamps: &[u64],
        named: &[(Key, u64)],
        compute_time: Duration,
    ) -> Result<Bytes> {
        let now = unix_millis();
        let label = Label {
            codec: self.codec,
            fingerprint: self.fingerprint,
            computed_at: now,
            fresh_until: now.saturating_add(millis(self.ttl)),
            compute_time: u32::try_from(compute_time.as_millis()).unwrap_or(u32::MAX),
            stamps: stamps.into(),
            named: named.into(),
        };
        envelope::seal(key, &label, &self.bytes)
            .ok_or(Error::new(ErrorKind::TooLarge, "the value is larger than 4 GiB, or has too many tags"))
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
fn new_stamp() -> Bytes {
    Bytes::copy_from_slice(&random().to_be_bytes())
}

fn stamp_from(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
