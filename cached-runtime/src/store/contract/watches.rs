//! The clauses about notifications of changes.

use tokio::time::timeout;

use super::probe::Probe;
use super::time::{LONG, MAX_RESPONSE_TIME};
use crate::{LastAttempt, Store};

/// Checks that every watch of a key completes when the key changes. A store that supports no notifications
/// passes.
///
/// # Panics
///
/// Panics if the store violates a clause; the message says which.
///
/// # Examples
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::watch(&MapStore::default()).await;
/// # }
/// ```
pub async fn watch(store: &dyn Store) {
    let probe = Probe::new(store, "watch");
    let key = probe.key("watched");
    for change in ["release", "fill", "release", "fill", "put", "remove", "put", "remove"] {
        let lease = probe.lease(&key, LONG).await;
        let mut watches = Vec::new();
        for _ in 0..3 {
            let Some(watch) = probe.watch(&key).await else { return };
            watches.push(watch);
        }
        drop(watches.swap_remove(0));
        match change {
            "release" => probe.release(&key, lease, LastAttempt::Unknown).await,
            "put" => probe.put(&key, b"put", LONG).await,
            "remove" => probe.remove(&key).await,
            _ => {
                let filled = probe.fill(&key, lease, b"value", LONG).await;
                assert!(filled, "`fill` must succeed for the holder of the lease");
            }
        }
        for watch in watches {
            let result = timeout(MAX_RESPONSE_TIME, watch).await;
            assert!(result.is_ok(), "every watch of a key must complete with the next `{change}`");
        }
    }
}
