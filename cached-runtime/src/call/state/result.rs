//! What becomes of an output.

use std::sync::Arc;
use std::time::Duration;

use super::{CallState, Part, Purpose};
use crate::BoxFuture;
use crate::call::flight::Flight;
use crate::call::follower_result::{FlightOutput, Shares};
use crate::lookup::Origin;
use crate::memory::{Entry, Fill, WriteAction};
use crate::shared::HeldLease;
use crate::signature::{KeyType, ReturnKind, TimeoutOutput};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn computed(
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

    /// What the caller gets for an output, and whether that is the output itself: a failure gives way to a value that was
    /// kept for it.
    pub(super) fn settle_for(
        &mut self,
        output: Result<O::Output, TimeoutOutput<O::Output>>,
    ) -> (O::Output, bool) {
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

    /// What an output leaves behind that is the caller's too.
    pub(super) fn leaves(&self, output: &O::Output) -> WriteAction<Duration> {
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
    pub(super) fn land(&self, output: &O::Output, leaves: WriteAction<Duration>) {
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

    pub(super) fn filled(&mut self, fill: Fill, output: &O::Output) {
        let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) else { return };
        // Not before the store has it: until then the next call in this process waits here and not there.
        self.cache.flights.withdraw(&self.key, &flight);
        if fill == Fill::Rejected {
            self.cache.counters.rejected_fills.add(1);
        }
        self.publish(&flight, output, fill == Fill::Stored);
    }

    /// Lets those who wait for a flight that is out of the table have the output; if the store has not confirmed it, or one
    /// of its tags was invalidated, only those who came in time.
    pub(super) fn publish(
        &self,
        flight: &Flight<FlightOutput<O>, HeldLease>,
        output: &O::Output,
        confirmed: bool,
    ) {
        flight.publish(confirmed && self.is_current(), || match &self.shares {
            Shares::Output => O::to_shared(output).map(|shared| FlightOutput::Output(shared, self.origin)),
            Shares::Failure(failure) => Some(FlightOutput::Output(failure.clone()?, Origin::COMPUTED)),
            Shares::TimeoutOutput(timed_out) => Some(FlightOutput::TimeoutOutput(*timed_out)),
        });
    }
}
