//! The state of one call of one instance, and the steps that are made with it, one in each file.
//!
//! With a shared store a call reads the store itself before it joins a flight. It takes the result of the flight only
//! if the store has accepted it, or if the body began after the call. So no invalidation, by any process, lies between
//! the result and the call.

mod body;
mod join;
mod lease;
mod place;
mod read;
mod result;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use tracing::Span;

use super::background::Turn;
use super::backoff::Permission;
use super::flight::Sequence;
use super::flights::Ends;
use super::follower_result::{CallFlight, FollowerResult};
use super::instance_cache::{InstanceCache, Tiers};
use super::places::Place;
use super::poll_guard::PollGuard;
use super::steps::{Available, Call, Join, Next, WaitEnd};
use crate::BoxFuture;
use crate::lookup::{Origin, Provenance};
use crate::memory::{CachedValue, Fill, TagSnapshot};
use crate::policy::Mode;
use crate::shared::{LeaseAnswer, LeaseRequest, Tier, TierRead};
use crate::signature::{KeyType, ReturnKind, TimeoutOutput};
use crate::util::Moment;

/// One call of one instance.
pub(crate) struct CallState<K: KeyType, O: ReturnKind> {
    cache: &'static InstanceCache<K, O>,
    key: K,
    /// The static tags.
    tags: Vec<String>,
    purpose: Purpose,
    sequence: Sequence,
    /// When it joined a flight first; not known before, as a hit needs no clock.
    started_at: Option<Instant>,
    compute_started_at: Option<Instant>,
    /// The read of the shared store that is pending.
    reading: Option<TierRead<K, O::Value>>,
    /// A value that was found but is not the answer; it is returned if the computation fails.
    stale_value: Option<Box<CachedValue<O::Value>>>,
    /// The permission to compute although there is a stale value; given back if the call returns that one nevertheless.
    permission: Option<Permission>,
    /// The time until which the value found in memory is fresh.
    found_fresh_until: Option<Moment>,
    role: Role<K, O>,
    /// Its place among the computations that may run at a time.
    place: Option<Place>,
    /// Whether a computation of this function has made the call: that one has a place, and waits for this call.
    is_nested: bool,
    /// The tags of the computation, with the state from which it began.
    tag_snapshot: Option<TagSnapshot>,
    /// The number of computations that it waited for and that failed in this process without an error for it.
    failed_waits: u8,
    /// The number of requests for leases of keys that were filled.
    filled_leases: u8,
    /// The flight that it follows, or followed last.
    followed: Option<Arc<CallFlight<K, O>>>,
    /// The lease request for the state in which the shared store was read; `None` if no lease is to be requested.
    lease_request: Option<Box<LeaseRequest>>,
    origin: Origin,
    follower_result: FollowerResult<O>,
}

/// Why a call computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There is no value to return.
    Answer,
    /// A value was returned, and the next one is computed before a call has to wait for it.
    BackgroundRefresh,
    /// The caller replaces the value, whatever it is.
    Refresh,
    /// Caching is off for the caller: the result is not stored.
    Uncached,
}

impl Purpose {
    /// Returns the purpose of a call.
    #[inline]
    pub(crate) const fn of_call(mode: Mode) -> Self {
        match mode {
            Mode::Normal => Self::Answer,
            Mode::Recompute => Self::Refresh,
            Mode::Uncached => Self::Uncached,
        }
    }

    /// Returns what metrics and spans call it.
    const fn cause(self) -> &'static str {
        match self {
            Self::Answer => "miss",
            Self::BackgroundRefresh => "background",
            Self::Refresh => "refresh",
            Self::Uncached => "uncached",
        }
    }
}

/// The role of a call in the flight of its key.
enum Role<K, O: ReturnKind> {
    /// It has not joined, or is a follower, or has ended its flight.
    None,
    Leader(Arc<CallFlight<K, O>>),
    /// It computes with a flight that no call joins.
    Independent(Arc<CallFlight<K, O>>),
    /// It was made by the computation of its own key, which stores the result; or caching is off. It stores nothing.
    Recursive,
}

impl<K, O: ReturnKind> Role<K, O> {
    /// Returns the flight that the call computes for.
    fn flight(&self) -> Option<&Arc<CallFlight<K, O>>> {
        match self {
            Self::Leader(flight) | Self::Independent(flight) => Some(flight),
            Self::None | Self::Recursive => None,
        }
    }
}

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(crate) fn new(
        cache: &'static InstanceCache<K, O>,
        key: K,
        tags: Vec<String>,
        purpose: Purpose,
    ) -> Box<Self> {
        // Written into the box, not moved there.
        Box::write(
            Box::new_uninit(),
            Self {
                cache,
                key,
                tags,
                purpose,
                sequence: Sequence::next(),
                started_at: None,
                compute_started_at: None,
                reading: None,
                stale_value: None,
                permission: None,
                found_fresh_until: None,
                role: Role::None,
                place: None,
                is_nested: false,
                tag_snapshot: None,
                failed_waits: 0,
                filled_leases: 0,
                followed: None,
                lease_request: None,
                origin: Origin::COMPUTED,
                follower_result: FollowerResult::Output,
            },
        )
    }

    fn tier(&self) -> Option<&'static Tier<K, O::Value>> {
        match &self.cache.tiers {
            Tiers::Shared(tier) => Some(tier),
            Tiers::Memory(_) => None,
        }
    }

    /// Returns when the call began to wait for a computation, or to compute.
    fn started_at(&self) -> Instant {
        self.started_at.unwrap_or_else(Instant::now)
    }

    /// Returns `true` if this process has not invalidated a tag since the computation began.
    fn is_current(&self) -> bool {
        self.tag_snapshot.as_ref().is_none_or(TagSnapshot::is_current)
    }

    /// Begins the backoff of the key after a failure, unless something was invalidated since the computation began.
    fn record_failure(&self) {
        let Some(flight) = self.role.flight() else { return };
        let (flights, backoff) = (&self.cache.flights, &self.cache.backoff);
        let key = flight.key_hash();
        flights.unless_outdated(flight, || backoff.record_failure(key));
    }

    /// Returns `true` if a computation that it waited for has failed in this process without an error for it. It then
    /// waits for no other process.
    fn has_leader_failed(&self) -> bool {
        self.failed_waits > 0
    }

    fn provenance(&self) -> Provenance {
        Provenance { origin: self.origin, key: self.cache.display_key(&self.key) }
    }
}

/// The steps are the methods of the same names in the files of this module.
impl<K: KeyType, O: ReturnKind> Call<O::Output> for CallState<K, O> {
    fn read_shared(&mut self, cx: &mut Context<'_>) -> Poll<Available<O::Output>> {
        self.read_shared(cx)
    }

    fn join(&mut self) -> Join<O::Output> {
        self.join()
    }

    fn on_wait_ended(&mut self, end: WaitEnd<O::Output>) -> Next<O::Output> {
        self.on_wait_ended(end)
    }

    fn background_turn(&self) -> Turn {
        let cache = self.cache;
        Turn::new(
            &cache.background,
            cache.flights.hash(&self.key),
            cache.policy.timeout_now(),
            cache.counters,
            &cache.backoff,
        )
    }

    fn begin_background_refresh(&mut self) -> bool {
        self.begin_background_refresh()
    }

    fn acquire_lease(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>> {
        self.acquire_lease()
    }

    fn on_lease_answer(&mut self, answer: LeaseAnswer) -> bool {
        self.on_lease_answer(answer)
    }

    fn take_place(&mut self) -> Option<BoxFuture<'static, Option<Place>>> {
        self.take_place()
    }

    fn on_place(&mut self, place: Option<Place>) {
        self.on_place(place);
    }

    fn compute_span(&self) -> Span {
        self.compute_span()
    }

    fn poll_guard(&self) -> Option<PollGuard<'_>> {
        self.poll_guard()
    }

    fn keep_alive(&self) -> Option<BoxFuture<'static, TimeoutOutput<O::Output>>> {
        self.keep_alive()
    }

    fn on_computed(
        &mut self,
        output: Result<O::Output, TimeoutOutput<O::Output>>,
    ) -> (O::Output, Option<BoxFuture<'static, Fill>>) {
        self.on_computed(output)
    }

    fn on_filled(&mut self, fill: Fill, output: &O::Output) {
        self.on_filled(fill, output);
    }

    fn provenance(&self) -> Provenance {
        self.provenance()
    }

    fn caller_guard(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        self.caller_guard()
    }

    fn abandoned(&self) -> BoxFuture<'static, ()> {
        self.abandoned()
    }
}

impl<K: KeyType, O: ReturnKind> Drop for CallState<K, O> {
    /// Hands the flight of a leader that ends without a result over to a follower, with the lease.
    fn drop(&mut self) {
        if std::thread::panicking() && !matches!(self.role, Role::None) {
            self.cache.counters.panics.add(1);
            if self.purpose == Purpose::BackgroundRefresh {
                self.record_failure();
            }
        }
        if let Some(flight) = self.role.flight() {
            self.cache.flights.withdraw(flight, Ends::One);
            flight.abandon();
        }
    }
}
