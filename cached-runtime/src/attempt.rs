//! The steps of one call of one instance: what a [`Call`] is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::BoxFuture;
use crate::cache::{Cache, Tiers};
use crate::call::{Call, Found, Join, Next, Waiting};
use crate::flight::{Entered, Flight, Follower, Joined, PULSE, Waited};
use crate::outcome::Outcome;
use crate::parts::KeyType;
use crate::patience;
use crate::policy::SingleFlight;
use crate::tier::{Acquiring, Fill, Held, Seen, Tier, Vacant};

/// One call of one instance.
pub(crate) struct Attempt<K: KeyType, O: Outcome> {
    cache: &'static Cache<K, O>,
    key: K,
    purpose: Purpose,
    begun: Instant,
    part: Part<O::Shared>,
    /// How often it waited for another's computation in vain: it failed, or was out of date.
    disappointments: u8,
    /// The flight that it waits for, or waited for last.
    followed: Option<Arc<Flight<O::Shared, Held>>>,
    /// What it saw in the shared store, if that was nothing.
    vacant: Option<Vacant>,
    held: Option<Held>,
    /// Whether another process took the lease before this one could.
    outrun: bool,
}

/// Why a call computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There was no value.
    Answer,
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
    pub(crate) fn new(cache: &'static Cache<K, O>, key: K, purpose: Purpose) -> Self {
        Self {
            cache,
            key,
            purpose,
            begun: Instant::now(),
            part: Part::None,
            disappointments: 0,
            followed: None,
            vacant: None,
            held: None,
            outrun: false,
        }
    }

    fn tier(&self) -> Option<&'static Tier<K, O::Value>> {
        match &self.cache.tiers {
            Tiers::Shared(tier) => Some(tier),
            Tiers::Memory(_) => None,
        }
    }

    fn lead(&mut self, flight: Arc<Flight<O::Shared, Held>>) {
        if let Some(followed) = self.followed.take() {
            self.held = followed.take_baggage();
        }
        self.part = Part::Leads(flight);
    }

    fn wait(follower: Follower<O::Shared, Held>) -> BoxFuture<'static, Waiting<O::Output>> {
        Box::pin(async {
            match follower.wait().await {
                Waited::Landed(shared) => {
                    let shared = Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone());
                    Waiting::Output(O::from_shared(shared))
                }
                Waited::Failed => Waiting::Failed,
                Waited::Outdated => Waiting::Outdated,
                Waited::Late => Waiting::Late,
                Waited::Abandoned => Waiting::Abandoned,
                Waited::TooLong => Waiting::TooLong,
            }
        })
    }

    /// Ends its flight and remembers the output in memory, if that is where values live.
    ///
    /// What was computed may be stored, in memory or elsewhere, only if this says so: else it was voided.
    fn land(&self, output: &O::Output, ttl: Option<Duration>) -> bool {
        let (cache, flights) = (self.cache, &self.cache.flights);
        // What gives way to it is dropped after the lock of the flights is given back.
        let evicted = match &self.part {
            Part::Leads(flight) => flights.land(&self.key, flight, |key| cache.remember(key, output, ttl)),
            Part::Alone { voided } => {
                flights.unless_voided(&self.key, *voided, || cache.remember(self.key.clone(), output, ttl))
            }
            Part::Inside | Part::None => None,
        };
        if evicted.is_none() && ttl.is_some() {
            cache.counters.refused.add(1);
        }
        evicted.is_some()
    }
}

impl<K: KeyType, O: Outcome> Call<O::Output> for Attempt<K, O> {
    fn look(&self) -> Option<BoxFuture<'static, Found<O::Output>>> {
        let tier = self.tier().filter(|_| self.purpose == Purpose::Answer)?;
        let key = self.key.clone();
        Some(Box::pin(async move {
            match tier.look(&key).await {
                Seen::Value(value) => Found { output: Some(O::from_value(value)), vacant: None },
                Seen::Vacant(vacant) => Found { output: None, vacant: Some(vacant) },
                Seen::Unknown => Found { output: None, vacant: None },
            }
        }))
    }

    fn found(&mut self, found: Found<O::Output>) -> Option<O::Output> {
        self.vacant = found.vacant;
        let output = found.output?;
        self.cache.counters.shared_hits.add(1);
        Some(output)
    }

    fn join(&mut self) -> Join<O::Output> {
        let flights = &self.cache.flights;
        if self.disappointments >= PATIENCE || self.cache.policy.flight() == SingleFlight::Off {
            self.part = Part::Alone { voided: flights.voided(&self.key) };
            return Join::Compute;
        }
        if self.purpose == Purpose::Refresh {
            let flight = flights.supersede(&self.key);
            self.lead(flight);
            return Join::Compute;
        }
        match flights.join(&self.key, || self.cache.settled(&self.key)) {
            Joined::Settled(output) => {
                self.cache.counters.joined.add(1);
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

    fn waited(&mut self, waited: Waiting<O::Output>) -> Next<O::Output> {
        match waited {
            Waiting::Output(output) => {
                self.cache.counters.joined.add(1);
                return Next::Return(output);
            }
            Waiting::Failed => self.disappointments += 1,
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
            Purpose::Answer => self.vacant.take()?,
            Purpose::Refresh => tier.occupied(&self.key)?,
        };
        Some(match (&self.part, self.cache.policy.flight(), self.purpose) {
            (Part::Leads(flight), SingleFlight::Fleet, Purpose::Answer) => {
                let (flight, begun) = (Arc::clone(flight), self.begun);
                Box::pin(async move { patience::acquire(tier, vacant, &flight, begun).await })
            }
            _ => Box::pin(tier.acquire(vacant)),
        })
    }

    fn claimed(&mut self, claimed: Acquiring) -> bool {
        match claimed {
            Acquiring::Held(held) => self.held = Some(held),
            Acquiring::Busy(_) => self.outrun = true,
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
        let pulse = async move {
            while let Some(flight) = &flight {
                tokio::time::sleep(PULSE).await;
                flight.beat();
            }
        };
        match self.held.as_ref().map(Held::keeper) {
            Some(keeper) => Some(Box::pin(async {
                tokio::join!(pulse, keeper);
            })),
            None if matches!(self.part, Part::Leads(_)) => Some(Box::pin(pulse)),
            None => None,
        }
    }

    fn computed(&mut self, output: &O::Output) -> Option<BoxFuture<'static, Fill>> {
        let cache = self.cache;
        if O::is_err(output) {
            cache.counters.errors.add(1);
        }
        if matches!(self.part, Part::Inside | Part::None) {
            cache.counters.bypassed.add(1);
            return None;
        }
        cache.counters.computed.add(1);
        let ttl = cache.lifetime(output);
        if let Some(tier) = self.tier() {
            let waiting = match &self.part {
                Part::Leads(flight) => cache.flights.seal(&self.key, flight),
                Part::Alone { .. } | Part::Inside | Part::None => false,
            };
            if let Some(held) = self.held.take() {
                let payload =
                    O::as_value(output).zip(ttl).and_then(|(value, ttl)| tier.encode(value, ttl).ok());
                return Some(Box::pin(held.settle(payload, waiting)));
            }
            // Whoever holds the lease will fill the key. A refresh that goes on without it can not know what was
            // invalidated meanwhile, so its result is for its own caller only.
            let alone = self.outrun && self.purpose == Purpose::Refresh;
            self.filled(if alone { Fill::Refused } else { Fill::Unknown }, output);
            return None;
        }
        self.land(output, ttl);
        if let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) {
            flight.publish(|| O::to_shared(output));
        }
        None
    }

    fn filled(&mut self, fill: Fill, output: &O::Output) {
        let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) else { return };
        // Not before the store has it: until then the next call in this process waits here and not there.
        self.cache.flights.withdraw(&self.key, &flight);
        match fill {
            Fill::Stored | Fill::Unknown => flight.publish(|| O::to_shared(output)),
            Fill::Refused => {
                self.cache.counters.refused.add(1);
                flight.disclaim();
            }
        }
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
        if let Part::Leads(flight) = &self.part {
            self.cache.flights.withdraw(&self.key, flight);
            flight.abandon(self.held.take());
        }
    }
}
