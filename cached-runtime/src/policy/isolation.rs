//! Isolations: futures whose cached functions have caches of their own, for tests. Without the feature `test-util` there
//! are none.
//!
//! What an isolation has of its own begins with the number or with the name of the isolation that [`current`] returns.

#[cfg(feature = "test-util")]
pub(crate) use self::present::{Isolation, current};

/// Which isolation something belongs to: none, or the one with this number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct IsolationId {
    #[cfg(feature = "test-util")]
    number: Option<std::num::NonZeroU64>,
}

impl IsolationId {
    /// Returns that of the isolation that the current future runs in.
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(feature = "test-util")]
            number: current().map(|isolation| isolation.number()),
        }
    }

    /// Returns `true` if it is that of no isolation.
    #[cfg(any(feature = "store", feature = "test-util"))]
    #[cfg_attr(not(feature = "test-util"), allow(clippy::unused_self, reason = "it never is"))]
    pub(crate) const fn is_none(self) -> bool {
        #[cfg(feature = "test-util")]
        return self.number.is_none();
        #[cfg(not(feature = "test-util"))]
        true
    }
}

/// Returns a name in a shared store, which an isolation makes its own.
#[cfg(feature = "store")]
pub(crate) fn own_name(name: &str) -> String {
    #[cfg(feature = "test-util")]
    if let Some(isolation) = current() {
        return isolation.name(name);
    }
    name.to_owned()
}

#[cfg(feature = "test-util")]
mod present {
    use std::any::Any;
    use std::collections::HashMap;
    use std::fmt;
    use std::num::NonZeroU64;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use crate::BoxFuture;
    use crate::policy::Scope;
    use crate::util::random;

    /// One isolation, and what is to be done at its end.
    pub(crate) struct Isolation {
        number: NonZeroU64,
        /// What its names in shared stores begin with, which no other process has.
        name: String,
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        /// What stands for a function of the program, by the address of the function.
        functions: HashMap<usize, &'static (dyn Any + Send + Sync)>,
        ends: Vec<End>,
    }

    /// What is done at the end of an isolation: at once, and in the future that it returns.
    type End = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

    /// Returns the isolation that the current future runs in.
    pub(crate) fn current() -> Option<Arc<Isolation>> {
        Scope::current().isolation
    }

    impl Isolation {
        pub(crate) fn new() -> Arc<Self> {
            static LAST: AtomicU64 = AtomicU64::new(0);
            let number = NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed));
            #[cfg(feature = "store")]
            let token = random::token();
            #[cfg(not(feature = "store"))]
            let token = random::random();
            let name = format!("test-{token:016x}");
            Arc::new(Self { number, name, state: Mutex::default() })
        }

        pub(super) const fn number(&self) -> NonZeroU64 {
            self.number
        }

        /// Returns a name that only this isolation has.
        pub(crate) fn name(&self, name: &str) -> String {
            format!("{}.{name}", self.name)
        }

        /// Returns what stands for a function in this isolation; `create` makes it.
        pub(crate) fn function<T: Any + Send + Sync>(
            &self,
            function: &'static T,
            create: impl FnOnce() -> &'static T,
        ) -> &'static T {
            let address = std::ptr::from_ref(function).addr();
            let mut state = self.state();
            let own = *state.functions.entry(address).or_insert_with(|| create());
            own.downcast_ref().unwrap_or(function)
        }

        /// Adds something that is to be done at the end.
        pub(crate) fn at_end(&self, end: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) {
            self.state().ends.push(Box::new(end));
        }

        /// Ends the isolation; returns what is still to be awaited.
        pub(crate) fn end(&self) -> Vec<BoxFuture<'static, ()>> {
            let ends = std::mem::take(&mut self.state().ends);
            ends.into_iter().map(|end| end()).collect()
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl fmt::Debug for Isolation {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("Isolation").field(&self.name).finish()
        }
    }
}
