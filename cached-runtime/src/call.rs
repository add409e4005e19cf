//! One call that missed in memory, on its way to a result.
//!
//! Join the flight of the key; if it is another's, wait for that one. Else read the shared store and ask for the
//! lease; compute; let those who wait go on; write the store. Dropping the call at any point hands what it had to
//! whoever waits: the place in the flight, and the lease.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::BoxFuture;
use crate::cache::{Cache, Tiers};
use crate::flight::{Entered, Flight, Follower, Joined, PULSE, Waited};
use crate::outcome::Outcome;
use crate::parts::KeyType;
use crate::policy::SingleFlight;
use crate::tier::{Held, Want};

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
            part: Part::None,
            failures: 0,
            abandoned: None,
            held: None,
        }))
    }

    /// The result: another's, the store's, or that of `body`, which runs in the caller's task.
    #[inline]
    pub fn compute<F: Future<Output = R>>(self, body: F) -> Computing<R, F> {
        Computing { call: self.0, stage: Stage::Join, body }
    }

    /// The result: another's, the store's, or that of `body`, which runs in a task of its own until the last call
    /// that waits for it is gone.
    ///
    /// # Panics
    ///
    /// Where there is no tokio runtime to carry the task, and with the panic of `body`, if it panics.
    pub async fn detach<F>(mut self, body: F) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        loop {
            match self.0.join() {
                Join::Settled(output) => return output,
                Join::Wait(wait) => {
                    if let Some(output) = self.0.waited(wait.await) {
                        return output;
                    }
                }
                Join::Compute => break,
            }
        }
        let interest = self.0.interest();
        let alone = interest.is_none();
        let task = tokio::spawn(async move {
            let deserted = self.0.deserted();
            let computing = Computing { call: self.0, stage: Stage::Joined, body };
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
    /// Takes part in the flight of the key.
    fn join(&mut self) -> Join<R>;
    /// Takes note of how waiting ended; `None`: join again.
    fn waited(&mut self, waited: WaitedFor<R>) -> Option<R>;
    /// Looks into the shared store, if there is one.
    fn read(&mut self) -> Option<BoxFuture<'static, Found<R>>>;
    /// Takes note of what was found there; `None`: compute.
    fn found(&mut self, found: Found<R>) -> Option<R>;
    /// Marks the time during which the body is polled.
    fn enter(&self) -> Option<Entered>;
    /// What goes on beside the body; never ends.
    fn upkeep(&self) -> Option<BoxFuture<'static, ()>>;
    /// Stores the output in memory and lets those who wait go on; what is left to do is to tell the store.
    fn finish(&mut self, output: &R) -> Option<BoxFuture<'static, ()>>;
    /// A caller that waits for this call.
    fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>>;
    /// Returns when no caller waits for this call any more.
    fn deserted(&self) -> BoxFuture<'static, ()>;
}

enum Join<R> {
    Settled(R),
    Wait(BoxFuture<'static, WaitedFor<R>>),
    Compute,
}

/// How waiting ended, for a caller.
enum WaitedFor<R> {
    Output(R),
    Failed,
    Abandoned,
    TooLong,
}

struct Found<R> {
    output: Option<R>,
    held: Option<Held>,
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
    Join,
    Joined,
    Wait(BoxFuture<'static, WaitedFor<R>>),
    Read(BoxFuture<'static, Found<R>>),
    Compute(Option<BoxFuture<'static, ()>>),
    Save(BoxFuture<'static, ()>, Option<R>),
    Done,
}

impl<R, F: Future<Output = R>> Future for Computing<R, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let (call, mut body) = (this.call, this.body);
        loop {
            *this.stage = match this.stage {
                Stage::Join => match call.join() {
                    Join::Settled(output) => return Poll::Ready(output),
                    Join::Wait(wait) => Stage::Wait(wait),
                    Join::Compute => Stage::Joined,
                },
                Stage::Joined => match call.read() {
                    Some(read) => Stage::Read(read),
                    None => Stage::Compute(None),
                },
                Stage::Wait(wait) => {
                    let waited = ready!(wait.as_mut().poll(cx));
                    match call.waited(waited) {
                        Some(output) => return Poll::Ready(output),
                        None => Stage::Join,
                    }
                }
                Stage::Read(read) => {
                    let found = ready!(read.as_mut().poll(cx));
                    match call.found(found) {
                        Some(output) => return Poll::Ready(output),
                        None => Stage::Compute(None),
                    }
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
                    match call.finish(&output) {
                        Some(save) => Stage::Save(save, Some(output)),
                        None => {
                            *this.stage = Stage::Done;
                            return Poll::Ready(output);
                        }
                    }
                }
                Stage::Save(save, output) => {
                    ready!(save.as_mut().poll(cx));
                    let output = output.take();
                    *this.stage = Stage::Done;
                    return match output {
                        Some(output) => Poll::Ready(output),
                        None => Poll::Pending,
                    };
                }
                Stage::Done => return Poll::Pending,
            };
        }
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
    part: Part<O::Shared>,
    /// How many computations that it waited for have failed.
    failures: u8,
    /// The flight that it waited for until its leader was gone.
    abandoned: Option<Arc<Flight<O::Shared, Held>>>,
    held: Option<Held>,
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

/// After so many failed computations of others, a call computes in its own right.
const PATIENCE: u8 = 2;

impl<K: KeyType, O: Outcome> Attempt<K, O> {
    fn leads(&mut self, flight: Arc<Flight<O::Shared, Held>>) {
        if let Some(abandoned) = self.abandoned.take() {
            self.held = abandoned.take_baggage();
        }
        self.part = Part::Leads(flight);
    }

    fn wait(follower: Follower<O::Shared, Held>) -> BoxFuture<'static, WaitedFor<O::Output>> {
        Box::pin(async {
            match follower.wait().await {
                Waited::Landed(shared) => {
                    let shared = Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone());
                    WaitedFor::Output(O::from_shared(shared))
                }
                Waited::Failed => WaitedFor::Failed,
                Waited::Abandoned => WaitedFor::Abandoned,
                Waited::TooLong => WaitedFor::TooLong,
            }
        })
    }
}

impl<K: KeyType, O: Outcome> Call<O::Output> for Attempt<K, O> {
    fn join(&mut self) -> Join<O::Output> {
        let flights = &self.cache.flights;
        if self.failures >= PATIENCE || self.cache.policy.flight == SingleFlight::Off {
            self.part = Part::Alone { voided: flights.voided(&self.key) };
            return Join::Compute;
        }
        if self.purpose == Purpose::Refresh {
            let flight = flights.supersede(&self.key);
            self.leads(flight);
            return Join::Compute;
        }
        match flights.join(&self.key, || self.cache.settled(&self.key)) {
            Joined::Settled(output) => {
                self.cache.counters.joined.add(1);
                Join::Settled(output)
            }
            Joined::Leads(flight) => {
                self.leads(flight);
                Join::Compute
            }
            Joined::Follows(follower) => {
                self.abandoned = Some(Arc::clone(&follower.flight));
                Join::Wait(Self::wait(follower))
            }
            Joined::Recurses => {
                self.part = Part::Inside;
                Join::Compute
            }
        }
    }

    fn waited(&mut self, waited: WaitedFor<O::Output>) -> Option<O::Output> {
        match waited {
            WaitedFor::Output(output) => {
                self.cache.counters.joined.add(1);
                return Some(output);
            }
            WaitedFor::Failed => self.failures += 1,
            WaitedFor::Abandoned => {}
            WaitedFor::TooLong => {
                if let Some(flight) = &self.abandoned {
                    self.cache.flights.withdraw(&self.key, flight);
                }
            }
        }
        None
    }

    fn read(&mut self) -> Option<BoxFuture<'static, Found<O::Output>>> {
        let Tiers::Shared(tier) = &self.cache.tiers else { return None };
        if self.held.is_some() || matches!(self.part, Part::Inside) {
            return None;
        }
        let want = if self.purpose == Purpose::Refresh { Want::Lease } else { Want::Value };
        let key = self.key.clone();
        Some(Box::pin(async move {
            let read = tier.read(&key, want).await;
            Found { output: read.value.map(O::from_value), held: read.held }
        }))
    }

    fn found(&mut self, found: Found<O::Output>) -> Option<O::Output> {
        self.held = found.held;
        let output = found.output?;
        self.cache.counters.shared_hits.add(1);
        if let Part::Leads(flight) = &self.part {
            self.cache.flights.withdraw(&self.key, flight);
            flight.publish(|| O::to_shared(&output));
        }
        self.part = Part::None;
        Some(output)
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
        let Part::Leads(flight) = &self.part else { return None };
        let (flight, keeper) = (Arc::clone(flight), self.held.as_ref().map(Held::keeper));
        Some(Box::pin(async move {
            let pulse = async {
                loop {
                    tokio::time::sleep(PULSE).await;
                    flight.beat();
                }
            };
            match keeper {
                Some(keeper) => {
                    tokio::join!(pulse, keeper);
                }
                None => pulse.await,
            }
        }))
    }

    fn finish(&mut self, output: &O::Output) -> Option<BoxFuture<'static, ()>> {
        let cache = self.cache;
        let counters = cache.counters;
        if O::is_err(output) {
            counters.errors.add(1);
        }
        let ttl = cache.lifetime(output);
        let part = std::mem::replace(&mut self.part, Part::None);
        let stored = match &part {
            Part::Leads(flight) => {
                let stored = cache.flights.land(&self.key, flight, |key| cache.remember(key, output, ttl));
                flight.publish(|| O::to_shared(output));
                stored
            }
            Part::Alone { voided } => cache
                .flights
                .unless_voided(&self.key, *voided, || cache.remember(self.key.clone(), output, ttl)),
            Part::Inside | Part::None => {
                counters.bypassed.add(1);
                return None;
            }
        };
        counters.computed.add(1);
        if stored.is_none() && ttl.is_some() {
            counters.refused.add(1);
        }
        // What gave way is dropped here, where no lock is held.
        let is_ours = stored.is_some();
        drop(stored);

        let Tiers::Shared(tier) = &cache.tiers else { return None };
        let payload = match (ttl, O::as_value(output)) {
            (Some(ttl), Some(value)) if is_ours => tier.encode(value, ttl).ok(),
            _ => None,
        };
        match (self.held.take(), payload) {
            (Some(held), Some(payload)) => Some(Box::pin(held.fill(payload))),
            (Some(held), None) => Some(Box::pin(held.release())),
            // Another process holds the lease: a refresh overrides it, an answer leaves the filling to it.
            (None, Some(payload)) if self.purpose == Purpose::Refresh => {
                let key = self.key.clone();
                Some(Box::pin(async move {
                    let _ = tier.put(&key, payload).await; // Counted there.
                }))
            }
            (None, _) => None,
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

impl<K: KeyType, O: Outcome> Drop for Attempt<K, O> {
    /// A leader that goes without a result lets the next one in.
    fn drop(&mut self) {
        if let Part::Leads(flight) = &self.part {
            self.cache.flights.withdraw(&self.key, flight);
            flight.abandon(self.held.take());
        }
    }
}
