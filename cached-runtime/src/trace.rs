//! The span around a computation, and the events of single calls. Without the feature `tracing` there are none.
//!
//! What operators must know is logged in either case, where it happens.

#[cfg(feature = "tracing")]
mod emitted {
    use tracing::span::Entered;
    use tracing::{Span, debug, info_span};

    use crate::lookup::Source;

    /// What subscribers filter by.
    const TARGET: &str = "cached_runtime::trace";

    /// The span of a computation, from the first poll of its body on.
    #[derive(Debug, Default)]
    pub(crate) struct ComputeSpan(Option<Span>);

    impl ComputeSpan {
        /// Enters the span, which the first call creates, for one poll of the body.
        pub(crate) fn enter(&mut self, create: impl FnOnce() -> Span) -> Entered<'_> {
            self.0.get_or_insert_with(create).enter()
        }
    }

    /// Creates the span of a computation. `key` is called only if somebody listens.
    pub(crate) fn computation(cache: &str, cause: &'static str, key: impl Fn() -> String) -> Span {
        let span = info_span!(target: TARGET, "cached.compute", cache, key = key(), cause);
        debug!(target: TARGET, parent: &span, cache, key = key(), cause, "runs the function");
        span
    }

    /// Reports a call that was answered by a stored value.
    pub(crate) fn hit(cache: &str, source: Source, key: impl FnOnce() -> String) {
        match source {
            Source::Memory => debug!(target: TARGET, cache, key = key(), "a hit in memory"),
            Source::Shared => debug!(target: TARGET, cache, key = key(), "a hit in the shared store"),
            Source::Stale => debug!(target: TARGET, cache, key = key(), "a stale hit"),
            Source::Computed | Source::SharedError => {}
        }
    }

    /// Reports a call that was answered by the computation of another.
    pub(crate) fn joined(cache: &str, key: impl FnOnce() -> String) {
        debug!(target: TARGET, cache, key = key(), "joined the computation of another call");
    }
}

#[cfg(not(feature = "tracing"))]
mod emitted {
    use tracing::Span;

    use crate::lookup::Source;

    #[derive(Debug, Default)]
    pub(crate) struct ComputeSpan(());

    pub(crate) struct Entered;

    impl ComputeSpan {
        #[inline]
        #[allow(clippy::unused_self, reason = "as with the feature")]
        pub(crate) fn enter(&mut self, _create: impl FnOnce() -> Span) -> Entered {
            Entered
        }
    }

    pub(crate) fn computation(_: &str, _: &'static str, _key: impl Fn() -> String) -> Span {
        Span::none()
    }

    #[inline]
    pub(crate) fn hit(_: &str, _: Source, _key: impl FnOnce() -> String) {}

    #[inline]
    pub(crate) fn joined(_: &str, _key: impl FnOnce() -> String) {}
}

pub(crate) use emitted::*;
