//! Caches of their own for the calls of one future.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::BoxFuture;
use crate::policy::{Isolation, Scope};

/// For how long the end of an isolation waits for the stores.
const MAX_END: Duration = Duration::from_secs(5);

/// Runs a future with caches of its own: a test that is safe beside others in one process.
///
/// Each function that the future calls begins with an empty cache and with counters at zero; its companions, its
/// `set_enabled`, [`invalidate_tag`](crate::invalidate_tag) and [`caches`](crate::caches) are about that cache. In a
/// shared store the names of all entries begin with a random word. Nothing that the future does is seen outside, and
/// nothing from outside is seen in it.
///
/// At the end the values in memory are dropped, and what was written to a shared store is removed, for which it waits for up to
/// 5 s. Some bytes for each function that was called remain until the program ends.
///
/// Tasks that the future spawns are not part of it, unless what they run is [`inherit`]ed. Background refreshes and the
/// computations of detached functions are.
///
/// What concerns the whole process is not isolated: [`configure`](crate::configure), [`set_enabled`](crate::set_enabled),
/// [`health`](crate::health) and [`shutdown`](crate::shutdown).
///
/// # Cancel safety
///
/// That of `future`. If the future is dropped, or panics, the values in memory are dropped too. A shared store is asked
/// in a task to remove what was written; if the runtime ends before that, the entries expire after their lifetime.
///
/// # Examples
///
/// ```
/// use cached_runtime::{async_cached, test};
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # async fn each_test_begins_with_an_empty_cache() {
/// // #[tokio::test]
/// // async fn each_test_begins_with_an_empty_cache() {
/// test::isolated(async {
///     double(4).await;
///     double(4).await;
///     assert_eq!((double::stats().computed, double::stats().hits), (1, 1));
/// })
/// .await;
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// #     tokio::join!(each_test_begins_with_an_empty_cache(), each_test_begins_with_an_empty_cache());
/// #     assert_eq!(double::stats().computed, 0);
/// # }
/// ```
pub async fn isolated<F: Future>(future: F) -> F::Output {
    let isolation = Isolation::new();
    let end = End(Arc::clone(&isolation));
    let output = Scope::isolated(isolation).enter(future).await;
    // What takes longer is left to expire.
    let _ = crate::util::timer::timeout(MAX_END, end.finish()).await;
    output
}

/// Runs a future in the isolation that this is called in, for a task: `tokio::spawn(inherit(…))`.
///
/// Without an isolation it is the future as it is. [`recompute`](crate::recompute) and [`uncached`](crate::uncached())
/// are inherited too.
///
/// # Cancel safety
///
/// That of `future`.
///
/// # Examples
///
/// ```
/// use cached_runtime::{async_cached, test};
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// test::isolated(async {
///     tokio::spawn(test::inherit(double(4))).await.unwrap();
///     assert_eq!(double::stats().computed, 1);
/// })
/// .await;
/// # }
/// ```
pub fn inherit<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    Scope::current().enter(future)
}

/// Ends an isolation, also if its future is dropped.
struct End(Arc<Isolation>);

impl End {
    async fn finish(self) {
        for end in self.0.end() {
            end.await;
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let ends: Vec<BoxFuture<'static, ()>> = self.0.end();
        if let (false, Ok(runtime)) = (ends.is_empty(), Handle::try_current()) {
            runtime.spawn(async {
                for end in ends {
                    end.await;
                }
            });
        }
    }
}
