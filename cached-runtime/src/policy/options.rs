//! The options of a cached function that need no types.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::lifetime::Lifetime;
use super::overrides::{self, Mode, Switch};
#[cfg(feature = "store")]
use crate::store::{Placement, Role, Store, StoreOrName, placement_of};

/// The options of one attribute that need no types; those that do are in `TypedOptions`.
///
/// An expansion writes them as a chain: `Policy::new().ttl(...).capacity(...)`.
pub struct Policy {
    /// Turned by the companion `set_enabled`.
    pub(crate) switch: Switch,
    /// Where the attribute is.
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "only a shared store reports it"))]
    pub(crate) location: &'static Location<'static>,
    pub(crate) version: u32,
    ttl: Option<Lifetime>,
    error_ttl: Option<Lifetime>,
    none_ttl: Option<Lifetime>,
    stale_while_revalidate: Lifetime,
    stale_if_error: Lifetime,
    pub(crate) refresh_ahead: Option<f32>,
    jitter: Option<f32>,
    timeout: Option<Lifetime>,
    /// The number of computations of an instance at a time; `None`: any number.
    pub(crate) max_concurrent: Option<usize>,
    pub(crate) has_tags: bool,
    pub(crate) bound: Bound,
    single_flight: Option<SingleFlight>,
    pub(crate) abandoned: Abandoned,
    backend: Backend,
    /// Where values live in this process.
    #[cfg(feature = "store")]
    pub(crate) placement: Placement,
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "memory encodes nothing"))]
    pub(crate) codec: Encoding,
    /// Whether names in a shared store contain the arguments.
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "memory names nothing"))]
    pub(crate) is_readable: bool,
}

/// Where values live, as the attribute says it.
#[derive(Clone)]
enum Backend {
    Memory,
    /// In a store that the configuration determines.
    #[cfg(feature = "store")]
    Configured(Role),
    #[cfg(feature = "store")]
    Store(std::sync::Arc<dyn Store>),
}

/// How much the tier in the process may hold, for each instance of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(usize),
    /// The sum of what the user's `weigh` returns.
    Bytes(u64),
}

/// How many computations of one key may run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SingleFlight {
    /// One in all processes that share the store.
    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "it needs a store"))]
    Fleet,
    /// One in this process.
    Process,
    /// Any number.
    Off,
}

/// What a detached computation does when its last caller leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandoned {
    GoesOn,
    Stops,
}

/// How values are encoded in a shared store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Msgpack,
    #[cfg(feature = "json")]
    Json,
}

/// The options, as an expansion sets them.
impl Policy {
    /// Returns the defaults: memory, 10 000 entries, nothing stale, version 1.
    #[must_use]
    #[track_caller]
    #[allow(clippy::new_without_default, reason = "only the macro calls it")]
    pub const fn new() -> Self {
        Self {
            switch: Switch::new(),
            location: Location::caller(),
            version: 1,
            ttl: None,
            error_ttl: None,
            none_ttl: None,
            stale_while_revalidate: Lifetime::Fixed(Duration::ZERO),
            stale_if_error: Lifetime::Fixed(Duration::ZERO),
            refresh_ahead: None,
            jitter: None,
            timeout: None,
            max_concurrent: None,
            has_tags: false,
            bound: Bound::Entries(10_000),
            single_flight: None,
            abandoned: Abandoned::GoesOn,
            backend: Backend::Memory,
            #[cfg(feature = "store")]
            placement: Placement::Memory,
            codec: Encoding::Msgpack,
            is_readable: false,
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
        self.ttl = Some(Lifetime::Fixed(ttl));
        self
    }

    /// `ttl = EXPR`
    #[must_use]
    pub const fn ttl_by(mut self, ttl: fn() -> Duration) -> Self {
        self.ttl = Some(Lifetime::Evaluated(ttl));
        self
    }

    /// `cache_err = "5s"`
    #[must_use]
    pub const fn error_ttl(mut self, ttl: Duration) -> Self {
        self.error_ttl = Some(Lifetime::Fixed(ttl));
        self
    }

    /// `cache_err = EXPR`
    #[must_use]
    pub const fn error_ttl_by(mut self, ttl: fn() -> Duration) -> Self {
        self.error_ttl = Some(Lifetime::Evaluated(ttl));
        self
    }

    /// `cache_none = "30s"`
    #[must_use]
    pub const fn none_ttl(mut self, ttl: Duration) -> Self {
        self.none_ttl = Some(Lifetime::Fixed(ttl));
        self
    }

    /// `cache_none = EXPR`
    #[must_use]
    pub const fn none_ttl_by(mut self, ttl: fn() -> Duration) -> Self {
        self.none_ttl = Some(Lifetime::Evaluated(ttl));
        self
    }

    /// `tags("users")`
    #[must_use]
    pub const fn with_tags(mut self) -> Self {
        self.has_tags = true;
        self
    }

    /// `stale_while_revalidate = "30s"`
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = Lifetime::Fixed(window);
        self
    }

    /// `stale_while_revalidate = EXPR`
    #[must_use]
    pub const fn stale_while_revalidate_by(mut self, window: fn() -> Duration) -> Self {
        self.stale_while_revalidate = Lifetime::Evaluated(window);
        self
    }

    /// `stale_if_error = "1h"`
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = Lifetime::Fixed(window);
        self
    }

    /// `stale_if_error = EXPR`
    #[must_use]
    pub const fn stale_if_error_by(mut self, window: fn() -> Duration) -> Self {
        self.stale_if_error = Lifetime::Evaluated(window);
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
    pub const fn jitter_fraction(mut self, fraction: f32) -> Self {
        self.jitter = Some(fraction.clamp(0.0, 1.0));
        self
    }

    /// `timeout = "2s"`
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(Lifetime::Fixed(limit));
        self
    }

    /// `timeout = EXPR`
    #[must_use]
    pub const fn timeout_by(mut self, limit: fn() -> Duration) -> Self {
        self.timeout = Some(Lifetime::Evaluated(limit));
        self
    }

    /// `max_concurrent = 16`; 0 counts as 1.
    #[must_use]
    pub const fn max_concurrent(mut self, computations: usize) -> Self {
        self.max_concurrent = Some(if computations == 0 { 1 } else { computations });
        self
    }

    /// `capacity = 10_000`; 0 counts as 1.
    #[must_use]
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.bound = Bound::Entries(if entries == 0 { 1 } else { entries });
        self
    }

    /// `max_bytes = "64MiB"`; 0 counts as 1.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.bound = Bound::Bytes(if bytes == 0 { 1 } else { bytes });
        self
    }

    /// `single_flight = "process"`
    #[must_use]
    pub const fn single_flight_process(mut self) -> Self {
        self.single_flight = Some(SingleFlight::Process);
        self
    }

    /// `single_flight = "off"`
    #[must_use]
    pub const fn single_flight_off(mut self) -> Self {
        self.single_flight = Some(SingleFlight::Off);
        self
    }

    /// `detached = "while_awaited"`
    #[must_use]
    pub const fn detached_while_awaited(mut self) -> Self {
        self.abandoned = Abandoned::Stops;
        self
    }

    /// `backend = "shared"`
    #[cfg(feature = "store")]
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.backend = Backend::Configured(Role::Shared);
        self
    }

    /// `backend = "redis"`
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis(mut self) -> Self {
        self.backend = Backend::Configured(Role::Redis);
        self
    }

    /// `backend = "memcached"`
    #[cfg(feature = "memcached")]
    #[must_use]
    pub fn memcached(mut self) -> Self {
        self.backend = Backend::Configured(Role::Memcached);
        self
    }

    /// `backend = EXPR`
    #[cfg(feature = "store")]
    #[must_use]
    pub fn store(mut self, store: StoreOrName) -> Self {
        self.backend = match store {
            StoreOrName::Store(store) => Backend::Store(store),
            StoreOrName::Named(name) => Backend::Configured(Role::Named(name.0.into())),
        };
        self
    }

    /// `readable`
    #[must_use]
    pub const fn readable(mut self) -> Self {
        self.is_readable = true;
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

/// What follows from the options and their defaults.
impl Policy {
    /// Looks up where values live in this process, which the configuration decides.
    #[cfg(feature = "store")]
    pub(crate) fn resolve(mut self) -> Self {
        self.placement = match &self.backend {
            Backend::Memory => Placement::Memory,
            Backend::Configured(role) => placement_of(role),
            Backend::Store(store) => Placement::Store(Ok(std::sync::Arc::clone(store))),
        };
        if self.is_off() {
            overrides::begin_forever();
        }
        self
    }

    /// Takes the store of another policy of the same function, in the place of [`resolve`](Self::resolve).
    #[cfg(feature = "test-util")]
    pub(crate) fn placed_as(self, other: &Self) -> Self {
        #[cfg(feature = "store")]
        return Self { placement: other.placement.clone(), ..self };
        #[cfg(not(feature = "store"))]
        {
            let _ = other;
            self
        }
    }

    #[cfg(not(feature = "store"))]
    pub(crate) fn resolve(self) -> Self {
        self
    }

    /// Returns `true` if the configuration stores no values of this function.
    #[cfg_attr(not(feature = "store"), allow(clippy::unused_self, reason = "values are in memory"))]
    fn is_off(&self) -> bool {
        #[cfg(feature = "store")]
        return matches!(self.placement, Placement::Off);
        #[cfg(not(feature = "store"))]
        false
    }

    /// Returns `true` if calls neither read nor store values.
    #[inline]
    pub(crate) fn is_disabled(&self) -> bool {
        overrides::any() && (overrides::is_process_disabled() || self.switch.is_off() || self.is_off())
    }

    /// Returns how a call of the current future is answered.
    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        if overrides::any() { self.overridden_mode() } else { Mode::Normal }
    }

    #[cold]
    fn overridden_mode(&self) -> Mode {
        match overrides::current_mode() {
            Mode::Normal if self.is_disabled() => Mode::Uncached,
            mode => mode,
        }
    }

    /// Returns what the attribute calls the backend: `custom` for a store of the user's own.
    pub(crate) fn backend(&self) -> &str {
        match &self.backend {
            Backend::Memory => "memory",
            #[cfg(feature = "store")]
            Backend::Configured(role) => role.name(),
            #[cfg(feature = "store")]
            Backend::Store(_) => "custom",
        }
    }

    /// Returns `true` if values live in a store that other processes may share.
    #[cfg_attr(not(feature = "store"), allow(clippy::unused_self, reason = "values are in memory"))]
    pub(crate) fn is_shared(&self) -> bool {
        #[cfg(feature = "store")]
        return matches!(self.placement, Placement::Store(_));
        #[cfg(not(feature = "store"))]
        false
    }

    /// Returns how many computations of one key may run; by default one in all processes that share the values.
    pub(crate) fn single_flight(&self) -> SingleFlight {
        let default = if self.is_shared() { SingleFlight::Fleet } else { SingleFlight::Process };
        self.single_flight.unwrap_or(default)
    }

    pub(crate) fn ttl_now(&self) -> Option<Duration> {
        self.ttl.map(Lifetime::get)
    }

    pub(crate) fn error_ttl_now(&self) -> Option<Duration> {
        self.error_ttl.map(Lifetime::get)
    }

    pub(crate) fn none_ttl_now(&self) -> Option<Duration> {
        self.none_ttl.map(Lifetime::get)
    }

    pub(crate) fn stale_while_revalidate_now(&self) -> Duration {
        self.stale_while_revalidate.get()
    }

    pub(crate) fn stale_if_error_now(&self) -> Duration {
        self.stale_if_error.get()
    }

    pub(crate) fn timeout_now(&self) -> Option<Duration> {
        self.timeout.map(Lifetime::get)
    }

    /// Returns how long a value is kept after its lifetime.
    pub(crate) fn retention(&self) -> Duration {
        self.stale_while_revalidate_now().max(self.stale_if_error_now())
    }

    /// Returns `true` if the retention may change while the program runs.
    pub(crate) const fn has_evaluated_retention(&self) -> bool {
        self.stale_while_revalidate.is_evaluated() || self.stale_if_error.is_evaluated()
    }

    /// Returns `true` if a value may answer calls that is not as good as new: it is stale, or due for a refresh.
    pub(crate) const fn returns_older_values(&self) -> bool {
        let retains = !self.stale_while_revalidate.is_always_zero() || !self.stale_if_error.is_always_zero();
        retains || self.refresh_ahead.is_some()
    }

    /// Returns the largest fraction by which a lifetime is shortened. By default it is a tenth in a shared store, where
    /// many values are stored at once when all processes start.
    pub(crate) fn jitter(&self) -> f32 {
        self.jitter.unwrap_or(if self.is_shared() { 0.1 } else { 0.0 })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("ttl", &self.ttl)
            .field("cache_err", &self.error_ttl)
            .field("cache_none", &self.none_ttl)
            .field("stale_while_revalidate", &self.stale_while_revalidate)
            .field("stale_if_error", &self.stale_if_error)
            .field("refresh_ahead", &self.refresh_ahead)
            .field("jitter", &self.jitter())
            .field("timeout", &self.timeout)
            .field("max_concurrent", &self.max_concurrent)
            .field("bound", &self.bound)
            .field("backend", &self.backend)
            .field("single_flight", &self.single_flight())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("\"memory\""),
            #[cfg(feature = "store")]
            Self::Configured(role) => write!(f, "{role}"),
            #[cfg(feature = "store")]
            Self::Store(store) => store.fmt(f),
        }
    }
}
