//! The steps of one call of one instance: what a [`Call`] is made of.
//!
//! A call in a shared store looks for itself before it joins, and takes what another has computed only if the store has
//! accepted it: then no invalidation, by whatever process, has come between.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::BoxFuture;
use crate::cache::{Cache, Tiers};
use crate::call::{Call, Join, Looked, Miss, Next, Others, Traced, Waiting};
use crate::clock::Moment;
use crate::entry::{Kept, State};
use crate::flight::{Entered, Flight, Follower, Joined, PULSE, Waited};
use crate::lookup::{Origin, Provenance, Source};
use crate::outcome::Outcome;
use crate::parts::KeyType;
use crate::patience;
use crate::policy::SingleFlight;
use crate::tags::Tagged;
use crate::tier::{Acquiring, Fill, Held, Leaves, Look, Tier, Vacant};

/// What those who wait for a computation get.
pub(crate) type Landed<O> = (<O as Outcome>::Shared, Origin);

/// One call of one instance.
pub(crate) struct Attempt<K: KeyType, O: Outcome> {
    cache: &'static Cache<K, O>,
    key: K,
    tags: Vec<String>,
    purpose: Purpose,
    begun: Instant,
    /// When it began to compute.
    computing_since: Instant,
    looking: Option<BoxFuture<'static, Look<O::Value>>>,
    /// A value that is no longer fresh, for want of a better one.
    fallback: Option<Kept<O::Value>>,
    /// Until when what it is to replace is fresh, in memory.
    replaces: Option<Moment>,
    part: Part<Landed<O>>,
    /// The tags of what it computes.
    tagged: Option<Tagged>,
    /// How often it waited for another's computation in vain: it failed, or was out of date.
    disappointments: u8,
    /// The flight that it waits for, or waited for last.
    followed: Option<Arc<Flight<Landed<O>, Held>>>,
    /// What it saw in the shared store, if that was nothing.
    vacant: Option<Vacant>,
    held: Option<Held>,
    /// Whether another process has the lease, so that this one computes without.
    outrun: bool,
    /// Whether a computation of this process that it waited for has failed: it waits for no other process then.
    failed: bool,
    origin: Origin,
    told: Told<O::Shared>,
}

/// What those who wait are told.
enum Told<S> {
    /// What the caller gets.
    Output,
    /// The failure that the caller does not get, if it can be shared: each of those who wait has an old value of its own,
    /// or none because it came after the end of that one.
    Failure(Option<S>),
    TimedOut,
}

/// Why a call computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There was no value.
    Answer,
    /// There is one, and the next one is wanted before anybody waits for it.
    Renewal,
    /// Whatever there is is to be replaced.
    Refresh,
}

/// Its part in the flight.
enum Part<S> {
    None,
    Leads(Arc<Flight<S, Held>>),
    /// It computes for itself, and may store the result unless something was voided since.
    Alone {
        voided: u64,
    },
    /// It was called by the computation of its own key, which will store the result.
    Inside,
}

/// After waiting so often in vain, a call computes in its own right.
const PATIENCE: u8 = 2;

impl<K: KeyType, O: Outcome> Attempt<K, O> {
    pub(crate) fn new(cache: &'static Cache<K, O>, key: K, tags: Vec<String>, purpose: Purpose) -> Self {
        let now = Instant::now();
        Self {
            cache,
            key,
            tags,
            purpose,
            begun: now,
            computing_since: now,
            looking: None,
            fallback: None,
            replaces: None,
            part: Part::None,
            tagged: None,
            disappointments: 0,
            followed: None,
            vacant: None,
            held: None,
            outrun: false,
            failed: false,
            origin: Origin::COMPUTED,
            told: Told::Output,
        }
    }

    /// What memory has for a call that is no plain hit.
    pub(crate) fn looked(mut self) -> Looked<O::Output> {
        match self.in_memory() {
            Others::Answer(output) => Looked::Hit(output),
            Others::Early(output) => Looked::Early(output, Miss::new(self)),
            Others::Nothing => Looked::Miss(Miss::new(self)),
        }
    }

    /// The same for a call that wants to know where the value comes from.
    pub(crate) fn traced(mut self) -> Traced<O::Output> {
        let found = self.in_memory();
        let provenance = matches!(found, Others::Answer(_) | Others::Early(_)).then(|| self.provenance());
        let looked = match found {
            Others::Answer(output) => Looked::Hit(output),
            Others::Early(output) => Looked::Early(output, Miss::new(self)),
            Others::Nothing => Looked::Miss(Miss::new(self)),
        };
        Traced::new(looked, provenance)
    }

    fn in_memory(&mut self) -> Others<O::Output> {
        let Some((kept, until)) = self.cache.kept(&self.key) else { return Others::Nothing };
        self.replaces = Some(until);
        self.weigh_up(kept, Source::Memory)
    }

    /// What a value that was found is good for.
    fn weigh_up(&mut self, kept: Kept<O::Value>, source: Source) -> Others<O::Output> {
        let counters = self.cache.counters;
        let source = if matches!(kept.state, State::Stale(_)) { Source::Stale } else { source };
        let origin = Origin { source, age: kept.age.since };
        match kept.state {
            State::Fresh | State::Due if source == Source::Memory => counters.hits.add_one(),
            State::Fresh | State::Due => counters.shared_hits.add(1),
            State::Stale(past) if past < self.cache.policy.stale_while_revalidate => counters.stale.add(1),
            State::Stale(_) | State::Expired => {
                self.fallback = Some(kept);
                return Others::Nothing;
            }
        }
        self.origin = origin;
        let output = O::from_value(kept.value);
        if kept.state == State::Fresh { Others::Answer(output) } else { Others::Early(output) }
    }

    fn tier(&self) -> Option<&'static Tier<K, O::Value>> {
        match &self.cache.tiers {
            Tiers::Shared(tier) => Some(tier),
            Tiers::Memory(_) => None,
        }
    }

    fn lead(&mut self, flight: Arc<Flight<Landed<O>, Held>>) {
        if let Some(followed) = self.followed.take() {
            self.held = followed.take_baggage();
        }
        self.part = Part::Leads(flight);
        self.begin();
    }

    /// From here on it counts what is invalidated: the body has not begun yet.
    fn begin(&mut self) {
        if !self.tags.is_empty() || self.cache.rules.tags_from.is_some() {
            self.tagged = Some(Tagged::new(&self.tags));
        }
        self.computing_since = Instant::now();
    }

    fn wait(follower: Follower<Landed<O>, Held>) -> BoxFuture<'static, Waiting<O::Output>> {
        Box::pin(async {
            match follower.wait().await {
                Waited::Landed(landed) => {
                    let (shared, origin) = Arc::try_unwrap(landed).unwrap_or_else(|landed| (*landed).clone());
                    Waiting::Output(O::from_shared(shared), origin)
                }
                Waited::Failed => Waiting::Failed,
                Waited::TimedOut => Waiting::TimedOut,
                Waited::Outdated => Waiting::Outdated,
                Waited::Late => Waiting::Late,
                Waited::Abandoned => Waiting::Abandoned,
                Waited::TooLong => Waiting::TooLong,
            }
        })
    }

    /// Whether none of the tags was invalidated by this process since it began to compute.
    fn is_current(&self) -> bool {
        self.tagged.as_ref().is_none_or(Tagged::is_current)
    }

    /// Ends its flight and remembers the output in memory, if that is where values live.
    ///
    /// What was computed may be stored, in memory or elsewhere, only if this says so: else it was voided.
    fn land(&self, output: &O::Output, ttl: Option<Duration>, leaves_nothing: bool) -> bool {
        let (cache, flights) = (self.cache, &self.cache.flights);
        let cost = self.computing_since.elapsed();
        let tags = || self.tagged.clone().map(Arc::new);
        let mut removed = None;
        let mut remember = |key: K| {
            if leaves_nothing {
                removed = cache.forget(&key);
            }
            self.is_current().then(|| cache.remember(key, output, ttl, cost, tags())).flatten()
        };
        // What gives way to it is dropped after the lock of the flights is given back.
        let evicted = match &self.part {
            Part::Leads(flight) => flights.land(&self.key, flight, remember),
            Part::Alone { voided } => {
                flights.unless_voided(&self.key, *voided, || remember(self.key.clone()))
            }
            Part::Inside | Part::None => None,
        };
        drop(removed);
        let is_stored = evicted.flatten().is_some();
        if !is_stored && ttl.is_some() {
            cache.counters.refused.add(1);
        }
        is_stored
    }

    /// What the caller gets for an output, and whether that is the output itself: a failure gives way to a value that was
    /// kept for it.
    fn settle_for(&mut self, output: Option<O::Output>) -> (O::Output, bool) {
        let (cache, failed) = (self.cache, output.as_ref().is_none_or(O::is_err));
        if failed {
            cache.counters.errors.add(1);
        }
        let window = match output {
            Some(_) => cache.policy.stale_if_error,
            None => cache.policy.retention(),
        };
        let instead = if failed { self.way_out(window) } else { None };
        self.told = match (&instead, &output) {
            (_, None) => Told::TimedOut,
            (Some(_), Some(failure)) => Told::Failure(O::to_shared(failure)),
            (None, Some(_)) => Told::Output,
        };
        match (instead, output) {
            (Some(old), _) => (old, false),
            (None, Some(output)) => (output, true),
            (None, None) => (self.timed_out(), false),
        }
    }

    /// The value that was kept for a failure, if it is not too old for that.
    fn way_out(&mut self, window: Duration) -> Option<O::Output> {
        let usable = |kept: &Kept<O::Value>| matches!(kept.state, State::Stale(past) if past < window);
        let kept = self.fallback.take().filter(usable)?;
        self.origin = Origin { source: Source::Stale, age: kept.age.since };
        Some(O::from_value(kept.value))
    }

    fn timed_out(&self) -> O::Output {
        match self.cache.rules.timed_out {
            Some(timed_out) => timed_out(),
            None => unreachable!("only what has an error for it has a time limit"),
        }
    }
}

impl<K: KeyType, O: Outcome> Call<O::Output> for Attempt<K, O> {
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Others<O::Output>> {
        let Some(tier) = self.tier().filter(|_| self.purpose == Purpose::Answer) else {
            return Poll::Ready(Others::Nothing);
        };
        let looking = self.looking.get_or_insert_with(|| {
            let (key, tags) = (self.key.clone(), self.tags.clone());
            Box::pin(async move { tier.look(&key, &tags).await })
        });
        let Look { kept, vacant } = ready!(looking.as_mut().poll(cx));
        self.looking = None;
        self.vacant = vacant;
        Poll::Ready(kept.map_or(Others::Nothing, |kept| self.weigh_up(kept, Source::Shared)))
    }

    fn join(&mut self) -> Join<O::Output> {
        let flights = &self.cache.flights;
        if self.disappointments >= PATIENCE || self.cache.policy.flight() == SingleFlight::Off {
            self.part = Part::Alone { voided: flights.voided(&self.key) };
            self.begin();
            return Join::Compute;
        }
        if self.purpose == Purpose::Refresh {
            let flight = flights.supersede(&self.key);
            self.lead(flight);
            return Join::Compute;
        }
        match flights.join(&self.key, || self.cache.settled(&self.key)) {
            Joined::Settled((output, origin)) => {
                self.cache.counters.joined.add(1);
                self.origin = origin;
                Join::Settled(output)
            }
            Joined::Leads(flight) => {
                self.lead(flight);
                Join::Compute
            }
            Joined::Follows(follower) => {
                self.followed = Some(Arc::clone(&follower.flight));
                Join::Wait(Self::wait(follower))
            }
            Joined::Recurses => {
                self.part = Part::Inside;
                Join::Compute
            }
        }
    }

    fn renews(&mut self) -> bool {
        self.purpose = Purpose::Renewal;
        // What it brings has nothing to do with what it answered.
        (self.fallback, self.origin) = (None, Origin::COMPUTED);
        let newer = || self.cache.until(&self.key).filter(|until| Some(*until) > self.replaces);
        match self.cache.flights.join(&self.key, newer) {
            Joined::Leads(flight) => {
                self.lead(flight);
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
                let old = if failed { self.way_out(self.cache.policy.stale_if_error) } else { None };
                return Next::Return(old.unwrap_or(output));
            }
            Waiting::TimedOut => {
                self.cache.counters.joined.add(1);
                let old = self.way_out(self.cache.policy.retention());
                return Next::Return(old.unwrap_or_else(|| self.timed_out()));
            }
            Waiting::Failed => {
                if let Some(old) = self.way_out(self.cache.policy.stale_if_error) {
                    self.cache.counters.joined.add(1);
                    return Next::Return(old);
                }
                self.disappointments += 1;
                self.failed = true;
            }
            Waiting::Outdated => {
                self.disappointments += 1;
                return Next::Look;
            }
            Waiting::Late => return Next::Look,
            Waiting::Abandoned => {}
            Waiting::TooLong => {
                if let Some(flight) = &self.followed {
                    self.cache.flights.withdraw(&self.key, flight);
                }
            }
        }
        Next::Join
    }

    fn claim(&mut self) -> Option<BoxFuture<'static, Acquiring>> {
        let tier = self.tier()?;
        if self.held.is_some() || matches!(self.part, Part::Inside) {
            return None;
        }
        let vacant = match self.purpose {
            Purpose::Answer | Purpose::Renewal => self.vacant.take()?,
            Purpose::Refresh => tier.occupied(&self.key, &self.tags)?,
        };
        Some(match (&self.part, self.cache.policy.flight(), self.purpose) {
            (Part::Leads(flight), SingleFlight::Fleet, Purpose::Answer) if !self.failed => {
                let (flight, begun) = (Arc::clone(flight), self.begun);
                Box::pin(async move { patience::acquire(tier, vacant, &flight, begun).await })
            }
            _ => Box::pin(tier.acquire(vacant)),
        })
    }

    fn claimed(&mut self, claimed: Acquiring) -> bool {
        match claimed {
            Acquiring::Held(held) => self.held = Some(held),
            // Without a lease the next value could not be stored: another process is at it, or the store is gone.
            Acquiring::Busy(_) | Acquiring::TakenOver | Acquiring::Unknown
                if self.purpose == Purpose::Renewal =>
            {
                return false;
            }
            Acquiring::Busy(_) | Acquiring::TakenOver => {
                self.outrun = true;
                // It can not know what is invalidated from now on: whoever comes later has to look again.
                if let Part::Leads(flight) = &self.part {
                    self.cache.flights.seal(&self.key, flight);
                }
            }
            Acquiring::Unknown => {}
            // Those who wait may have come after whoever filled it was invalidated.
            Acquiring::Filled => {
                if let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) {
                    self.cache.flights.withdraw(&self.key, &flight);
                    flight.disclaim();
                }
                // Whoever finds a key filled and then empty again and again computes in the end.
                self.disappointments += 1;
                return false;
            }
        }
        self.computing_since = Instant::now();
        true
    }

    fn enter(&self) -> Option<Entered> {
        match &self.part {
            Part::Leads(flight) => Some(flight.enter()),
            Part::None | Part::Alone { .. } | Part::Inside => None,
        }
    }

    fn upkeep(&self) -> Option<BoxFuture<'static, ()>> {
        // Without a runtime there are no timers, and nothing to keep alive either.
        tokio::runtime::Handle::try_current().ok()?;
        let flight = match &self.part {
            Part::Leads(flight) => Some(Arc::clone(flight)),
            Part::None | Part::Alone { .. } | Part::Inside => None,
        };
        let keeper = self.held.as_ref().map(Held::keeper);
        let limit = self.cache.policy.timeout.filter(|_| self.cache.rules.timed_out.is_some());
        if flight.is_none() && keeper.is_none() && limit.is_none() {
            return None;
        }
        let pulse = async move {
            match flight {
                Some(flight) => loop {
                    tokio::time::sleep(PULSE).await;
                    flight.beat();
                },
                None => std::future::pending().await,
            }
        };
        let lease = async move {
            match keeper {
                Some(keeper) => keeper.await,
                None => std::future::pending().await,
            }
        };
        let end = async move {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        Some(Box::pin(async {
            tokio::select! {
                () = end => {}
                () = pulse => {}
                () = lease => {}
            }
        }))
    }

    fn computed(&mut self, output: Option<O::Output>) -> (O::Output, Option<BoxFuture<'static, Fill>>) {
        let cache = self.cache;
        match (&self.part, self.purpose) {
            (Part::Inside | Part::None, _) => cache.counters.bypassed.add(1),
            (_, Purpose::Renewal) => cache.counters.renewed.add(1),
            (_, Purpose::Answer | Purpose::Refresh) => cache.counters.computed.add(1),
        }
        let (output, is_new) = self.settle_for(output);
        if matches!(self.part, Part::Inside | Part::None) {
            return (output, None);
        }
        // What fails in the background leaves alone what is there.
        let is_kept = is_new && !(self.purpose == Purpose::Renewal && O::is_err(&output));
        let ttl = if is_kept { cache.lifetime(&self.key, &output) } else { None };
        // An answer that is not kept leaves no stale one behind; what is fresh a refresh leaves alone.
        let leaves_nothing =
            is_new && ttl.is_none() && !O::is_err(&output) && self.purpose != Purpose::Refresh;
        if let (Some(tagged), Some(tags)) = (&mut self.tagged, cache.tags_of(&output)) {
            tagged.extend(&tags);
        }
        let Some(tier) = self.tier() else {
            self.land(&output, ttl, leaves_nothing);
            if let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) {
                self.publish(&flight, &output);
            }
            return (output, None);
        };
        let waiting = match &self.part {
            Part::Leads(flight) => cache.flights.seal(&self.key, flight),
            Part::Alone { .. } | Part::Inside | Part::None => false,
        };
        if let Some(held) = self.held.take() {
            let tags = cache.tags_of(&output).unwrap_or_default();
            let payload =
                O::as_value(&output).zip(ttl).and_then(|(value, ttl)| tier.encode(value, ttl, &tags).ok());
            let leaves = match payload {
                Some(payload) => Leaves::Value(payload),
                None if leaves_nothing => Leaves::Nothing,
                None => Leaves::WhatIsThere,
            };
            return (output, Some(Box::pin(held.settle(leaves, waiting))));
        }
        // Whoever holds the lease will fill the key. A refresh that goes on without it can not know what was
        // invalidated meanwhile, so its result is for its own caller only.
        let alone = self.outrun && self.purpose == Purpose::Refresh;
        self.filled(if alone { Fill::Refused } else { Fill::Unknown }, &output);
        (output, None)
    }

    fn filled(&mut self, fill: Fill, output: &O::Output) {
        let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) else { return };
        // Not before the store has it: until then the next call in this process waits here and not there.
        self.cache.flights.withdraw(&self.key, &flight);
        match fill {
            Fill::Stored | Fill::Unknown => self.publish(&flight, output),
            Fill::Refused => {
                self.cache.counters.refused.add(1);
                flight.disclaim();
            }
        }
    }

    fn provenance(&self) -> Provenance {
        Provenance { origin: self.origin, key: self.cache.key_for_people(&self.key) }
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

impl<K: KeyType, O: Outcome> Attempt<K, O> {
    /// Lets those who wait for a flight that is out of the table have the output, unless one of its tags was invalidated:
    /// then some of them may have come after that.
    fn publish(&self, flight: &Flight<Landed<O>, Held>, output: &O::Output) {
        match &self.told {
            _ if !self.is_current() => flight.disclaim(),
            Told::Output => flight.publish(|| O::to_shared(output).map(|shared| (shared, self.origin))),
            Told::Failure(failure) => {
                flight.publish(|| failure.clone().map(|shared| (shared, Origin::COMPUTED)));
            }
            Told::TimedOut => flight.time_out(),
        }
    }
}

/// A caller of a detached computation.
struct Interest<S, B>(#[allow(dead_code, reason = "it counts as long as it lives")] Follower<S, B>);

impl<S, B> fmt::Debug for Interest<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interest")
    }
}

impl<K: KeyType, O: Outcome> Drop for Attempt<K, O> {
    /// A leader that goes without a result lets the next one in.
    fn drop(&mut self) {
        if std::thread::panicking() && !matches!(self.part, Part::None) {
            self.cache.counters.panicked.add(1);
        }
        if let Part::Leads(flight) = &self.part {
            self.cache.flights.withdraw(&self.key, flight);
            flight.abandon(self.held.take());
        }
    }
}
