//! What belongs together by its tags, in this process and in shared stores.

#[cfg(feature = "store")]
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "store")]
use super::namespace::{Namespace, TAGS};
use crate::memory;
#[cfg(feature = "store")]
use crate::policy::Counters;
#[cfg(feature = "store")]
use crate::{Result, Store};

/// Invalidates every value that has this tag, of whatever function: in the memory of this process, and in every shared
/// store that a function with tags uses here or that is configured. The time it takes does not
/// depend on how many values that are.
///
/// Once it has returned `Ok`, no later call returns a value with the tag that was computed from before it: in memory no
/// call of this process, in a shared store no call of any.
///
/// # Errors
///
/// What the shared store said, if it could not be told. Then other processes may still find the values; this one takes
/// none of them, and repeats the invalidation until the store has heard it.
///
/// ```
/// use cached_runtime::{async_cached, invalidate_tag};
///
/// #[async_cached(ttl = 60, tags("user:{id}"))]
/// async fn profile(id: u64, lang: &str) -> String {
///     format!("{id} in {lang}")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// profile(42, "en").await;
/// profile(42, "de").await;
/// invalidate_tag("user:42").await?;
/// profile(42, "en").await;
/// assert_eq!(profile::stats().computed, 3);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(
    not(feature = "store"),
    allow(clippy::unused_async, reason = "with shared stores there is something to wait for")
)]
pub async fn invalidate_tag(tag: impl AsRef<str>) -> crate::Result<()> {
    let tag = tag.as_ref();
    memory::invalidate_tag(tag);
    #[cfg(not(feature = "store"))]
    return Ok(());
    #[cfg(feature = "store")]
    {
        #[cfg(any(feature = "redis", feature = "memcached"))]
        for store in crate::store::configured() {
            let _ = remote(store);
        }
        let mut told = Ok(());
        let remotes = remotes().clone();
        for remote in remotes {
            // One that fails does not keep the others from being told.
            told = remote.end_tag(tag).await.and(told);
        }
        told
    }
}

/// The tags in a store.
#[cfg(feature = "store")]
pub(crate) fn remote(store: &Result<Arc<dyn Store>>) -> &'static Namespace {
    let is_it = |remote: &&&'static Namespace| match (&remote.store, store) {
        (Ok(one), Ok(other)) => one.identity() == other.identity(),
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    let mut remotes = remotes();
    if let Some(remote) = remotes.iter().find(is_it) {
        return remote;
    }
    // One for each store of the program, for as long as the program runs.
    let counters: &'static Counters = Box::leak(Box::default());
    let remote: &'static Namespace =
        Box::leak(Box::new(Namespace::new(store.clone(), TAGS.to_owned(), counters)));
    remotes.push(remote);
    remote
}

#[cfg(feature = "store")]
fn remotes() -> std::sync::MutexGuard<'static, Vec<&'static Namespace>> {
    static REMOTES: Mutex<Vec<&'static Namespace>> = Mutex::new(Vec::new());
    REMOTES.lock().unwrap_or_else(PoisonError::into_inner)
}
