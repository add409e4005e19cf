//! The static that leads to the values of a cached method in the impl of a trait.

use std::fmt;
use std::sync::OnceLock;

use super::erased_function::ErasedFunction;
use super::stats::Stats;
use crate::signature::KeyParts;
use crate::{BoxFuture, Error, ErrorKind, Result};

/// Leads to the values of a cached method that can have no companions: one in the impl of a trait.
///
/// Declare it as a `static` and name it in the attribute, by the option `handle`. It knows its method only after the
/// first call of that method in this process.
///
/// # Examples
///
/// ```
/// use cached_runtime::{Handle, async_cached};
///
/// trait Find {
///     async fn find(&self, id: u64) -> String;
/// }
///
/// struct Users;
///
/// static FIND: Handle = Handle::new();
///
/// impl Find for Users {
///     #[async_cached(ttl = 60, skip(self), handle = FIND)]
///     async fn find(&self, id: u64) -> String {
///         format!("user {id}")
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// Users.find(42).await;
/// Users.find(42).await;
/// assert_eq!(FIND.stats().hits, 1);
/// FIND.invalidate((&42_u64,)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Handle(OnceLock<&'static dyn ErasedFunction>);

impl Handle {
    /// Returns a handle that does not know its method yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Handle, Stats};
    ///
    /// static FIND: Handle = Handle::new();
    /// assert_eq!(FIND.stats(), Stats::default());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Removes the value of a key, and discards the computation of that key that is in flight.
    ///
    /// The key is a tuple of references to the parts of the key, in order and of exactly their types, as in
    /// `(&42_u64, "en")`. In a generic type or method, the values of all instances with keys of these types are removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the method was not called yet in this process, or has no keys of these types. Otherwise
    /// the error of the shared store, if it did not confirm the change; then the invalidation is retried in the
    /// background.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the future is polled. A change that has begun is made also if the future is dropped, but
    /// instances that it had not reached yet keep their values.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{Handle, async_cached};
    /// # trait Find {
    /// #     async fn find(&self, id: u64) -> String;
    /// # }
    /// # struct Users;
    /// # static FIND: Handle = Handle::new();
    /// # impl Find for Users {
    /// #     #[async_cached(ttl = 60, skip(self), handle = FIND)]
    /// #     async fn find(&self, id: u64) -> String {
    /// #         format!("user {id}")
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Users.find(42).await;
    /// FIND.invalidate((&42_u64,)).await?;
    /// Users.find(42).await;
    /// assert_eq!(FIND.stats().computed, 2);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a key is a tuple of references that is written in place"
    )]
    // Not an `async fn`: the type of its future would contain the type of the key, and a mistake in the key would be
    // reported twice.
    pub fn invalidate(&self, key: impl KeyParts) -> BoxFuture<'_, Result<()>> {
        let key = key.to_owned_key();
        Box::pin(async move {
            match self.function()?.invalidate(&key).await? {
                0 => Err(Error::new(ErrorKind::Config, "the cached function has no keys of these types")),
                _ => Ok(()),
            }
        })
    }

    /// Removes every value of the method, in all its instances.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the method was not called yet in this process. Otherwise the error of the shared store,
    /// if it did not confirm the change; then the invalidation is retried in the background.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the future is polled. A change that has begun is made also if the future is dropped, but
    /// instances that it had not reached yet keep their values.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{Handle, async_cached};
    /// # trait Find {
    /// #     async fn find(&self, id: u64) -> String;
    /// # }
    /// # struct Users;
    /// # static FIND: Handle = Handle::new();
    /// # impl Find for Users {
    /// #     #[async_cached(ttl = 60, skip(self), handle = FIND)]
    /// #     async fn find(&self, id: u64) -> String {
    /// #         format!("user {id}")
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Users.find(42).await;
    /// FIND.clear().await?;
    /// assert_eq!(FIND.stats().entries, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn clear(&self) -> Result<()> {
        self.function()?.clear().await
    }

    /// Returns the counters of the method, of all its instances together; zeros before its first call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{Handle, async_cached};
    /// # trait Find {
    /// #     async fn find(&self, id: u64) -> String;
    /// # }
    /// # struct Users;
    /// # static FIND: Handle = Handle::new();
    /// # impl Find for Users {
    /// #     #[async_cached(ttl = 60, skip(self), handle = FIND)]
    /// #     async fn find(&self, id: u64) -> String {
    /// #         format!("user {id}")
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Users.find(42).await;
    /// Users.find(42).await;
    /// assert_eq!((FIND.stats().computed, FIND.stats().hits), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.get().map_or_else(Stats::default, |function| function.stats())
    }

    pub(crate) fn bind(&self, function: &'static dyn ErasedFunction) {
        // The first function keeps the handle: a function that is compiled twice, as by a macro, would bind it twice.
        let _ = self.0.set(function);
    }

    fn function(&self) -> Result<&'static dyn ErasedFunction> {
        self.0
            .get()
            .copied()
            .ok_or(Error::new(ErrorKind::Config, "the cached function of this handle was not called yet"))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0.get().map(|function| function.name())).finish()
    }
}
