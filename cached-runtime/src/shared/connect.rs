//! Reaching the stores before they are needed.

use std::sync::Arc;
use std::time::Duration;

use super::health::Health;
use super::namespace::within;
use super::observed_store::Operation;
use crate::store::shutting_down;
use crate::util::{join_all, timer};
use crate::{Error, ErrorKind, Key, Result, Store, store};

/// For how long a store is asked again.
const LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Reaches every store that is configured, in code or by a variable, or says which not: for a readiness check, before the first
/// request.
///
/// Each store is asked for a key that does not exist, again and again for up to 5 seconds. Without it, the first operation of
/// each store connects. A store that no configuration mentions is asked once a function has used it.
///
/// # Errors
///
/// The error of the store that could not be reached, with its name in the `source`; of several stores, all of them. The kind is
/// [`ErrorKind::Config`] if settings are wrong, or if a function has used a named store that is not configured.
///
/// # Cancel safety
///
/// Nothing is left behind.
///
/// # Examples
///
/// ```
/// use cached_runtime::{configure, connect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// configure().shared("memory://").install()?; // `redis://cache.internal` in production.
/// connect().await?;
/// # Ok(())
/// # }
/// ```
pub async fn connect() -> Result<()> {
    let reached = join_all(store::servers_in_use().map(|(name, store)| async move {
        match store {
            Ok(store) => {
                let reached = timer::in_task(|| reach(Arc::clone(store))).await;
                (name, reached.unwrap_or_else(|| Err(shutting_down())))
            }
            Err(error) => (name, Err(error.clone())),
        }
    }))
    .await;
    let failures = reached.into_iter().filter_map(|(name, reached)| Some((name, reached.err()?)));
    let failures: Vec<_> = failures.chain(store::unknown_names()).collect();
    match &*failures {
        [] => Ok(()),
        [(_, first), ..] => {
            let kind = first.kind();
            Err(Error::new(kind, "a configured store cannot be reached").with_source(store::list(&failures)))
        }
    }
}

/// Asks a store until it answers, or says that it never will.
async fn reach(store: Arc<dyn Store>) -> Result<()> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"));
    }
    let (probe, health) = ([Key::from_bytes("connect", &[])], Health::of(&store));
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let Err(error) = health.observe(Operation::Get, within(store.time_limit(), store.get(&probe))).await
        else {
            return Ok(());
        };
        let is_final = matches!(error.kind(), ErrorKind::Config | ErrorKind::Rejected | ErrorKind::Protocol);
        if is_final || tokio::time::Instant::now() >= end {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
