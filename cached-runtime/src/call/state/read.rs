//! What a call finds in memory and in the shared store.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{CallState, Purpose};
use crate::call::answer::{Found, FoundTraced};
use crate::call::miss::Miss;
use crate::call::steps::Others;
use crate::lookup::{Origin, Source};
use crate::memory::{CachedValue, State};
use crate::shared::SharedRead;
use crate::signature::{KeyType, ReturnKind};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
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

    pub(super) fn in_memory(&mut self) -> Others<O::Output> {
        let Some((kept, until)) = self.cache.kept(&self.key) else { return Others::Nothing };
        self.replaces = Some(until);
        self.weigh_up(kept, Source::Memory)
    }

    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> Poll<Others<O::Output>> {
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

    /// What a value that was found is good for.
    pub(super) fn weigh_up(&mut self, kept: CachedValue<O::Value>, source: Source) -> Others<O::Output> {
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

    /// The value that this call has found, if it has not been stale for longer than that.
    pub(super) fn fall_back(&mut self, window: Duration) -> Option<O::Output> {
        let usable = |kept: &CachedValue<O::Value>| matches!(kept.state, State::Stale(past) if past < window);
        let kept = self.fallback.take().filter(usable)?;
        self.origin = Origin { source: Source::Stale, age: kept.age.since };
        Some(O::from_value(kept.value))
    }
}
