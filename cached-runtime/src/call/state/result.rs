//! The step that takes the output of the body: it chooses what the caller gets, writes it to the tier, and publishes it
//! to the followers.

use std::sync::Arc;
use std::time::Duration;

use super::{CallState, Purpose, Role};
use crate::call::flights::{Ends, Others, Outdates};
use crate::call::follower_result::{CallFlight, FlightOutput, FollowerResult};
use crate::memory::{Entry, Evicted, Fill, WriteAction};
use crate::shared::{HeldLease, Tier};
use crate::signature::{KeyType, ReturnKind, TimeoutOutput};
use crate::{BoxFuture, measure};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn on_computed(
        &mut self,
        output: Result<O::Output, TimeoutOutput<O::Output>>,
    ) -> (O::Output, Option<BoxFuture<'static, Fill>>) {
        self.place = None;
        let cache = self.cache;
        match (&self.role, self.purpose) {
            (Role::Recursive | Role::None, _) => cache.counters.bypassed.add(1),
            (_, Purpose::BackgroundRefresh) => cache.counters.background_refreshes.add(1),
            (_, Purpose::Answer | Purpose::Refresh | Purpose::Uncached) => cache.counters.computed.add(1),
        }
        let took = self.compute_started_at.map_or(Duration::ZERO, |began_at| began_at.elapsed());
        cache.counters.computing_nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        measure::computation(&cache.namespace, self.purpose.cause(), took);
        let derived_tags = cache.derived_tags(output.as_ref().ok());
        if let Some(tags) = &mut self.tag_snapshot {
            tags.extend(&derived_tags);
        }
        let (output, is_own) = self.choose_output(output);
        if matches!(self.role, Role::Recursive | Role::None) {
            return (output, None);
        }
        let write = if is_own { self.write_action(&output) } else { WriteAction::Keep };
        if let WriteAction::Store(ttl) = &write {
            self.origin.fresh_for = *ttl;
        }
        let Some(tier) = self.tier() else {
            let ends = self.ends(&output, true);
            let Written { output, evicted, others } = self.write_memory(output, write, took, ends);
            self.publish(&others, &output, true);
            drop(evicted);
            return (output, None);
        };
        let has_followers = match &self.role {
            Role::Leader(flight) => cache.flights.seal(flight),
            Role::Independent(_) | Role::Recursive | Role::None => false,
        };
        if has_followers && self.is_unshared(&output) {
            self.hand_over_lease();
            return (output, None);
        }
        let is_value = matches!(write, WriteAction::Store(_));
        let is_replacement = self.purpose == Purpose::Refresh && !matches!(write, WriteAction::Keep);
        let replaced = is_replacement.then(|| self.key.clone());
        let (output, filling) = match self.role.flight().and_then(|flight| flight.take_lease()) {
            Some(lease) => {
                let (output, payload) =
                    self.with_value(output, write, |value, ttl| tier.encode(value, ttl, &derived_tags).ok());
                (output, Some(lease.finish(payload, has_followers)))
            }
            None => (output, None),
        };
        let without_lease =
            if filling.is_none() { self.fill_without_lease(tier, is_value) } else { Fill::Unknown };
        if filling.is_none() && replaced.is_none() {
            self.on_filled(without_lease, &output);
            return (output, None);
        }
        let filled = async move {
            let fill = match filling {
                Some(filling) => filling.await,
                None => without_lease,
            };
            // If the value of a refresh is not stored, what is there may be older. If its removal fails, the tier counts it,
            // and retries it as a pending invalidation.
            if let Some(key) = replaced.filter(|_| fill != Fill::Stored) {
                let _ = tier.remove(&key).await;
            }
            fill
        };
        (output, Some(Box::pin(filled)))
    }

    /// Returns what becomes of a result without a lease: the holder of the lease fills the key. A lease that was lost is
    /// reported.
    fn fill_without_lease(&self, tier: &'static Tier<K, O::Value>, is_value: bool) -> Fill {
        if !is_value || !self.role.flight().is_some_and(|flight| flight.has_lost_lease()) {
            return Fill::Unknown;
        }
        tier.report_lost_lease();
        Fill::Rejected
    }

    /// Returns what the caller gets, and whether that is the output of the body: if the body failed or exceeded its
    /// timeout, a stale value is returned instead, if there is a usable one (`stale-if-error`, RFC 5861, section 4).
    fn choose_output(&mut self, output: Result<O::Output, TimeoutOutput<O::Output>>) -> (O::Output, bool) {
        let window = match output {
            Ok(output) if !O::is_err(&output) => {
                if self.cache.policy.returns_older_values() {
                    self.cache.backoff.reset(self.cache.flights.hash(&self.key));
                }
                return (output, true);
            }
            Ok(_) => self.cache.policy.stale_if_error_now(),
            Err(_) => self.cache.policy.retention(),
        };
        self.cache.counters.errors.add(1);
        let stale = self.take_stale(window);
        if stale.is_some() || self.purpose == Purpose::BackgroundRefresh {
            self.record_failure();
        }
        self.follower_result = match (&stale, &output) {
            (_, Err(timed_out)) => FollowerResult::TimeoutOutput(*timed_out),
            (Some(_), Ok(error)) => {
                FollowerResult::Error(self.cache.options.kind.to_shared(error).map(Box::new))
            }
            (None, Ok(_)) => FollowerResult::Output,
        };
        match (stale, output) {
            (Some(stale), _) => (stale, false),
            (None, Ok(error)) => (error, true),
            (None, Err(timed_out)) => (timed_out(), false),
        }
    }

    /// Returns how an output that the caller gets changes the value of the key.
    fn write_action(&self, output: &O::Output) -> WriteAction<Duration> {
        let is_err = O::is_err(output);
        match self.cache.ttl(&self.key, output) {
            // An error of a refresh does not replace a good value.
            _ if is_err && self.purpose != Purpose::Answer => WriteAction::Keep,
            Some(ttl) => WriteAction::Store(ttl),
            None if is_err => WriteAction::Keep,
            None => WriteAction::Remove,
        }
    }

    /// Returns `true` if followers get nothing of an output: it is an error that is not shared.
    fn is_unshared(&self, output: &O::Output) -> bool {
        match &self.follower_result {
            FollowerResult::Output => !O::SHARES_ERRORS && O::is_err(output),
            FollowerResult::Error(error) => error.is_none(),
            FollowerResult::TimeoutOutput(_) => false,
        }
    }

    /// Ends the flight with an error that is not shared, and leaves the lease to a follower, which tries again.
    fn hand_over_lease(&mut self) {
        let Role::Leader(flight) = std::mem::replace(&mut self.role, Role::None) else { return };
        self.cache.flights.withdraw(&flight, Ends::One);
        flight.fail();
    }

    /// Turns the lifetime of an output that is to be stored into what `read` makes of its value; returns the output
    /// again.
    fn with_value<U>(
        &self,
        output: O::Output,
        write: WriteAction<Duration>,
        read: impl FnOnce(&O::Value, Duration) -> Option<U>,
    ) -> (O::Output, WriteAction<U>) {
        let WriteAction::Store(ttl) = write else { return (output, write.filter_map(|_| None)) };
        let (output, value) = self.cache.options.kind.with_value(output, |value| read(value, ttl));
        (output, WriteAction::Store(()).filter_map(|()| value.flatten()))
    }

    /// Ends the flight, and the others of the key as `ends` says, and writes to memory, unless the flight was discarded.
    /// `cost` is how long the computation took.
    fn write_memory(
        &self,
        output: O::Output,
        write: WriteAction<Duration>,
        cost: Duration,
        ends: Ends,
    ) -> Written<K, O> {
        let flights = &self.cache.flights;
        let Some(memory) = self.cache.memory() else {
            return Written { output, evicted: None, others: Vec::new() };
        };
        let is_value = matches!(write, WriteAction::Store(_));
        // All user code runs before the lock of the flights is taken: the key is hashed and cloned, the value is cloned
        // and weighed. What is not stored is dropped after it.
        let hash = memory.hash(&self.key);
        let (output, mut write) = self.with_value(output, write, |value, ttl| {
            let entry = Entry::new(value.clone(), ttl, cost, self.tag_snapshot.clone().map(Arc::new));
            Some(Some(memory.prepare(&self.key, entry)))
        });
        let is_refresh = self.purpose == Purpose::Refresh;
        let outdates = match &write {
            WriteAction::Store(_) | WriteAction::Remove if is_refresh => Outdates::All,
            _ => Outdates::None,
        };
        let write = |is_valid: bool| match &mut write {
            WriteAction::Store(stored) if is_valid && self.is_current() => {
                (true, stored.take().map(|stored| memory.insert(stored)))
            }
            WriteAction::Remove if is_valid => (false, Some(memory.remove(hash))),
            // If the value of a refresh is not stored, what is there may be older.
            WriteAction::Store(_) | WriteAction::Remove if is_refresh => (false, Some(memory.remove(hash))),
            WriteAction::Store(_) | WriteAction::Remove | WriteAction::Keep => (false, None),
        };
        let ((is_stored, evicted), others) = match self.role.flight() {
            Some(flight) => flights.complete(flight, ends, outdates, write),
            None => ((false, None), Vec::new()),
        };
        if is_value && !is_stored {
            self.cache.counters.rejected_fills.add(1);
        }
        Written { output, evicted, others }
    }

    /// Returns which flights of the key end with this one: all, if there is a result for the followers of all.
    fn ends(&self, output: &O::Output, confirmed: bool) -> Ends {
        if confirmed && self.is_current() && !self.is_unshared(output) { Ends::All } else { Ends::One }
    }

    pub(super) fn on_filled(&mut self, fill: Fill, output: &O::Output) {
        if fill == Fill::Rejected {
            self.cache.counters.rejected_fills.add(1);
        }
        let Role::Leader(flight) = &self.role else { return };
        // Not before the store has the value: until then the next call in this process follows the flight instead of
        // waiting for the lease.
        let is_stored = fill == Fill::Stored;
        let others = self.cache.flights.withdraw(flight, self.ends(output, is_stored));
        self.publish(&others, output, is_stored);
    }

    /// Publishes the result to the followers of a flight that is no longer in the table, and of `others`, which ended with
    /// it, and ends the role of the call.
    ///
    /// If the store has not confirmed it, or a tag was invalidated, only followers that called before the body began
    /// get it.
    fn publish(&mut self, others: &[Arc<CallFlight<K, O>>], output: &O::Output, confirmed: bool) {
        if let Role::Leader(flight) = &self.role {
            // The call is still the leader: if the user's code that makes the copy panics, the flight is abandoned.
            flight.publish(others, confirmed && self.is_current(), || {
                self.follower_result.flight_output(self.cache.options.kind, output, self.origin)
            });
        }
        self.role = Role::None;
    }
}

/// What is left after a write to memory.
struct Written<K: KeyType, O: ReturnKind> {
    output: O::Output,
    /// What left memory.
    evicted: Option<Evicted<K, O::Value>>,
    /// The flights that ended with that of the call.
    others: Others<K, FlightOutput<O>, HeldLease>,
}
