//! What turns caching off: for the process, for one function, or for the calls of one future.
//!
//! A hit in memory reads one number without ordering, [`ACTIVE`]; everything else is looked at only while it is not zero.

use std::cell::RefCell;
use std::env;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
#[cfg(feature = "test-util")]
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

#[cfg(feature = "test-util")]
use super::isolation::Isolation;

/// How many overrides are in force: switches that are off, and futures with a scope.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// The switch of the whole process; `CACHED_DISABLED` is read when it is first used.
static PROCESS: LazyLock<Switch> = LazyLock::new(|| {
    let switch = Switch::new();
    if env::var_os("CACHED_DISABLED").is_some_and(|value| is_true(&value.to_string_lossy())) {
        switch.set(false);
    }
    switch
});

fn is_true(value: &str) -> bool {
    !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

thread_local! {
    /// The scope of the future that this thread polls.
    static CURRENT: RefCell<Scope> = const { RefCell::new(Scope::NONE) };
}

/// How the calls of a function are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// From the cache, if it has a value.
    Normal,
    /// By a computation that begins now, whose result is stored.
    Recompute,
    /// By a computation whose result is not stored.
    Uncached,
}

/// Returns `true` if any override is in force.
#[inline]
pub(crate) fn any() -> bool {
    ACTIVE.load(Ordering::Relaxed) != 0
}

/// Returns the mode of the calls that the current future makes.
pub(crate) fn current_mode() -> Mode {
    Scope::current().mode
}

/// Turns caching off or on, for the whole process.
///
/// While it is off, calls of cached functions run the function: they neither read nor store values, and do not wait for
/// each other. Companions that invalidate still do, so that no outdated value is found when caching is on again; `put` and
/// `refresh` remove the value. What was being computed is not stored.
///
/// The environment variable `CACHED_DISABLED=1` turns caching off from the start, as does `configure().disabled()`.
/// One function has a switch of its own, its companion `set_enabled`. It is on if both are.
///
/// # Examples
///
/// ```
/// use cached_runtime::async_cached;
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// double(4).await;
/// cached_runtime::set_enabled(false);
/// double(4).await;
/// cached_runtime::set_enabled(true);
/// double(4).await; // A hit: the value is still there.
/// let stats = double::stats();
/// assert_eq!((stats.computed, stats.bypassed, stats.hits), (1, 1, 1));
/// # }
/// ```
pub fn set_enabled(enabled: bool) {
    PROCESS.set(enabled);
}

/// Reads the environment, if that was not done yet.
pub(crate) fn read_environment() {
    LazyLock::force(&PROCESS);
}

/// Adds an override that stays in force: a function whose values are stored nowhere.
#[cfg(feature = "store")]
pub(super) fn begin_forever() {
    std::mem::forget(Active::new());
}

/// Returns `true` if caching is off in the whole process.
pub(crate) fn is_process_disabled() -> bool {
    PROCESS.is_off()
}

/// Makes the cached functions that a future calls compute: they do not look at cached values, join no computation that
/// began before, and store what they compute. For a request with `Cache-Control: no-cache`, for example.
///
/// As with the companion `refresh`, a function that fails leaves the older value in place. The computations of detached
/// functions are included; tasks that the future spawns are not.
///
/// # Cancel safety
///
/// That of `future`.
///
/// # Examples
///
/// ```
/// use cached_runtime::{async_cached, recompute};
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// async fn answer() -> u64 {
///     double(21).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// answer().await;
/// recompute(answer()).await;
/// answer().await;
/// assert_eq!((double::stats().computed, double::stats().hits), (2, 1));
/// # }
/// ```
pub fn recompute<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    Scoped::new(future, Change::Mode(Mode::Recompute))
}

/// Makes the cached functions that a future calls compute, without reading or storing values.
///
/// Companions that the future calls work as ever: `put` stores, `invalidate` removes. The computations of detached functions
/// are included; tasks that the future spawns are not.
///
/// # Cancel safety
///
/// That of `future`.
///
/// # Examples
///
/// ```
/// use cached_runtime::{async_cached, uncached};
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(uncached(async { double(2).await + double(2).await }).await, 8);
/// assert_eq!((double::stats().bypassed, double::stats().entries), (2, 0));
/// # }
/// ```
pub fn uncached<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    Scoped::new(future, Change::Mode(Mode::Uncached))
}

/// A switch that is on at first.
pub(crate) struct Switch {
    is_off: AtomicBool,
}

impl Switch {
    pub(crate) const fn new() -> Self {
        Self { is_off: AtomicBool::new(false) }
    }

    pub(crate) fn set(&self, on: bool) {
        if self.is_off.swap(!on, Ordering::AcqRel) == on {
            if on {
                ACTIVE.fetch_sub(1, Ordering::AcqRel);
            } else {
                ACTIVE.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_off() { "off" } else { "on" })
    }
}

/// What applies to the calls of one future.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    mode: Mode,
    #[cfg(feature = "test-util")]
    pub(super) isolation: Option<Arc<Isolation>>,
}

impl Scope {
    const NONE: Self = Self {
        mode: Mode::Normal,
        #[cfg(feature = "test-util")]
        isolation: None,
    };

    /// Returns the scope of the current future, for a task that computes for it.
    pub(crate) fn current() -> Self {
        if any() { CURRENT.with_borrow(Clone::clone) } else { Self::NONE }
    }

    const fn with(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Returns a future with this scope.
    pub(crate) fn enter<F: Future>(self, future: F) -> Scoped<F> {
        Scoped::new(future, Change::To(self))
    }

    /// Returns the current scope, in an isolation.
    #[cfg(feature = "test-util")]
    pub(crate) fn isolated(isolation: Arc<Isolation>) -> Self {
        Self { isolation: Some(isolation), ..Self::current() }
    }

    const fn is_none(&self) -> bool {
        #[cfg(feature = "test-util")]
        if self.isolation.is_some() {
            return false;
        }
        matches!(self.mode, Mode::Normal)
    }
}

/// How the scope of a future follows from that of the future around it.
#[derive(Debug, Clone)]
enum Change {
    Mode(Mode),
    To(Scope),
}

pin_project! {
    /// A future with a scope.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Scoped<F> {
        #[pin]
        future: F,
        change: Change,
        entered: Option<(Scope, Active)>,
    }
}

impl<F> Scoped<F> {
    fn new(future: F, change: Change) -> Self {
        // In force from now on, so that the scope is not overlooked when it is inherited.
        let entered = match &change {
            Change::To(scope) if !scope.is_none() => Some((scope.clone(), Active::new())),
            Change::To(_) | Change::Mode(_) => None,
        };
        Self { future, change, entered }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.entered.is_none() {
            let scope = match this.change {
                Change::Mode(mode) => Scope::current().with(*mode),
                Change::To(scope) => scope.clone(),
            };
            if scope.is_none() {
                return this.future.poll(cx);
            }
            *this.entered = Some((scope, Active::new()));
        }
        let scope = this.entered.as_ref().map_or(Scope::NONE, |(scope, _)| scope.clone());
        let _restore = Restore(CURRENT.replace(scope));
        this.future.poll(cx)
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("change", &self.change).finish_non_exhaustive()
    }
}

/// Counts an override while it lives.
struct Active(());

impl Active {
    fn new() -> Self {
        ACTIVE.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Restores the scope of the thread after a poll, also after a panic.
struct Restore(Scope);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(std::mem::replace(&mut self.0, Scope::NONE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_is_true_unless_it_says_no() {
        for yes in ["1", "true", " yes ", "on", "2"] {
            assert!(is_true(yes), "{yes}");
        }
        for no in ["", " ", "0", "False", "no", "OFF"] {
            assert!(!is_true(no), "{no}");
        }
    }

    #[test]
    fn inherited_future_without_a_scope_is_polled_as_it_is() {
        let inherited = Scope::current().enter(std::future::ready(1));
        assert!(inherited.entered.is_none());
    }
}
