//! Invalidation and expiration of a tag, in the memory of this process and in shared stores.

#[cfg(feature = "store")]
use std::future::Future;
#[cfg(feature = "store")]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "store")]
use super::namespace::Namespace;
use crate::Result;
#[cfg(feature = "store")]
use crate::Store;
use crate::memory;
#[cfg(feature = "store")]
use crate::policy::{Counters, IsolationId};

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
/// The first poll invalidates the memory of this process and starts the change in every store. A change that has started
/// completes even if the future is dropped: its result is then not returned, and one that a store does not confirm is still
/// retried.
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
pub async fn invalidate_tag(tag: impl AsRef<str>) -> Result<()> {
    let tag = tag.as_ref();
    memory::invalidate_tag(tag);
    #[cfg(feature = "store")]
    return in_stores(|namespace| namespace.invalidate_tag(tag)).await;
    #[cfg(not(feature = "store"))]
    std::future::ready(Ok(())).await
}

/// Makes every value with this tag stale, of any function: instead of [`invalidate_tag`], where an older value is better
/// than none.
///
/// A function with `stale_while_revalidate` still returns the value at once, while the next one is computed; one with
/// `stale_if_error` returns it if it fails to compute the next one. For the others it is as if the tag were invalidated. The
/// time during which a stale value is used begins now, or began at the end of its `ttl`.
///
/// It applies where [`invalidate_tag`] does. After it has returned `Ok`, no later call returns a value with the tag that was
/// computed before it as a fresh one. In a shared store it takes more commands than [`invalidate_tag`], but their number does
/// not depend on the number of values either.
///
/// # Errors
///
/// The error of a shared store that did not confirm it. This process then invalidates the tag, and retries until the store
/// confirms that.
///
/// # Cancel safety
///
/// That of [`invalidate_tag`].
///
/// # Examples
///
/// ```
/// use cached_runtime::{Source, async_cached, expire_tag};
///
/// #[async_cached(ttl = 60, stale_if_error = "1h", tags("user:{id}"))]
/// async fn profile(id: u64) -> Result<String, String> {
///     if profile::stats().computed == 0 { Ok(format!("user {id}")) } else { Err("down".to_owned()) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// assert!(profile(42).await.is_ok());
/// expire_tag("user:42").await?;
/// let lookup = profile::lookup(42).await; // The function ran, and failed.
/// assert_eq!((lookup.value.as_deref(), lookup.source), (Ok("user 42"), Source::Stale));
/// # Ok(())
/// # }
/// ```
pub async fn expire_tag(tag: impl AsRef<str>) -> Result<()> {
    let tag = tag.as_ref();
    memory::expire_tag(tag);
    #[cfg(feature = "store")]
    return in_stores(|namespace| namespace.expire_tag(tag)).await;
    #[cfg(not(feature = "store"))]
    std::future::ready(Ok(())).await
}

/// Applies a change to the tags of every store.
///
/// All stores are asked at once: one that does not answer neither delays the others nor, if the caller is dropped
/// meanwhile, keeps them from being asked.
#[cfg(feature = "store")]
async fn in_stores<C: Future<Output = Result<()>>>(change: impl Fn(&'static Namespace) -> C) -> Result<()> {
    for store in crate::store::configured() {
        let _ = tag_namespace(store);
    }
    let isolation = IsolationId::current();
    let mut namespaces = tag_namespaces().clone();
    namespaces.retain(|namespace| namespace.isolation == isolation);
    let started: Vec<_> = namespaces.into_iter().map(change).collect();
    let mut confirmed = Ok(());
    for changed in started {
        confirmed = changed.await.and(confirmed);
    }
    confirmed
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
    let namespace: &'static Namespace = Box::leak(Box::new(Namespace::of_tags(store.clone(), counters)));
    namespace.report_pending();
    namespaces.push(namespace);
    namespace
}

#[cfg(feature = "store")]
fn tag_namespaces() -> MutexGuard<'static, Vec<&'static Namespace>> {
    static NAMESPACES: Mutex<Vec<&'static Namespace>> = Mutex::new(Vec::new());
    NAMESPACES.lock().unwrap_or_else(PoisonError::into_inner)
}
