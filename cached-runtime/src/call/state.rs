//! The steps of one call of one instance: what a [`Call`] is made of.
//!
//! A call in a shared store looks for itself before it joins, and takes what another has computed only if the store has
//! accepted it, or if the body began after the call: then no invalidation, by whatever process, has come between.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::cache::{Cache, FlightOutput, Tiers};
use super::flight::{Entered, Flight, Follower, HEARTBEAT, Joined, Sequence, Waited};
use super::lease_wait;
use super::poll::{Call, Found, FoundTraced, Join, Miss, Next, Others, Waiting};
use crate::BoxFuture;
use crate::lookup::{Origin, Provenance, Source};
use crate::memory::TagSnapshot;
use crate::memory::{CachedValue, Entry, Fill, State, WriteAction};
use crate::policy::SingleFlight;
use crate::shared::{HeldLease, LeaseAnswer, LeaseRequest, SharedRead, Tier};
use crate::signature::KeyType;
use crate::signature::{ReturnKind, TimeoutOutput};
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

/// What those who wait get.
enum Shares<O: ReturnKind> {
    /// What the caller gets.
    Output,
    /// The failure that the caller does not get, if it can be shared: each of those who wait has an old value of its own,
    /// or none because it came after the end of that one.
    Failure(Option<O::Shared>),
    TimeoutOutput(TimeoutOutput<O::Output>),
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

/// After waiting so often in vain, a call computes in its own right.
const PATIENCE: u8 = 2;

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

    /// What memory has for a call that is no plain hit.
    pub(crate) fn get(mut self) -> Found<O::Output> {
        match self.in_memory() {
            Others::Answer(output) => Found::Hit(output),
            Others::Early(output) => Found::Early(output, Miss::new(self)),
            Others::Nothing => Found::Miss(Miss::new(self)),
        }
    }

    /// The same for a call that wants to know where the value comes from.
    pub(crate) fn get_traced(mut self) -> FoundTraced<O::Output> {
        match self.in_memory() {
            Others::Answer(output) => FoundTraced::Hit(self.provenance().of(output)),
            Others::Early(output) => FoundTraced::Early(self.provenance().of(output), Miss::new(self)),
            Others::Nothing => FoundTraced::Miss(Miss::new(self)),
        }
    }

    fn in_memory(&mut self) -> Others<O::Output> {
        let Some((kept, until)) = self.cache.kept(&self.key) else { return Others::Nothing };
        self.replaces = Some(until);
        self.weigh_up(kept, Source::Memory)
    }

    /// What a value that was found is good for.
    fn weigh_up(&mut self, kept: CachedValue<O::Value>, source: Source) -> Others<O::Output> {
        let (counters, policy) = (self.cache.counters, self.cache.policy);
        let source = if matches!(kept.state, State::Stale(_)) { Source::Stale } else { source };
        let origin = Origin { source, age: kept.age.since };
        match kept.state {
            State::Fresh | State::Due if source == Source::Memory => counters.hits.add_one(),
            State::Fresh | State::Due => counters.shared_hits.add(1),
            State::Stale(past) if past < policy.stale_while_revalidate => counters.stale_hits.add(1),
            State::Stale(past) if past < policy.stale_if_error && !self.may_try() => {
                counters.stale_hits.add(1);
            }
            State::Stale(_) | State::Expired => {
                self.fallback = Some(kept);
                return Others::Nothing;
            }
        }
        self.origin = origin;
        let output = O::from_value(kept.value);
        if kept.state == State::Fresh { Others::Answer(output) } else { Others::Early(output) }
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

    fn lead(&mut self, flight: &Arc<Flight<FlightOutput<O>, HeldLease>>) {
        if let Some(followed) = self.followed.take() {
            self.held = followed.take_handoff();
        }
        self.part = Part::Leads(Arc::clone(flight));
        self.begin();
        // In a shared store it has the lease, which whoever comes would have to wait for.
        if let (Tiers::Memory(_), Some(tagged)) = (&self.cache.tiers, &self.tagged) {
            flight.ends_with(tagged.clone());
        }
    }

    /// From here on it counts what is invalidated: the body has not begun yet.
    fn begin(&mut self) {
        self.tagged = self.cache.tagged(&self.tags);
        self.body_begins();
    }

    fn body_begins(&mut self) {
        self.computing_since = Instant::now();
        if let Part::Leads(flight) = &self.part {
            flight.body_begins();
        }
    }

    fn wait(&self, follower: Follower<FlightOutput<O>, HeldLease>) -> BoxFuture<'static, Waiting<O::Output>> {
        let turn = self.turn;
        Box::pin(async move {
            match follower.wait(turn).await {
                Waited::Landed(landed) => match Arc::unwrap_or_clone(landed) {
                    FlightOutput::Output(shared, origin) => Waiting::Output(O::from_shared(shared), origin),
                    FlightOutput::TimeoutOutput(timed_out) => Waiting::TimeoutOutput(timed_out),
                },
                Waited::Failed => Waiting::Failed,
                Waited::Outdated => Waiting::Outdated,
                Waited::Abandoned => Waiting::Abandoned,
                Waited::TooLong => Waiting::TooLong,
            }
        })
    }

    /// Whether none of the tags was invalidated by this process since it began to compute.
    fn is_current(&self) -> bool {
        self.tagged.as_ref().is_none_or(TagSnapshot::is_current)
    }

    /// What an output leaves behind that is the caller's too.
    fn leaves(&self, output: &O::Output) -> WriteAction<Duration> {
        let is_err = O::is_err(output);
        match self.cache.lifetime(&self.key, output) {
            // What fails in the background, or is to replace a good value, leaves alone what is there.
            _ if is_err && self.purpose != Purpose::Answer => WriteAction::Keep,
            Some(ttl) => WriteAction::Store(ttl),
            None if is_err => WriteAction::Keep,
            None => WriteAction::Remove,
        }
    }

    /// Ends its flight and leaves in memory what it is to leave there, unless it was voided.
    fn land(&self, output: &O::Output, leaves: WriteAction<Duration>) {
        let (cache, flights) = (self.cache, &self.cache.flights);
        let cost = self.computing_since.elapsed();
        let is_value = matches!(leaves, WriteAction::Store(_));
        // The value is cloned before the lock of the flights is taken, and what gives way is dropped after that.
        let entry = leaves.filter_map(|ttl| {
            let value = O::as_value(output)?.clone();
            Some(Entry::new(value, ttl, cost, self.tagged.clone().map(Arc::new)))
        });
        let leave = |key: K| match entry {
            WriteAction::Store(entry) if self.is_current() => (true, cache.remember(key, entry)),
            WriteAction::Remove => (false, cache.forget(&key)),
            // What it was to replace must not stay in its place.
            WriteAction::Store(_) if self.purpose == Purpose::Refresh => (false, cache.forget(&key)),
            WriteAction::Store(_) | WriteAction::Keep => (false, None),
        };
        let left = match &self.part {
            Part::Leads(flight) => flights.land(&self.key, flight, leave),
            Part::Alone { invalidations } => {
                flights.unless_invalidated(&self.key, *invalidations, || leave(self.key.clone()))
            }
            Part::Inside | Part::None => None,
        };
        if is_value && !left.is_some_and(|(is_stored, _)| is_stored) {
            cache.counters.rejected_fills.add(1);
        }
    }

    /// What the caller gets for an output, and whether that is the output itself: a failure gives way to a value that was
    /// kept for it.
    fn settle_for(&mut self, output: Result<O::Output, TimeoutOutput<O::Output>>) -> (O::Output, bool) {
        let window = match output {
            Ok(output) if !O::is_err(&output) => {
                if self.cache.policy.has_stand_in() {
                    self.cache.failures.forget(&self.key);
                }
                return (output, true);
            }
            Ok(_) => self.cache.policy.stale_if_error,
            Err(_) => self.cache.policy.retention(),
        };
        self.cache.counters.errors.add(1);
        let old = self.fall_back(window);
        if old.is_some() || self.purpose == Purpose::BackgroundRefresh {
            self.note_failure();
        }
        self.shares = match (&old, &output) {
            (_, Err(timed_out)) => Shares::TimeoutOutput(*timed_out),
            (Some(_), Ok(failure)) => Shares::Failure(O::to_shared(failure)),
            (None, Ok(_)) => Shares::Output,
        };
        match (old, output) {
            (Some(old), _) => (old, false),
            (None, Ok(failure)) => (failure, true),
            (None, Err(timed_out)) => (timed_out(), false),
        }
    }

    /// The value that this call has found, if it has not been stale for longer than that.
    fn fall_back(&mut self, window: Duration) -> Option<O::Output> {
        let usable = |kept: &CachedValue<O::Value>| matches!(kept.state, State::Stale(past) if past < window);
        let kept = self.fallback.take().filter(usable)?;
        self.origin = Origin { source: Source::Stale, age: kept.age.since };
        Some(O::from_value(kept.value))
    }
}

impl<K: KeyType, O: ReturnKind> Call<O::Output> for CallState<K, O> {
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Others<O::Output>> {
        let Some(tier) = self.tier().filter(|_| self.purpose == Purpose::Answer) else {
            return Poll::Ready(Others::Nothing);
        };
        let looking = self.looking.get_or_insert_with(|| {
            let (key, tags) = (self.key.clone(), self.tags.clone());
            Box::pin(async move { tier.read(&key, &tags).await })
        });
        let SharedRead { cached, lease_request } = ready!(looking.as_mut().poll(cx));
        self.looking = None;
        self.lease_request = lease_request;
        Poll::Ready(cached.map_or(Others::Nothing, |kept| self.weigh_up(kept, Source::Shared)))
    }

    fn join(&mut self) -> Join<O::Output> {
        let flights = &self.cache.flights;
        let is_refresh = self.purpose == Purpose::Refresh;
        if self.disappointments >= PATIENCE || self.cache.policy.flight() == SingleFlight::Off {
            if is_refresh {
                flights.invalidate(&self.key, || ());
            }
            self.part = Part::Alone { invalidations: flights.invalidations(&self.key) };
            self.begin();
            return Join::Compute;
        }
        if is_refresh {
            let flight = flights.supersede(&self.key);
            self.lead(&flight);
            return Join::Compute;
        }
        match flights.join(&self.key, || self.cache.settled(&self.key)) {
            Joined::Settled((output, origin)) => {
                self.cache.counters.joined.add(1);
                self.origin = origin;
                Join::Settled(output)
            }
            Joined::Leads(flight) => {
                self.lead(&flight);
                Join::Compute
            }
            Joined::Follows(follower) => {
                self.followed = Some(Arc::clone(&follower.flight));
                Join::Wait(self.wait(follower))
            }
            Joined::Recurses => {
                self.part = Part::Inside;
                Join::Compute
            }
        }
    }

    fn renews(&mut self) -> bool {
        self.purpose = Purpose::BackgroundRefresh;
        // What it brings has nothing to do with what it answered.
        (self.fallback, self.origin) = (None, Origin::COMPUTED);
        if !self.may_try() {
            return false;
        }
        let newer = || self.cache.until(&self.key).filter(|until| Some(*until) > self.replaces);
        match self.cache.flights.join(&self.key, newer) {
            Joined::Leads(flight) => {
                self.lead(&flight);
                true
            }
            Joined::Settled(_) | Joined::Follows(_) | Joined::Recurses => false,
        }
    }

    fn waited(&mut self, waited: Waiting<O::Output>) -> Next<O::Output> {
        match waited {
            Waiting::Output(output, origin) => {
                self.cache.counters.joined.add(1);
                self.origin = origin;
                let failed = O::is_err(&output);
                let old = if failed { self.fall_back(self.cache.policy.stale_if_error) } else { None };
                return Next::Return(old.unwrap_or(output));
            }
            Waiting::TimeoutOutput(timed_out) => {
                self.cache.counters.joined.add(1);
                let old = self.fall_back(self.cache.policy.retention());
                return Next::Return(old.unwrap_or_else(timed_out));
            }
            Waiting::Failed => {
                if let Some(old) = self.fall_back(self.cache.policy.stale_if_error) {
                    self.cache.counters.joined.add(1);
                    return Next::Return(old);
                }
                self.disappointments += 1;
                self.failed = true;
            }
            Waiting::Outdated => return Next::Look,
            Waiting::Abandoned => {}
            Waiting::TooLong => {
                if let Some(flight) = &self.followed {
                    self.cache.flights.withdraw(&self.key, flight);
                }
            }
        }
        Next::Join
    }

    fn claim(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>> {
        let tier = self.tier()?;
        if self.held.is_some() || matches!(self.part, Part::Inside) {
            return None;
        }
        let lease_request = match self.purpose {
            Purpose::Answer | Purpose::BackgroundRefresh => self.lease_request.take()?,
            Purpose::Refresh => tier.replace_request(&self.key, &self.tags)?,
        };
        Some(match (&self.part, self.cache.policy.flight(), self.purpose) {
            (Part::Leads(flight), SingleFlight::Fleet, Purpose::Answer) if !self.failed => {
                let (flight, begun) = (Arc::clone(flight), self.begun);
                Box::pin(async move { lease_wait::acquire(tier, lease_request, &flight, begun).await })
            }
            _ => Box::pin(tier.acquire(lease_request)),
        })
    }

    fn claimed(&mut self, claimed: LeaseAnswer) -> bool {
        match claimed {
            LeaseAnswer::Acquired(held) => self.held = Some(held),
            // Without a lease the next value could not be stored: another process is at it, or the store is gone.
            LeaseAnswer::Busy(_) | LeaseAnswer::TakenOver | LeaseAnswer::Unavailable
                if self.purpose == Purpose::BackgroundRefresh =>
            {
                return false;
            }
            LeaseAnswer::Busy(_) | LeaseAnswer::TakenOver | LeaseAnswer::Unavailable => {}
            // Those who wait may have come after whoever filled it was invalidated.
            LeaseAnswer::Filled => {
                if let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) {
                    self.cache.flights.withdraw(&self.key, &flight);
                    flight.mark_outdated();
                }
                // Whoever finds a key filled and then empty again and again computes in the end.
                self.disappointments += 1;
                return false;
            }
        }
        self.body_begins();
        true
    }

    fn enter(&self) -> Option<Entered> {
        match &self.part {
            // Either may hold the lease of the key.
            Part::Leads(_) | Part::Alone { .. } => Some(self.cache.flights.enter(&self.key)),
            Part::None | Part::Inside => None,
        }
    }

    fn upkeep(&self) -> Option<BoxFuture<'static, TimeoutOutput<O::Output>>> {
        // Without a runtime there are no timers, and nothing to keep alive either.
        tokio::runtime::Handle::try_current().ok()?;
        let flight = match &self.part {
            Part::Leads(flight) => Some(Arc::clone(flight)),
            Part::None | Part::Alone { .. } | Part::Inside => None,
        };
        let keep_alive = self.held.as_ref().map(HeldLease::keep_alive);
        let limit = self.cache.policy.timeout.zip(self.cache.rules.timed_out);
        if flight.is_none() && keep_alive.is_none() && limit.is_none() {
            return None;
        }
        let heartbeat = async move {
            match flight {
                Some(flight) => loop {
                    tokio::time::sleep(HEARTBEAT).await;
                    flight.beat();
                },
                None => std::future::pending().await,
            }
        };
        let lease = async move {
            match keep_alive {
                Some(keep_alive) => {
                    keep_alive.await;
                    std::future::pending().await
                }
                None => std::future::pending().await,
            }
        };
        let end = async move {
            match limit {
                Some((limit, timed_out)) => {
                    tokio::time::sleep(limit).await;
                    timed_out
                }
                None => std::future::pending().await,
            }
        };
        Some(Box::pin(async {
            tokio::select! {
                timed_out = end => timed_out,
                never = heartbeat => never,
                never = lease => never,
            }
        }))
    }

    fn computed(
        &mut self,
        output: Result<O::Output, TimeoutOutput<O::Output>>,
    ) -> (O::Output, Option<BoxFuture<'static, Fill>>) {
        let cache = self.cache;
        match (&self.part, self.purpose) {
            (Part::Inside | Part::None, _) => cache.counters.bypassed.add(1),
            (_, Purpose::BackgroundRefresh) => cache.counters.background_refreshes.add(1),
            (_, Purpose::Answer | Purpose::Refresh) => cache.counters.computed.add(1),
        }
        let told = cache.told_by(output.as_ref().ok());
        if let Some(tagged) = &mut self.tagged {
            tagged.extend(&told);
        }
        let (output, is_new) = self.settle_for(output);
        if matches!(self.part, Part::Inside | Part::None) {
            return (output, None);
        }
        let leaves = if is_new { self.leaves(&output) } else { WriteAction::Keep };
        let Some(tier) = self.tier() else {
            self.land(&output, leaves);
            if let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) {
                self.publish(&flight, &output, true);
            }
            return (output, None);
        };
        let waiting = match &self.part {
            Part::Leads(flight) => cache.flights.seal(&self.key, flight),
            Part::Alone { .. } | Part::Inside | Part::None => false,
        };
        let replaces = self.purpose == Purpose::Refresh && !matches!(leaves, WriteAction::Keep);
        let old = replaces.then(|| self.key.clone());
        let settled = self.held.take().map(|held| {
            held.finish(leaves.filter_map(|ttl| tier.encode(O::as_value(&output)?, ttl, &told).ok()), waiting)
        });
        if settled.is_none() && old.is_none() {
            // Whoever holds the lease will fill the key.
            self.filled(Fill::Unknown, &output);
            return (output, None);
        }
        let filled = async move {
            let fill = match settled {
                Some(settled) => settled.await,
                None => Fill::Unknown,
            };
            // What it was to replace must not stay. That the store could not be told is counted, and owed to it.
            if let Some(key) = old.filter(|_| fill != Fill::Stored) {
                let _ = tier.remove(&key).await;
            }
            fill
        };
        (output, Some(Box::pin(filled)))
    }

    fn filled(&mut self, fill: Fill, output: &O::Output) {
        let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) else { return };
        // Not before the store has it: until then the next call in this process waits here and not there.
        self.cache.flights.withdraw(&self.key, &flight);
        if fill == Fill::Rejected {
            self.cache.counters.rejected_fills.add(1);
        }
        self.publish(&flight, output, fill == Fill::Stored);
    }

    fn provenance(&self) -> Provenance {
        Provenance { origin: self.origin, key: self.cache.display_key(&self.key) }
    }

    fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        match &self.part {
            Part::Leads(flight) => Some(Box::new(Interest(flight.follow()))),
            Part::None | Part::Alone { .. } | Part::Inside => None,
        }
    }

    fn deserted(&self) -> BoxFuture<'static, ()> {
        match &self.part {
            Part::Leads(flight) => {
                let flight = Arc::clone(flight);
                Box::pin(async move { flight.deserted().await })
            }
            // It has one caller, who stops it.
            Part::None | Part::Alone { .. } | Part::Inside => Box::pin(std::future::pending()),
        }
    }
}

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    /// Lets those who wait for a flight that is out of the table have the output; if the store has not confirmed it, or one
    /// of its tags was invalidated, only those who came in time.
    fn publish(&self, flight: &Flight<FlightOutput<O>, HeldLease>, output: &O::Output, confirmed: bool) {
        flight.publish(confirmed && self.is_current(), || match &self.shares {
            Shares::Output => O::to_shared(output).map(|shared| FlightOutput::Output(shared, self.origin)),
            Shares::Failure(failure) => Some(FlightOutput::Output(failure.clone()?, Origin::COMPUTED)),
            Shares::TimeoutOutput(timed_out) => Some(FlightOutput::TimeoutOutput(*timed_out)),
        });
    }
}

/// A caller of a detached computation.
struct Interest<S, B>(#[allow(dead_code, reason = "it counts as long as it lives")] Follower<S, B>);

impl<S, B> fmt::Debug for Interest<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interest")
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
