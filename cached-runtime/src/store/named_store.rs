//! A store that the configuration knows by a name.

/// A store that [`Config::store`](crate::Config::store) has configured under a name: what [`store`] returns.
///
/// # Examples
///
/// ```
/// use cached_runtime::{NamedStore, async_cached};
///
/// const SESSIONS: NamedStore = cached_runtime::store("sessions");
///
/// #[async_cached(ttl = 60, backend = SESSIONS)]
/// async fn session(id: u64) -> u64 {
///     id
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedStore(pub(crate) &'static str);

/// Returns the store that is configured under this name, for `backend = cached_runtime::store("sessions")`.
///
/// The name is looked up when a function with it is first used. If no store has it, calls compute, which is counted in
/// `store_errors`, and companions that change something return an error that says so.
///
/// # Examples
///
/// ```
/// use cached_runtime::{async_cached, configure};
///
/// #[async_cached(ttl = 60, backend = cached_runtime::store("sessions"))]
/// async fn session(id: u64) -> u64 {
///     id
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// // In production `redis://sessions.internal`, or a `RedisConfig`.
/// configure().store("sessions", "memory://").install()?;
/// session(42).await;
/// session(42).await;
/// assert_eq!(session::stats().hits, 1);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub const fn store(name: &'static str) -> NamedStore {
    NamedStore(name)
}
