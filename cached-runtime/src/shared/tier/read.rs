//! What is read from a shared store, and whether it is of use.

use std::time::Duration;

use super::Tier;
use crate::memory::{Age, CachedValue, Freshness, State};
use crate::shared::envelope;
use crate::shared::envelope::Header;
use crate::shared::lease::{LeaseRequest, Occupant};
use crate::shared::location::Location;
use crate::shared::namespace::Loaded;
use crate::util::unix_millis;
use crate::{Key, Result};

/// What is under a key.
#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    /// A value that is of use.
    pub(crate) cached: Option<CachedValue<V>>,
    /// What the lease can be asked for with; nothing if the store fails, or if there is a fresh value.
    pub(crate) lease_request: Option<LeaseRequest>,
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

    /// The value under a key; nothing if the store fails.
    pub(crate) async fn peek(&'static self, key: &K, tags: &[String]) -> Option<CachedValue<V>> {
        let payments = self.payments();
        let (place, loaded) = self.find(self.place(key, tags).ok()?).await.ok()?;
        self.usable(&place, &loaded, payments)
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
