//! The clauses about being told that a key has changed.

use tokio::time::timeout;

use super::probe::Probe;
use super::time::{ANSWER, LONG};
use crate::Store;

/// Whoever watches a key is told when it changes; a store that can not tell has nothing to keep here.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::watching(&MapStore::default()).await;
/// # }
/// ```
pub async fn watching(store: &dyn Store) {
    let probe = Probe::new(store, "watching");
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
            "release" => probe.release(&key, lease).await,
            "put" => probe.put(&key, b"put", LONG).await,
            "remove" => probe.remove(&key).await,
            _ => {
                let filled = probe.fill(&key, lease, b"value", LONG).await;
                assert!(filled, "`fill` has to be taken from the holder");
            }
        }
        for watch in watches {
            let told = timeout(ANSWER, watch).await;
            assert!(told.is_ok(), "every watch of a key has to end with the next `{change}`");
        }
    }
}
