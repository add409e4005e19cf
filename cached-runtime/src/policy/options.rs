//! What the attribute asks for.

use std::fmt;
use std::time::Duration;

use super::handle::Handle;
#[cfg(feature = "store")]
use crate::store::Store;

/// The options of one attribute, each a call in a chain; what is typed by the function is in `Rules`.
#[derive(Clone)]
pub struct Policy {
    pub(crate) name: Option<&'static str>,
    pub(crate) one_instance: bool,
    pub(crate) version: u32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) ttl_of_errors: Option<Duration>,
    pub(crate) ttl_of_none: Option<Duration>,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) refresh_ahead: Option<f32>,
    jitter: Option<f32>,
    pub(crate) timeout: Option<Duration>,
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "memory knows the tags of its values"))]
    pub(crate) has_tags: bool,
    pub(crate) bound: Bound,
    flight: Option<SingleFlight>,
    pub(crate) backend: Backend,
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "memory encodes nothing"))]
    pub(crate) codec: Encoding,
    pub(crate) handle: Option<&'static Handle>,
}

/// Where values live.
#[derive(Clone)]
pub(crate) enum Backend {
    Memory,
    #[cfg(feature = "redis")]
    Redis,
    #[cfg(feature = "memcached")]
    Memcached,
    #[cfg(feature = "store")]
    Store(std::sync::Arc<dyn Store>),
}

/// How much the tier in the process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(usize),
    Bytes(u64),
}

/// How many computations of one key may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SingleFlight {
    /// One in all processes that share the store.
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "it needs a store"))]
    Fleet,
    /// One in this process.
    Process,
    /// As many as there are calls.
    Off,
}

/// How values become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Msgpack,
    #[cfg(feature = "json")]
    Json,
}

impl Policy {
    /// What holds without any option.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macro calls it")]
    pub const fn new() -> Self {
        Self {
            name: None,
            one_instance: false,
            version: 1,
            ttl: None,
            ttl_of_errors: None,
            ttl_of_none: None,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            refresh_ahead: None,
            jitter: None,
            timeout: None,
            has_tags: false,
            bound: Bound::Entries(10_000),
            flight: None,
            backend: Backend::Memory,
            codec: Encoding::Msgpack,
            handle: None,
        }
    }

    /// `name = "users"`
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// The function has neither type parameters nor a `Self` around it.
    #[must_use]
    pub const fn one_instance(mut self) -> Self {
        self.one_instance = true;
        self
    }

    /// How many computations may run: in memory one in the process, in a shared store one in the fleet, unless
    /// the user says otherwise.
    pub(crate) fn flight(&self) -> SingleFlight {
        match (self.flight, &self.backend) {
            (Some(flight), _) => flight,
            (None, Backend::Memory) => SingleFlight::Process,
            #[cfg(feature = "store")]
            (None, _) => SingleFlight::Fleet,
        }
    }

    /// `version = 2`
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// `ttl = 60`
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// `cache_err = "5s"`
    #[must_use]
    pub const fn ttl_of_errors(mut self, ttl: Duration) -> Self {
        self.ttl_of_errors = Some(ttl);
        self
    }

    /// `cache_none = "30s"`
    #[must_use]
    pub const fn ttl_of_none(mut self, ttl: Duration) -> Self {
        self.ttl_of_none = Some(ttl);
        self
    }

    /// Whether values live in a store that others share.
    #[cfg(feature = "store")]
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self.backend, Backend::Memory)
    }

    /// `tags("users")`
    #[must_use]
    pub const fn tagged(mut self) -> Self {
        self.has_tags = true;
        self
    }

    /// How long a value is kept after it has ceased to be fresh.
    pub(crate) fn retention(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    /// Whether a value may be there already when the next one is computed.
    pub(crate) fn has_stand_in(&self) -> bool {
        !self.retention().is_zero() || self.refresh_ahead.is_some()
    }

    /// By which part of it a lifetime is shortened at the most: in a shared store, where many values begin at once when
    /// a fleet starts, a tenth, unless the user says otherwise.
    pub(crate) fn jitter(&self) -> f32 {
        match (self.jitter, &self.backend) {
            (Some(jitter), _) => jitter,
            (None, Backend::Memory) => 0.0,
            #[cfg(feature = "store")]
            (None, _) => 0.1,
        }
    }

    /// `stale_while_revalidate = "30s"`
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// `stale_if_error = "1h"`
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// `refresh_ahead = 0.2`
    #[must_use]
    pub const fn refresh_ahead(mut self, fraction: f32) -> Self {
        self.refresh_ahead = Some(fraction.clamp(0.0, 1.0));
        self
    }

    /// `jitter = 0.1`
    #[must_use]
    pub const fn jitter_of(mut self, fraction: f32) -> Self {
        self.jitter = Some(fraction.clamp(0.0, 1.0));
        self
    }

    /// `timeout = "2s"`
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// `capacity = 10_000`
    #[must_use]
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.bound = Bound::Entries(if entries == 0 { 1 } else { entries });
        self
    }

    /// `max_bytes = "64MiB"`
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.bound = Bound::Bytes(if bytes == 0 { 1 } else { bytes });
        self
    }

    /// `single_flight = "process"`
    #[must_use]
    pub const fn every_process_computes(mut self) -> Self {
        self.flight = Some(SingleFlight::Process);
        self
    }

    /// `single_flight = "off"`
    #[must_use]
    pub const fn every_call_computes(mut self) -> Self {
        self.flight = Some(SingleFlight::Off);
        self
    }

    /// `handle = USERS`
    #[must_use]
    pub const fn handle(mut self, handle: &'static Handle) -> Self {
        self.handle = Some(handle);
        self
    }

    /// `backend = "redis"`
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis(mut self) -> Self {
        self.backend = Backend::Redis;
        self
    }

    /// `backend = "memcached"`
    #[cfg(feature = "memcached")]
    #[must_use]
    pub fn memcached(mut self) -> Self {
        self.backend = Backend::Memcached;
        self
    }

    /// `backend = EXPR`
    #[cfg(feature = "store")]
    #[must_use]
    pub fn store(mut self, store: std::sync::Arc<dyn Store>) -> Self {
        self.backend = Backend::Store(store);
        self
    }

    /// `codec = "json"`
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json(mut self) -> Self {
        self.codec = Encoding::Json;
        self
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("ttl", &self.ttl)
            .field("cache_err", &self.ttl_of_errors)
            .field("cache_none", &self.ttl_of_none)
            .field("stale_while_revalidate", &self.stale_while_revalidate)
            .field("stale_if_error", &self.stale_if_error)
            .field("refresh_ahead", &self.refresh_ahead)
            .field("jitter", &self.jitter())
            .field("timeout", &self.timeout)
            .field("bound", &self.bound)
            .field("backend", &self.backend)
            .field("single_flight", &self.flight())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            #[cfg(feature = "redis")]
            Self::Redis => f.write_str("redis"),
            #[cfg(feature = "memcached")]
            Self::Memcached => f.write_str("memcached"),
            #[cfg(feature = "store")]
            Self::Store(store) => store.fmt(f),
        }
    }
}
