//! A cached function seen from outside: without its types.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

use crate::signature::KeyParts;
use crate::{BoxFuture, Error, ErrorKind, Result, Stats};

/// What can be asked of any cached function.
pub(crate) trait Function: Sync {
    fn name(&'static self) -> &'static str;
    /// What the attribute asks for, for people.
    fn policy(&'static self) -> &'static dyn fmt::Debug;
    fn stats(&'static self) -> Stats;
    /// Removes every value of every instance.
    fn clear(&'static self) -> BoxFuture<'static, Result<()>>;
    /// Removes what is under a key, in every instance whose keys are of this type; the number of such instances.
    fn invalidate<'a>(&'static self, key: &'a (dyn Any + Send + Sync)) -> BoxFuture<'a, Result<usize>>;
}

/// Where the companions of a cached method are found when none can stand beside it: in an impl of a trait.
///
/// Declare it as a `static` and name it in the attribute. It knows its function from the first call in this
/// process on.
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
pub struct Handle(OnceLock<&'static dyn Function>);

impl Handle {
    /// A handle of no function yet.
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

    /// Removes the value under a key, and voids the computation of it that is under way.
    ///
    /// The key is a tuple of references to what makes the key, in order, with exactly those types:
    /// `(&42_u64, "en")`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the function was not called yet in this process, or has no keys of this type;
    /// otherwise what the shared store said.
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
    #[allow(clippy::needless_pass_by_value, reason = "a key is a tuple that is written in place")]
    // No `async fn`: its type would mention the type of the key, and be a second mistake where that is one.
    pub fn invalidate(&self, key: impl KeyParts) -> BoxFuture<'_, Result<()>> {
        let key = key.own();
        Box::pin(async move {
            match self.function()?.invalidate(&key).await? {
                0 => Err(Error::new(ErrorKind::Config, "the cached function has no keys of this type")),
                _ => Ok(()),
            }
        })
    }

    /// Removes every value of this function.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the function was not called yet in this process; otherwise what the shared store
    /// said.
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

    /// What the function has done so far; all zero if it was not called yet.
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

    pub(crate) fn bind(&self, function: &'static dyn Function) {
        // The first function keeps it: `handle` names one function, and one that is compiled twice is two.
        let _ = self.0.set(function);
    }

    fn function(&self) -> Result<&'static dyn Function> {
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
