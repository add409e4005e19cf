//! The steps of one call of one instance: what a [`Call`] is made of.
//!
//! A call in a shared store looks for itself before it joins, and takes what another has computed only if the store has
//! accepted it, or if the body began after the call: then no invalidation, by whatever process, has come between.

mod body;
mod join;
mod lease;
mod read;
mod result;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::flight::{Flight, Sequence};
use super::follower_result::{FlightOutput, Shares};
use super::instance_cache::{Cache, Tiers};
use super::poll_guard::Entered;
use super::steps::{Call, Join, Next, Others, Waiting};
use crate::BoxFuture;
use crate::lookup::{Origin, Provenance};
use crate::memory::{CachedValue, Fill, TagSnapshot};
use crate::shared::{HeldLease, LeaseAnswer, LeaseRequest, SharedRead, Tier};
use crate::signature::{KeyType, ReturnKind, TimeoutOutput};
use crate::util::Moment;

/// One call of one instance.
pub(crate) struct CallState<K: KeyType, O: ReturnKind> {
    cache: &'static Cache<K, O>,
    key: K,
    tags: Vec<String>,
    purpose: Purpose,
    begun: Instant,
    turn: Sequence,
    /// When it began to compute.
    computing_since: Instant,
    looking: Option<BoxFuture<'static, SharedRead<O::Value>>>,
    /// A value that is no longer fresh, for want of a better one.
    fallback: Option<CachedValue<O::Value>>,
    /// Until when what it is to replace is fresh, in memory.
    replaces: Option<Moment>,
    part: Part<FlightOutput<O>>,
    /// The tags of what it computes.
    tagged: Option<TagSnapshot>,
    /// How often it was in vain that it waited, as the computation failed, or went for the lease, as the key was filled.
    disappointments: u8,
    /// The flight that it waits for, or waited for last.
    followed: Option<Arc<Flight<FlightOutput<O>, HeldLease>>>,
    /// What it saw in the shared store, if that was nothing.
    lease_request: Option<LeaseRequest>,
    held: Option<HeldLease>,
    /// Whether a computation of this process that it waited for has failed: it waits for no other process then.
    failed: bool,
    origin: Origin,
    shares: Shares<O>,
}

/// Why a call computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There was no value.
    Answer,
    /// There is one, and the next one is wanted before anybody waits for it.
    BackgroundRefresh,
    /// Whatever there is is to be replaced.
    Refresh,
}

/// Its part in the flight.
enum Part<S> {
    None,
    Leads(Arc<Flight<S, HeldLease>>),
    /// It computes for itself, and may store the result unless something was voided since.
    Alone {
        invalidations: u64,
    },
    /// It was called by the computation of its own key, which will store the result.
    Inside,
}

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(crate) fn new(cache: &'static Cache<K, O>, key: K, tags: Vec<String>, purpose: Purpose) -> Self {
        let now = Instant::now();
        Self {
            cache,
            key,
            tags,
            purpose,
            begun: now,
            turn: Sequence::take(),
            computing_since: now,
            looking: None,
            fallback: None,
            replaces: None,
            part: Part::None,
            tagged: None,
            disappointments: 0,
            followed: None,
            lease_request: None,
            held: None,
            failed: false,
            origin: Origin::COMPUTED,
            shares: Shares::Output,
        }
    }

    /// Whether to compute though there is an old value: not if that has just failed.
    fn may_try(&self) -> bool {
        self.cache.failures.is_time_for(&self.key)
    }

    /// Takes note that it failed, though there is an old value, unless something was voided since.
    fn note_failure(&self) {
        let invalidations = match &self.part {
            Part::Leads(flight) => flight.invalidations,
            Part::Alone { invalidations } => *invalidations,
            Part::Inside | Part::None => return,
        };
        self.cache
            .flights
            .unless_invalidated(&self.key, invalidations, || self.cache.failures.add(self.key.clone()));
    }

    fn tier(&self) -> Option<&'static Tier<K, O::Value>> {
        match &self.cache.tiers {
            Tiers::Shared(tier) => Some(tier),
            Tiers::Memory(_) => None,
        }
    }

    /// Whether none of the tags was invalidated by this process since it began to compute.
    fn is_current(&self) -> bool {
        self.tagged.as_ref().is_none_or(TagSnapshot::is_current)
    }

    fn provenance(&self) -> Provenance {
        Provenance { origin: self.origin, key: self.cache.display_key(&self.key) }
    }
}

impl<K: KeyType, O: ReturnKind> Call<O::Output> for CallState<K, O> {
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Others<O::Output>> {
        self.look(cx)
    }

    fn join(&mut self) -> Join<O::Output> {
        self.join()
    }

    fn renews(&mut self) -> bool {
        self.renews()
    }

    fn waited(&mut self, waited: Waiting<O::Output>) -> Next<O::Output> {
        self.waited(waited)
    }

    fn claim(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>> {
        self.claim()
    }

    fn claimed(&mut self, claimed: LeaseAnswer) -> bool {
        self.claimed(claimed)
    }

    fn enter(&self) -> Option<Entered> {
        self.enter()
    }

    fn upkeep(&self) -> Option<BoxFuture<'static, TimeoutOutput<O::Output>>> {
        self.upkeep()
    }

    fn computed(
        &mut self,
        output: Result<O::Output, TimeoutOutput<O::Output>>,
    ) -> (O::Output, Option<BoxFuture<'static, Fill>>) {
        self.computed(output)
    }

    fn filled(&mut self, fill: Fill, output: &O::Output) {
        self.filled(fill, output);
    }

    fn provenance(&self) -> Provenance {
        self.provenance()
    }

    fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        self.interest()
    }

    fn deserted(&self) -> BoxFuture<'static, ()> {
        self.deserted()
    }
}

impl<K: KeyType, O: ReturnKind> Drop for CallState<K, O> {
    /// A leader that goes without a result lets the next one in.
    fn drop(&mut self) {
        if std::thread::panicking() && !matches!(self.part, Part::None) {
            self.cache.counters.panics.add(1);
            if self.purpose == Purpose::BackgroundRefresh {
                self.note_failure();
            }
        }
        if let Part::Leads(flight) = &self.part {
            self.cache.flights.withdraw(&self.key, flight);
            flight.abandon(self.held.take());
        }
    }
}
