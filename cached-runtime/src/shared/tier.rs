//! A shared store as a tier: with a codec and a deadline, and a failure is a miss.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::codec::{Codec, Storable};
use super::envelope;
use super::envelope::Header;
use super::generations::{Location, Tags};
use super::invalidate_tag;
pub(crate) use super::lease::{HeldLease, LeaseAnswer, LeaseRequest, Payload};
use super::lease::{LEASE, Occupant};
use super::namespace::{Loaded, Namespace, in_a_task};
use super::pending::Invalidation;
use crate::memory::DerivedTags;
use crate::memory::{Age, CachedValue, Freshness, State};
use crate::policy::Counters;
use crate::policy::Policy;
use crate::util::unix_millis;
use crate::{BoxFuture, Error, ErrorKind, Key, LeaseMode, Result, Watch};

/// The shared values of one instance of a function.
pub(crate) struct Tier<K, V> {
    key: fn(&str, &K) -> Result<Key>,
    codec: Codec<V>,
    /// Whether a stored value says that the function failed: such a one is of no use when it is not fresh any more.
    is_err: fn(&V) -> bool,
    policy: &'static Policy,
    tags: Tags,
    remote: Namespace,
}

/// What is under a key.
#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    /// A value that is of use.
    pub(crate) cached: Option<CachedValue<V>>,
    /// What the lease can be asked for with; nothing if the store fails, or if there is a fresh value.
    pub(crate) lease_request: Option<LeaseRequest>,
}

/// A value in a store has at most so many tags.
const MOST_TAGS: usize = 100;

impl<K, V> Tier<K, V>
where
    K: serde::Serialize,
    V: Storable,
{
    pub(crate) fn new(
        policy: &'static Policy,
        name: &str,
        counters: &'static Counters,
        is_err: fn(&V) -> bool,
        has_tags_from: bool,
    ) -> Self {
        let remote = remote(policy, name, counters);
        let tags = match (policy.has_tags, has_tags_from) {
            (_, true) => Tags::FromValue(invalidate_tag::remote(&remote.store)),
            (true, false) => Tags::Of(invalidate_tag::remote(&remote.store)),
            (false, false) => Tags::None,
        };
        let codec = Codec::new(policy.codec);
        Self { key: |namespace, key| Key::new(namespace, key), codec, is_err, policy, tags, remote }
    }
}

fn remote(policy: &Policy, name: &str, counters: &'static Counters) -> Namespace {
    Namespace::new(Namespace::store_of(policy), format!("{name}.v{}", policy.version), counters)
}

/// Makes every value of a namespace stale, when its types are not at hand.
///
/// What the store could not be told is not repeated: this process has no use for the namespace yet.
pub(crate) fn clear(
    policy: &Policy,
    name: &str,
    counters: &'static Counters,
) -> BoxFuture<'static, Result<()>> {
    let remote = policy.is_shared().then(|| remote(policy, name, counters));
    Box::pin(async move {
        match remote {
            Some(remote) => remote.renew_stamp().await,
            None => Ok(()),
        }
    })
}

impl<K, V> Tier<K, V> {
    /// Looks what is under a key.
    pub(crate) async fn read(&'static self, key: &K, tags: &[String]) -> SharedRead<V> {
        let nothing = SharedRead { cached: None, lease_request: None };
        let Ok(place) = self.place(key, tags) else { return nothing };
        let payments = self.payments();
        let Ok((place, loaded)) = self.find(place).await else { return nothing };
        let kept = self.usable(&place, &loaded, payments);
        if kept.as_ref().is_some_and(|kept| kept.state == State::Fresh) {
            return SharedRead { cached: kept, lease_request: None };
        }
        let occupant = loaded.value.map_or(Occupant::None, Occupant::Useless);
        SharedRead {
            cached: kept,
            lease_request: Some(LeaseRequest { place, stamps: Some(loaded.stamps), occupant, holder: None }),
        }
    }

    /// Where the value of a place is, or is to be: there, or beside one of another type, and what was found.
    async fn find(&'static self, place: Location) -> Result<(Location, Loaded)> {
        let loaded = self.load_together(&place).await?;
        let Some(beside) = self.beside(&place, &loaded) else { return Ok((place, loaded)) };
        let found = self.load_together(&beside).await?;
        // Without what it lay beside its own place is free.
        let is_free = found.stamps.last().is_some_and(Option::is_none);
        Ok(if is_free { (place, loaded) } else { (beside, found) })
    }

    /// What is under the keys of a place, for all who ask at one time.
    async fn load_together(&'static self, place: &Location) -> Result<Loaded> {
        let (remote, asked) = (&self.remote, place.clone());
        let looked = remote.looks.look(&place.key, move || {
            let place = asked.clone();
            async move { remote.load(&place).await }
        });
        looked.await
    }

    /// A key whose value is to be replaced, so that it counts as lease_request.
    pub(crate) fn replacing(&self, key: &K, tags: &[String]) -> Option<LeaseRequest> {
        Some(LeaseRequest {
            place: self.place(key, tags).ok()?,
            stamps: None,
            occupant: Occupant::Any,
            holder: None,
        })
    }

    /// Asks for the lease of a key that was seen lease_request.
    ///
    /// What fills it must be computed after this, so that no value from before an invalidation is stored.
    /// The store is asked by a task: a lease that is given after the caller has gone is given back.
    pub(crate) async fn acquire(&'static self, lease_request: LeaseRequest) -> LeaseAnswer {
        in_a_task(self.remote.acquire(lease_request)).await.unwrap_or(LeaseAnswer::Unknown)
    }

    /// Asks to be told when a key that was seen lease_request may have changed; nothing if the store can not tell, or fails.
    pub(crate) async fn watch(&'static self, lease_request: &LeaseRequest) -> Option<Watch> {
        self.remote.bounded(|store| store.watch(&lease_request.place.key)).await.ok()?
    }

    /// The value under a key; nothing if the store fails.
    pub(crate) async fn peek(&'static self, key: &K, tags: &[String]) -> Option<CachedValue<V>> {
        let payments = self.payments();
        let (place, loaded) = self.find(self.place(key, tags).ok()?).await.ok()?;
        self.usable(&place, &loaded, payments)
    }

    /// Turns a value into bytes; with the tags that only the value tells.
    pub(crate) fn encode(&self, value: &V, ttl: Duration, told: &DerivedTags) -> Result<Payload> {
        let bytes = (self.codec.encode)(value).inspect_err(|error| self.remote.unfit(error))?;
        let tags = match self.tags {
            Tags::FromValue(remote) => remote.told_keys(told),
            Tags::None | Tags::Of(_) => Vec::new(),
        };
        if tags.len() > MOST_TAGS {
            return Err(self.too_many_tags());
        }
        let retention = if (self.is_err)(value) { Duration::ZERO } else { self.policy.retention() };
        let (codec, fingerprint) = (self.codec.id, self.codec.fingerprint);
        Ok(Payload { bytes, ttl, retention, codec, fingerprint, tags })
    }

    /// Stores a value whatever is there, and ends the lease.
    pub(crate) async fn put(&'static self, key: &K, tags: &[String], payload: Payload) -> Result<()> {
        let place = self.place(key, tags)?;
        // What it was to replace must not come back.
        let debt = Invalidation::Key(place.key.clone());
        let put = async move {
            // A clear that is repeated later would take this value with it.
            while self.remote.owed.next() == Some(Invalidation::All) {
                self.remote.pay_one().await.transpose()?;
            }
            let stamps = self.remote.stamps(&place, None).await?;
            let named = match self.tags {
                Tags::FromValue(tags) => tags.name(&payload.tags).await?,
                Tags::None | Tags::Of(_) => Vec::new(),
            };
            let bytes = payload.seal(&place.key, &stamps, &named, Duration::ZERO)?;
            self.remote.bounded(|store| store.put(&place.key, bytes, Some(payload.term()))).await
        };
        self.remote.change(debt, put).await
    }

    /// Removes a value and ends the lease.
    pub(crate) async fn remove(&'static self, key: &K) -> Result<()> {
        let key = self.key(key)?;
        self.remote.change(Invalidation::Key(key.clone()), async move { self.remote.tell(&key).await }).await
    }

    /// Makes a value stale and ends the lease; if the store can not be told, the value is to be removed.
    pub(crate) async fn expire(&'static self, key: &K, tags: &[String]) -> Result<()> {
        let place = self.place(key, tags)?;
        let (remote, retention, key) = (&self.remote, self.policy.retention(), place.key.clone());
        let expired = async move {
            if retention.is_zero() {
                remote.tell(&place.key).await
            } else {
                expire(remote, &place.key, retention).await
            }
        };
        self.remote.change(Invalidation::Key(key), expired).await
    }

    /// Makes every value stale, by one write.
    pub(crate) async fn clear(&'static self) -> Result<()> {
        self.remote.change(Invalidation::All, self.remote.renew_stamp()).await
    }

    /// The key as it is sent, for people.
    pub(crate) fn name(&self, key: &K) -> String {
        self.key(key).map_or_else(|_| self.remote.namespace.clone(), |key| key.as_str().to_owned())
    }

    fn key(&self, key: &K) -> Result<Key> {
        (self.key)(&self.remote.namespace, key).inspect_err(|error| self.remote.unfit(error))
    }

    fn place(&self, key: &K, tags: &[String]) -> Result<Location> {
        let (key, stamp) = (self.key(key)?, self.remote.stamp.clone());
        let stamps = match self.tags {
            Tags::None => [stamp].into(),
            Tags::Of(_) | Tags::FromValue(_) if tags.len() > MOST_TAGS => {
                return Err(self.too_many_tags());
            }
            Tags::Of(remote) | Tags::FromValue(remote) => {
                let tags = tags.iter().map(|tag| remote.tag_key(tag));
                [stamp, remote.stamp.clone()].into_iter().chain(tags).collect()
            }
        };
        Ok(Location { key, stamps, beside: None, tags: self.tags })
    }

    fn too_many_tags(&self) -> Error {
        let error = Error::new(ErrorKind::TooLarge, "a value in a store has at most 100 tags of each kind");
        self.remote.unfit(&error);
        error
    }

    /// Where ours lies when a program with another type of the value uses this place: both run during a deploy, and neither
    /// is to take the place of the other's.
    ///
    /// It counts only as long as the other value is the one that was there when ours was computed. So whatever ends that one,
    /// by whichever program, ends ours too.
    fn beside(&self, place: &Location, loaded: &Loaded) -> Option<Location> {
        let other = loaded.value.as_ref()?;
        if envelope::is_labelled(other, self.codec.id, self.codec.fingerprint) {
            return None;
        }
        let (label, _) = envelope::open(&place.key, other)?;
        let is_used =
            label.stamps.first().copied() == *loaded.stamps.first()? && label.fresh_until > unix_millis();
        let own = format!("{}.{:016x}.{}", self.remote.namespace, self.codec.fingerprint, self.codec.id);
        is_used.then(|| Location {
            key: Key::from_bytes(&own, &place.key.digest()),
            beside: Some(place.key.clone()),
            ..place.clone()
        })
    }

    /// The value in what was found. Without a stamp every value counts as cleared, and one that should have been removed
    /// counts as removed, also if it was removed while it was on its way here: there have been more payments then.
    fn usable(&self, place: &Location, loaded: &Loaded, payments: u64) -> Option<CachedValue<V>> {
        let is_good = || !self.is_owed(place) && self.payments() == payments;
        let value = loaded.value.as_ref().filter(|_| is_good())?;
        let (label, value) = self.open(&place.key, value)?;
        let is_current = current(&loaded.stamps, label.stamps.iter().copied())
            && current(&loaded.named, label.named.iter().map(|(_, stamp)| *stamp))
            && !place.tags.are_owed(label.named.iter().map(|(tag, _)| tag));
        if !is_current {
            return None;
        }
        let age = age(&label);
        let retention = if (self.is_err)(&value) { Duration::ZERO } else { self.policy.retention() };
        let state = age.state(retention, self.policy.refresh_ahead);
        (state != State::Expired).then_some(CachedValue { value, age, state })
    }

    /// How often something was paid that was owed to the store.
    fn payments(&self) -> u64 {
        self.remote.owed.payments() + self.tags.remote().map_or(0, |tags| tags.owed.payments())
    }

    /// Whether the store may still hold a value that was invalidated.
    fn is_owed(&self, place: &Location) -> bool {
        let is_owed = |key: &Key| self.remote.owed.covers(key);
        is_owed(&place.key)
            || place.beside.as_ref().is_some_and(is_owed)
            || place.tags.are_owed(&*place.stamps)
    }

    /// The value in an envelope, if it is one of ours and of this type.
    fn open(&self, key: &Key, bytes: &[u8]) -> Option<(Header, V)> {
        let opened = envelope::open(key, bytes).and_then(|(label, payload)| {
            let is_ours = label.codec == self.codec.id && label.fingerprint == self.codec.fingerprint;
            let value = is_ours
                .then(|| (self.codec.decode)(payload).inspect_err(|_| self.remote.unreadable()).ok())??;
            Some((label, value))
        });
        if opened.is_none() {
            self.remote.counters.undecodable.add(1);
            tracing::debug!(namespace = %self.remote.namespace, "a value in the store can not be used");
        }
        opened
    }
}

/// Puts a stale copy in place of a value, by way of the lease: what is computed from before this can not be stored.
async fn expire(remote: &'static Namespace, key: &Key, retention: Duration) -> Result<()> {
    let acquired = remote.bounded(|store| store.acquire(key, LEASE, LeaseMode::Replace)).await?;
    // Somebody computes: that is over now, and what was there may be gone by now.
    let Some(lease) = acquired.lease else { return remote.bounded(|store| store.remove(key)).await };
    let stale = acquired.value.and_then(|value: Bytes| envelope::expire(key, &value, unix_millis()));
    match stale {
        Some(stale) => remote.bounded(|store| store.fill(key, lease, stale, retention)).await.map(drop),
        None => remote.bounded(|store| store.release(key, lease)).await,
    }
}

/// Whether each stamp that was found is the one of a value.
fn current(found: &[Option<u64>], stamps: impl Iterator<Item = u64>) -> bool {
    found.iter().copied().eq(stamps.map(Some))
}

fn age(label: &Header) -> Age {
    let (now, millis) = (unix_millis(), Duration::from_millis);
    let left = match label.fresh_until.checked_sub(now) {
        Some(left) if left > 0 => Freshness::Fresh(millis(left)),
        Some(_) | None => Freshness::Stale(millis(now - label.fresh_until)),
    };
    Age {
        since: millis(now.saturating_sub(label.computed_at)),
        left,
        life: millis(label.fresh_until.saturating_sub(label.computed_at)),
        cost: millis(label.compute_time.into()),
    }
}

impl<K, V> fmt::Debug for Tier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("namespace", &self.remote.namespace).finish_non_exhaustive()
    }
}
