//! One call that missed in memory, on its way to a result.
//!
//! Ask the shared store, if there is one. Join the flight of the key; if it is another's, wait for that one. Else ask
//! for the lease; compute; fill the store; let those who wait go on. Dropping the call at any point hands what it
//! had to whoever waits: the place in the flight, and the lease.
//!
//! A call in a shared store looks for itself before it joins, and takes what another has computed only if the store
//! has accepted it: then no invalidation, by whatever process, has come between.

use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::BoxFuture;
use crate::cache::{Cache, Tiers};
use crate::flight::{Entered, Flight, Follower, Joined, LONGEST_WAIT, PULSE, Waited};
use crate::outcome::Outcome;
use crate::parts::KeyType;
use crate::policy::SingleFlight;
use crate::tier::{Acquiring, Fill, Held, Seen, Tier, Vacant};

/// A call that found nothing in memory.
///
/// Behind it are the types of the key and the value; a function's own code knows only what it returns.
pub struct Miss<R>(Box<dyn Call<R>>);

/// Why a call computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There was no value.
    Answer,
    /// Whatever there is is to be replaced.
    Refresh,
}

impl<R> Miss<R> {
    pub(crate) fn new<K, O>(cache: &'static Cache<K, O>, key: K, purpose: Purpose) -> Self
    where
        K: KeyType,
        O: Outcome<Output = R>,
    {
        Self(Box::new(Attempt {
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
        }))
    }

    /// The result: another's, the store's, or that of `body`, which runs in the caller's task.
    #[inline]
    pub fn compute<F: Future<Output = R>>(self, body: F) -> Computing<R, F> {
        Computing { call: self.0, stage: Stage::Look, body }
    }

    /// The result: another's, the store's, or that of `body`, which runs in a task of its own until the last call
    /// that waits for it is gone.
    ///
    /// Where there is no tokio runtime to carry the task, it runs in the caller's.
    ///
    /// # Panics
    ///
    /// With the panic of `body`, if it panics.
    pub async fn detach<F>(mut self, body: F) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let mut stage = Stage::Look;
        if let Some(output) = poll_fn(|cx| poll_others(&mut *self.0, &mut stage, cx)).await {
            return output;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Computing { call: self.0, stage: Stage::Claim, body }.await;
        };
        let interest = self.0.interest();
        let alone = interest.is_none();
        let task = runtime.spawn(async move {
            let deserted = self.0.deserted();
            let computing = Computing { call: self.0, stage: Stage::Claim, body };
            tokio::select! {
                biased;
                output = computing => Some(output),
                () = deserted => None,
            }
        });
        let _stop = alone.then(|| AbortOnDrop(task.abort_handle()));
        let ended = task.await;
        drop(interest);
        match ended {
            Ok(Some(output)) => output,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime of this very task is shutting down: nobody will poll it again.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl<R> fmt::Debug for Miss<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miss").finish_non_exhaustive()
    }
}

/// The steps of a call, without the types of its key and value.
trait Call<R>: Send {
    /// Looks into the shared store, if there is one and its answer matters.
    fn look(&self) -> Option<BoxFuture<'static, Found<R>>>;
    /// Takes note of what was found there; `None`: go on.
    fn found(&mut self, found: Found<R>) -> Option<R>;
    /// Takes part in the flight of the key.
    fn join(&mut self) -> Join<R>;
    /// Takes note of how waiting ended.
    fn waited(&mut self, waited: Waiting<R>) -> Next<R>;
    /// Asks the shared store, if there is one, for the right to fill the key.
    fn claim(&mut self) -> Option<BoxFuture<'static, Acquiring>>;
    /// Takes note of the answer; whether there is still something to compute.
    fn claimed(&mut self, claimed: Acquiring) -> bool;
    /// Marks the time during which the body is polled.
    fn enter(&self) -> Option<Entered>;
    /// What goes on beside the body; never ends.
    fn upkeep(&self) -> Option<BoxFuture<'static, ()>>;
    /// Takes note of the output; `None`: nothing is left to do.
    fn computed(&mut self, output: &R) -> Option<BoxFuture<'static, Fill>>;
    /// Takes note of what the shared store said to the output.
    fn filled(&mut self, fill: Fill, output: &R);
    /// A caller that waits for this call.
    fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>>;
    /// Returns when no caller waits for this call any more.
    fn deserted(&self) -> BoxFuture<'static, ()>;
}

/// What was found in the shared store.
struct Found<R> {
    output: Option<R>,
    vacant: Option<Vacant>,
}

enum Join<R> {
    Settled(R),
    Wait(BoxFuture<'static, Waiting<R>>),
    Compute,
}

/// How waiting ended, for a caller.
enum Waiting<R> {
    Output(R),
    Failed,
    Outdated,
    Late,
    Abandoned,
    TooLong,
}

enum Next<R> {
    Return(R),
    Look,
    Join,
}

pin_project! {
    /// A call on its way to a result; the body is stored in it once.
    #[must_use = "futures do nothing unless polled"]
    pub struct Computing<R, F> {
        call: Box<dyn Call<R>>,
        stage: Stage<R>,
        #[pin]
        body: F,
    }
}

enum Stage<R> {
    Look,
    Looking(BoxFuture<'static, Found<R>>),
    Join,
    Waiting(BoxFuture<'static, Waiting<R>>),
    Claim,
    Claiming(BoxFuture<'static, Acquiring>),
    Compute(Option<BoxFuture<'static, ()>>),
    Filling(BoxFuture<'static, Fill>, Option<R>),
    Done,
}

impl<R, F: Future<Output = R>> Future for Computing<R, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let (call, stage, mut body) = (&mut **this.call, this.stage, this.body);
        loop {
            *stage = match stage {
                Stage::Look | Stage::Looking(_) | Stage::Join | Stage::Waiting(_) => {
                    match ready!(poll_others(call, stage, cx)) {
                        Some(output) => return Poll::Ready(output),
                        None => Stage::Claim,
                    }
                }
                Stage::Claim => match call.claim() {
                    Some(claim) => Stage::Claiming(claim),
                    None => Stage::Compute(None),
                },
                Stage::Claiming(claim) => {
                    let claimed = ready!(claim.as_mut().poll(cx));
                    if call.claimed(claimed) { Stage::Compute(None) } else { Stage::Look }
                }
                Stage::Compute(upkeep) => {
                    let polled = {
                        let _entered = call.enter();
                        body.as_mut().poll(cx)
                    };
                    let Poll::Ready(output) = polled else {
                        // Only a body that takes its time needs looking after.
                        if upkeep.is_none() {
                            *upkeep = call.upkeep();
                        }
                        if let Some(upkeep) = upkeep {
                            let _ = upkeep.as_mut().poll(cx); // It never ends.
                        }
                        return Poll::Pending;
                    };
                    match call.computed(&output) {
                        Some(fill) => Stage::Filling(fill, Some(output)),
                        None => {
                            *stage = Stage::Done;
                            return Poll::Ready(output);
                        }
                    }
                }
                Stage::Filling(fill, output) => {
                    let fill = ready!(fill.as_mut().poll(cx));
                    let output = output.take();
                    *stage = Stage::Done;
                    let Some(output) = output else { return Poll::Pending };
                    call.filled(fill, &output);
                    return Poll::Ready(output);
                }
                Stage::Done => return Poll::Pending,
            };
        }
    }
}

/// The part of a call in which others may have the answer; `None`: this call has to compute.
fn poll_others<R>(call: &mut dyn Call<R>, stage: &mut Stage<R>, cx: &mut Context<'_>) -> Poll<Option<R>> {
    loop {
        *stage = match stage {
            Stage::Look => match call.look() {
                Some(look) => Stage::Looking(look),
                None => Stage::Join,
            },
            Stage::Looking(look) => {
                let found = ready!(look.as_mut().poll(cx));
                match call.found(found) {
                    Some(output) => return Poll::Ready(Some(output)),
                    None => Stage::Join,
                }
            }
            Stage::Join => match call.join() {
                Join::Settled(output) => return Poll::Ready(Some(output)),
                Join::Wait(wait) => Stage::Waiting(wait),
                Join::Compute => return Poll::Ready(None),
            },
            Stage::Waiting(wait) => {
                let waited = ready!(wait.as_mut().poll(cx));
                match call.waited(waited) {
                    Next::Return(output) => return Poll::Ready(Some(output)),
                    Next::Look => Stage::Look,
                    Next::Join => Stage::Join,
                }
            }
            Stage::Claim | Stage::Claiming(_) | Stage::Compute(_) | Stage::Filling(..) | Stage::Done => {
                return Poll::Ready(None);
            }
        };
    }
}

impl<R, F> fmt::Debug for Computing<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computing").finish_non_exhaustive()
    }
}

/// One call of one instance.
struct Attempt<K: KeyType, O: Outcome> {
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
                Box::pin(async move { acquire_patiently(tier, vacant, &flight, begun).await })
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
            // Either may hold the lease of the key.
            Part::Leads(_) | Part::Alone { .. } => Some(self.cache.flights.enter(&self.key)),
            Part::None | Part::Inside => None,
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

/// Stops a task that nobody else waits for.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A caller of a detached computation.
struct Interest<S, B>(#[allow(dead_code, reason = "it counts as long as it lives")] Follower<S, B>);

impl<S, B> fmt::Debug for Interest<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interest")
    }
}

/// Asks for the lease until it is given, or the key is filled, or a call that has `begun` then waits too long.
///
/// The pauses grow, and no two processes make the same ones.
async fn acquire_patiently<K, V, S>(
    tier: &'static Tier<K, V>,
    mut vacant: Vacant,
    flight: &Flight<S, Held>,
    begun: Instant,
) -> Acquiring {
    let mut pause = FIRST_PAUSE;
    loop {
        vacant = match tier.acquire(vacant).await {
            Acquiring::Busy(vacant) if begun.elapsed() < LONGEST_WAIT => vacant,
            acquired => return acquired,
        };
        tokio::time::sleep(jittered(pause)).await;
        flight.beat();
        let longest = if begun.elapsed() < SOON { LONGEST_PAUSE_SOON } else { LONGEST_PAUSE_LATER };
        pause = (pause * 3 / 2).min(longest);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// While most computations end, an answer is noticed within this.
const LONGEST_PAUSE_SOON: Duration = Duration::from_millis(15);
const SOON: Duration = Duration::from_secs(2);
const LONGEST_PAUSE_LATER: Duration = Duration::from_millis(100);

/// Between three and five quarters of a pause.
fn jittered(pause: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(0_u8) % 512).unwrap_or_default();
    pause * 3 / 4 + pause * random / 1_024
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
