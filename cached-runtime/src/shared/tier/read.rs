//! Reading values, and deciding whether they can be used.

use std::mem;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

use super::Tier;
use crate::memory::{Age, CachedValue, Freshness, State};
use crate::shared::envelope::{self, Envelope};
use crate::shared::generation::Generation;
use crate::shared::generations::{NAMESPACE_GENERATIONS, ReadResult};
use crate::shared::lease::LeaseRequest;
use crate::shared::location::Location;
use crate::shared::reads::Reading;
use crate::util::unix_millis;
use crate::{BoxFuture, Key, LeaseMode, Result, ValueId};

/// The outcome of a read.
#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    /// A usable value: fresh, due for a refresh, or stale.
    pub(crate) cached: Option<CachedValue<V>>,
    /// The request for the lease of the key; `None` if the value is fresh, the store failed, or the namespace is
    /// ambiguous.
    pub(crate) lease_request: Option<Box<LeaseRequest>>,
}

impl<V> SharedRead<V> {
    const NOTHING: Self = Self { cached: None, lease_request: None };
}

/// A read of a key on its way.
///
/// It is part of the call, without an allocation, up to the reply of the store.
///
/// # Cancel safety
///
/// As [`Reading`].
pub(crate) struct TierRead<K: 'static, V: 'static> {
    tier: &'static Tier<K, V>,
    confirmations: u64,
    /// The size of a value that was expected when the read began.
    expected_bytes: usize,
    step: Step<V>,
}

enum Step<V> {
    /// The value at the primary location is read.
    Primary(Location, Reading),
    /// So is what few values need: the generations of derived tags, or the value at the alternate location.
    More(BoxFuture<'static, SharedRead<V>>),
    /// There is nothing to read.
    Ended,
}

impl<K, V> Future for TierRead<K, V> {
    type Output = SharedRead<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SharedRead<V>> {
        let Self { tier, confirmations, expected_bytes, step } = &mut *self;
        let (tier, confirmations, expected_bytes) = (*tier, *confirmations, *expected_bytes);
        loop {
            let found = match step {
                Step::Primary(_, reading) => ready!(Pin::new(reading).poll(cx)),
                Step::More(reading) => return reading.as_mut().poll(cx),
                Step::Ended => return Poll::Ready(SharedRead::NOTHING),
            };
            let Step::Primary(location, _) = mem::replace(step, Step::Ended) else { continue };
            if let Err(error) = &found
                && error.is_timeout()
            {
                let error = error.clone();
                *step = Step::More(Box::pin(async move {
                    match tier.namespace.read_again_if_large(&location, expected_bytes, error).await {
                        Ok(found) => tier.decide_with_all(location, found, confirmations).await,
                        Err(_) => SharedRead::NOTHING,
                    }
                }));
                continue;
            }
            let Ok(found) = tier.namespace.end_read(&location, found) else { continue };
            if !found.has_derived_tags() && tier.has_own_type(&found) {
                return Poll::Ready(tier.decide(location, found, confirmations));
            }
            *step = Step::More(Box::pin(tier.decide_with_all(location, found, confirmations)));
        }
    }
}

impl<K, V> Tier<K, V> {
    /// Begins to read a key.
    pub(crate) fn read(&'static self, key: &K, tags: &[String]) -> TierRead<K, V> {
        let confirmations = self.confirmations();
        let expected_bytes = self.namespace.sizes.expected();
        TierRead {
            tier: self,
            confirmations,
            expected_bytes,
            step: self.begin_read(key, tags).unwrap_or(Step::Ended),
        }
    }

    fn begin_read(&'static self, key: &K, tags: &[String]) -> Option<Step<V>> {
        if self.claim.is_ambiguous() || self.namespace.is_known_down() {
            return None;
        }
        let location = self.location(key, tags).ok()?;
        let reading = self.namespace.begin_read(&location).ok()?;
        Some(Step::Primary(location, reading))
    }

    /// As [`decide`](Self::decide), after reading what few values need.
    async fn decide_with_all(
        &'static self,
        location: Location,
        found: ReadResult,
        confirmations: u64,
    ) -> SharedRead<V> {
        match self.locate_from(location, found).await {
            Ok((location, found)) => self.decide(location, found, confirmations),
            Err(_) => SharedRead::NOTHING,
        }
    }

    /// Returns the value that was found, if it may be used, and the request for the lease unless it is fresh.
    fn decide(&self, location: Location, found: ReadResult, confirmations: u64) -> SharedRead<V> {
        let cached = self.usable(&location, &found, confirmations);
        if cached.as_ref().is_some_and(|cached| cached.state == State::Fresh) {
            return SharedRead { cached, lease_request: None };
        }
        let id = found.value().map(|value| ValueId::of(value));
        let mode = id.map_or(LeaseMode::IfAbsent, LeaseMode::IfUnchanged);
        let generations = Some(found.generations.into_boxed());
        SharedRead {
            cached,
            lease_request: Some(Box::new(LeaseRequest {
                location,
                generations,
                mode,
                lease_id: None,
                has_fallback: false,
            })),
        }
    }

    /// Reads a key without preparing to fill it; `None` if there is no usable value, or the store fails.
    pub(crate) async fn peek(&'static self, key: &K, tags: &[String]) -> Option<CachedValue<V>> {
        let confirmations = self.confirmations();
        let location = self.location(key, tags).ok().filter(|_| !self.claim.is_ambiguous())?;
        let (location, found) = self.locate(location).await.ok()?;
        self.usable(&location, &found, confirmations)
    }

    /// Reads a primary location, or the alternate one if a value of another type is at the primary one.
    ///
    /// Returns the location that the value is or belongs at, with what was found there.
    async fn locate(&'static self, primary: Location) -> Result<(Location, ReadResult)> {
        let found = self.namespace.read_however_large(&primary).await?;
        self.locate_from(primary, found).await
    }

    /// As [`locate`](Self::locate), from what was found at the primary location.
    async fn locate_from(
        &'static self,
        primary: Location,
        found: ReadResult,
    ) -> Result<(Location, ReadResult)> {
        let found = self.namespace.read_derived(found).await?;
        let Some(alternate) = self.alternate(&primary, &found) else { return Ok((primary, found)) };
        let found_alternate = self.namespace.read(&alternate).await?;
        // The primary value may be gone by now; then the primary location is free.
        let is_free = found_alternate.generations.last().is_some_and(Option::is_none);
        Ok(if is_free { (primary, found) } else { (alternate, found_alternate) })
    }

    /// Returns the alternate location if a fresh value of another type is at the primary one.
    ///
    /// Both programs run during a deploy, and neither must replace the values of the other; see [`Location`].
    fn alternate(&self, primary: &Location, found: &ReadResult) -> Option<Location> {
        let other = found.value().filter(|_| !self.has_own_type(found))?;
        let opened = envelope::open(&primary.key, other)?;
        let is_in_use = opened.generations().next() == found.generations.first()?.map(|first| first.number)
            && opened.fresh_until() > unix_millis();
        let own_namespace =
            format!("{}.{:016x}.{}", self.namespace.name, self.codec.fingerprint, self.codec.id);
        is_in_use.then(|| Location {
            key: Key::from_bytes(&own_namespace, &primary.key.digest()),
            primary: Some(primary.key.clone()),
            ..primary.clone()
        })
    }

    /// Returns `true` unless a value of another type was found.
    fn has_own_type(&self, found: &ReadResult) -> bool {
        let has_type = |value: &Bytes| envelope::has_type(value, self.codec.id, self.codec.fingerprint);
        found.value().is_none_or(has_type)
    }

    /// Returns the value that was found, if it may be used.
    ///
    /// A missing generation makes every value stale. A value with a pending invalidation counts as removed, also if the
    /// invalidation was confirmed while the value was read: then the number of `confirmations` has changed.
    fn usable(&self, location: &Location, found: &ReadResult, confirmations: u64) -> Option<CachedValue<V>> {
        let is_valid = || !self.has_pending_invalidation(location) && self.confirmations() == confirmations;
        let bytes = found.value().filter(|_| is_valid())?;
        let (envelope, value) = self.open(&location.key, bytes)?;
        if location.tags.has_pending_invalidation(envelope.derived_tag_keys()) {
            return None;
        }
        let tags = NAMESPACE_GENERATIONS..location.generation_keys.len();
        let stale_since = stale_since(&found.generations, envelope.generations(), &tags)?;
        let derived = &found.derived_generations;
        let all = 0..derived.len();
        let stale_since = stale_since.min(self::stale_since(derived, envelope.derived_generations(), &all)?);
        let age = age(&envelope, stale_since);
        let retention = if (self.is_err)(&value) { Duration::ZERO } else { self.policy.retention() };
        let state = age.state(retention, self.policy.refresh_ahead);
        (state != State::Expired).then_some(CachedValue { value, age, state })
    }

    /// Returns a number that changes with every confirmation of a pending invalidation.
    fn confirmations(&self) -> u64 {
        self.namespace.state.pending.confirmations()
            + self.tags.namespace().map_or(0, |tags| tags.state.pending.confirmations())
    }

    /// Returns `true` if the store may still have an invalidated value at this location.
    fn has_pending_invalidation(&self, location: &Location) -> bool {
        let is_pending = |key: &Key| self.namespace.state.pending.covers(key);
        is_pending(&location.key)
            || location.primary.as_ref().is_some_and(is_pending)
            || location.tags.has_pending_invalidation(&*location.generation_keys)
    }

    /// Opens an envelope and decodes the value, if it is valid and of this type and codec.
    fn open<'a>(&self, key: &Key, bytes: &'a [u8]) -> Option<(Envelope<'a>, V)> {
        let opened = envelope::open(key, bytes).and_then(|envelope| {
            let (codec_id, fingerprint) = (envelope.codec_id(), envelope.fingerprint());
            let has_type = codec_id == self.codec.id && fingerprint == self.codec.fingerprint;
            let decode = || {
                let decoded = (self.codec.decode)(envelope.payload);
                decoded.inspect_err(|_| self.namespace.report_undecodable()).ok()
            };
            let value = has_type.then(decode)??;
            Some((envelope, value))
        });
        if opened.is_none() {
            self.namespace.counters.undecodable.add(1);
            tracing::debug!(
                namespace = %self.namespace.name,
                "a stored value is damaged, or has another type or codec; the call treats it as a miss"
            );
        }
        opened
    }
}

/// Returns when a value with these numbers of generations stopped being fresh because a tag was expired, in milliseconds since
/// the Unix epoch; `None` if it was invalidated: every generation must have been found, and be that of the value, or one of a tag
/// that was expired since. `tags` are the positions of the tags.
fn stale_since(
    found: &[Option<Generation>],
    mut own: impl Iterator<Item = u64>,
    tags: &Range<usize>,
) -> Option<u64> {
    let mut stale_since = u64::MAX;
    for (position, found) in found.iter().enumerate() {
        let (found, own) = ((*found)?, own.next()?);
        if found.number != own {
            stale_since = stale_since.min(found.stale_since(own).filter(|_| tags.contains(&position))?);
        }
    }
    own.next().is_none().then_some(stale_since)
}

/// Returns the age of a value that, because of its tags, is stale since this time at the latest.
fn age(envelope: &Envelope<'_>, stale_since: u64) -> Age {
    let (now, millis) = (unix_millis(), Duration::from_millis);
    let (computed_at, fresh_until) = (envelope.computed_at(), envelope.fresh_until().min(stale_since));
    let freshness = match fresh_until.checked_sub(now) {
        Some(left) if left > 0 => Freshness::Fresh(millis(left)),
        Some(_) | None => Freshness::Stale(millis(now - fresh_until)),
    };
    Age {
        elapsed: millis(now.saturating_sub(computed_at)),
        freshness,
        lifetime: millis(fresh_until.saturating_sub(computed_at)),
        compute_time: millis(envelope.compute_time()),
    }
}
