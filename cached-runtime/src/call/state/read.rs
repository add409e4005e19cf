//! The step that reads memory or the shared store, and decides what a value found there is good for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{CallState, Purpose};
use crate::call::answer::{Found, FoundTraced};
use crate::call::instance_cache::origin_of;
use crate::call::miss::Miss;
use crate::call::steps::Available;
use crate::lookup::Source;
use crate::memory::{CachedValue, State};
use crate::shared::SharedRead;
use crate::signature::{KeyType, ReturnKind};
use crate::trace;

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    /// Reads memory again for a call that is not a plain hit.
    pub(crate) fn get(mut self: Box<Self>) -> Found<O::Output> {
        if !self.cache.policy.returns_older_values() {
            return Found::Miss(Miss::new(self));
        }
        match self.read_memory() {
            Available::Answer(output) => Found::Hit(output),
            Available::AnswerAndRefresh(output) => Found::HitAndRefresh(output, Miss::new(self)),
            Available::Nothing => Found::Miss(Miss::new(self)),
        }
    }

    /// As [`get`](Self::get), for a call that also returns where the answer came from.
    pub(crate) fn get_traced(mut self: Box<Self>) -> FoundTraced<O::Output> {
        match self.read_memory() {
            Available::Answer(output) => FoundTraced::Hit(self.provenance().into_lookup(output)),
            Available::AnswerAndRefresh(output) => {
                FoundTraced::HitAndRefresh(self.provenance().into_lookup(output), Miss::new(self))
            }
            Available::Nothing => FoundTraced::Miss(Miss::new(self)),
        }
    }

    fn read_memory(&mut self) -> Available<O::Output> {
        if self.purpose != Purpose::Answer {
            return Available::Nothing;
        }
        let Some((cached, fresh_until)) = self.cache.cached(&self.key) else { return Available::Nothing };
        self.found_fresh_until = Some(fresh_until);
        self.classify(cached, Source::Memory)
    }

    pub(super) fn read_shared(&mut self, cx: &mut Context<'_>) -> Poll<Available<O::Output>> {
        let Some(tier) = self.tier().filter(|_| self.purpose == Purpose::Answer) else {
            return Poll::Ready(Available::Nothing);
        };
        let reading = self.reading.get_or_insert_with(|| tier.read(&self.key, &self.tags));
        let SharedRead { cached, lease_request } = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        self.lease_request = lease_request;
        Poll::Ready(cached.map_or(Available::Nothing, |cached| self.classify(cached, Source::Shared)))
    }

    /// Decides whether a value is the answer, and counts the hit. Keeps it as the stale value if it is not.
    ///
    /// A stale value is the answer during `stale_while_revalidate` (RFC 5861, section 3); during `stale_if_error`
    /// (section 4) only if the last computation failed and it is not time for a retry.
    fn classify(&mut self, cached: CachedValue<O::Value>, source: Source) -> Available<O::Output> {
        let (counters, policy) = (self.cache.counters, self.cache.policy);
        let source = if matches!(cached.state, State::Stale(_)) { Source::Stale } else { source };
        let origin = origin_of(source, &cached.age);
        match cached.state {
            State::Fresh | State::Due if source == Source::Memory => counters.hits.add_one(),
            State::Fresh | State::Due => counters.shared_hits.add_one(),
            State::Stale(past) if past < policy.stale_while_revalidate_now() => counters.stale_hits.add(1),
            State::Stale(past) if past < policy.stale_if_error_now() && !self.may_retry() => {
                counters.stale_hits.add(1);
            }
            State::Stale(_) | State::Expired => {
                self.stale_value = Some(Box::new(cached));
                return Available::Nothing;
            }
        }
        self.origin = origin;
        trace::hit(&self.cache.namespace, source, || self.cache.display_key(&self.key));
        let output = self.cache.options.kind.output_of_value(cached.value);
        if cached.state == State::Fresh {
            Available::Answer(output)
        } else {
            Available::AnswerAndRefresh(output)
        }
    }

    /// Takes the permission to compute although there is a stale value; returns `false` if there is none.
    fn may_retry(&mut self) -> bool {
        self.permission = self.cache.try_begin(&self.key);
        self.permission.is_some()
    }

    /// Returns `true` if there is a stale value that stopped being fresh less than `window` ago.
    pub(super) fn has_stale(&self, window: Duration) -> bool {
        let is_usable = |state| matches!(state, State::Stale(past) if past < window);
        self.stale_value.as_ref().is_some_and(|cached| is_usable(cached.state))
    }

    /// Takes the stale value, if it stopped being fresh less than `window` ago.
    pub(super) fn take_stale(&mut self, window: Duration) -> Option<O::Output> {
        let is_usable =
            |cached: &CachedValue<O::Value>| matches!(cached.state, State::Stale(past) if past < window);
        let cached = self.stale_value.take().map(|cached| *cached).filter(is_usable)?;
        self.origin = origin_of(Source::Stale, &cached.age);
        Some(self.cache.options.kind.output_of_value(cached.value))
    }
}
