//! Invalidation of a tag, in the memory of this process and in shared stores.

#[cfg(feature = "store")]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "store")]
use super::namespace::{Namespace, TAGS};
use crate::Result;
#[cfg(feature = "store")]
use crate::Store;
use crate::memory;
#[cfg(feature = "store")]
use crate::policy::{Counters, IsolationId, own_name};

/// Invalidates every value with this tag, of any function.
///
/// It applies to the memory of this process, to every shared store that a function with tags uses in this process, and
/// to every configured store. The cost does not depend on the number of values.
///
/// After it has returned `Ok`, no later call returns a value with the tag that was computed before it: for values in
/// memory this holds in this process, for values in a shared store it holds in every process.
///
/// # Errors
///
/// The error of a shared store that did not confirm the invalidation. Other processes may still find the values there.
/// This process ignores them, and retries the invalidation until the store confirms it.
///
/// # Cancel safety
///
/// The memory of this process is invalidated by the first poll. If the future is dropped before it completes, some
/// stores may not have been asked.
///
/// # Examples
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
    allow(clippy::unused_async, reason = "it awaits with a shared store only")
)]
pub async fn invalidate_tag(tag: impl AsRef<str>) -> Result<()> {
    let tag = tag.as_ref();
    memory::invalidate_tag(tag);
    #[cfg(not(feature = "store"))]
    return Ok(());
    #[cfg(feature = "store")]
    {
        for store in crate::store::configured() {
            let _ = tag_namespace(store);
        }
        let isolation = IsolationId::current();
        let mut namespaces = tag_namespaces().clone();
        namespaces.retain(|namespace| namespace.isolation == isolation);
        // All stores are asked at once: one that does not answer neither delays the others nor, if the caller is dropped
        // meanwhile, keeps them from being asked.
        let started: Vec<_> = namespaces.into_iter().map(|namespace| namespace.invalidate_tag(tag)).collect();
        let mut confirmed = Ok(());
        for invalidation in started {
            confirmed = invalidation.await.and(confirmed);
        }
        confirmed
    }
}

/// Returns the namespace of the tags in a store, which is the same for equal stores.
#[cfg(feature = "store")]
pub(crate) fn tag_namespace(store: &Result<Arc<dyn Store>>) -> &'static Namespace {
    let isolation = IsolationId::current();
    let is_same = |namespace: &&&'static Namespace| match (&namespace.store, store) {
        _ if namespace.isolation != isolation => false,
        (Ok(one), Ok(other)) => one.identity() == other.identity(),
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    let mut namespaces = tag_namespaces();
    if let Some(namespace) = namespaces.iter().find(is_same) {
        return namespace;
    }
    // Leaked, which is bounded: there is one for each store of the program.
    let counters: &'static Counters = Box::leak(Box::default());
    let namespace: &'static Namespace =
        Box::leak(Box::new(Namespace::new(store.clone(), own_name(TAGS), counters)));
    namespace.report_pending();
    namespaces.push(namespace);
    namespace
}

#[cfg(feature = "store")]
fn tag_namespaces() -> MutexGuard<'static, Vec<&'static Namespace>> {
    static NAMESPACES: Mutex<Vec<&'static Namespace>> = Mutex::new(Vec::new());
    NAMESPACES.lock().unwrap_or_else(PoisonError::into_inner)
}
