//! The contract of [`Store`], as functions that a test can call.
//!
//! Call [`check`] in a test of your store, here of the example at [`Store`]:
//!
//! ```
//! # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
//! # use map::MapStore;
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let my_store = MapStore::default();
//! cached_runtime::contract::check(&my_store).await;
//! # }
//! ```
//!
//! Every other function checks one group of clauses. It panics at the first violation, with a message that
//! states the clause. An error of the store is a violation too, so the server must be available. Each run
//! uses new keys, and removes what it has stored without a ttl.
//!
//! # Time
//!
//! No ttl and no term may end early, nor more than [`MAX_EXPIRY_DELAY`] late, which suffices for a server
//! with a clock of whole seconds. The functions measure time with `tokio::time`. A store in the process of
//! the test that uses `tokio::time::Instant` can therefore be checked with a paused clock; a server in
//! another process cannot.

mod concurrency;
mod lease_ends;
mod leases;
mod probe;
mod time;
mod values;
mod watches;

pub use self::lease_ends::{extend, last_attempt, lease_expiry, release};
pub use self::leases::{acquire, fill, lease_ids};
pub use self::time::{MAX_EXPIRY_DELAY, MAX_RESPONSE_TIME};
pub use self::values::{add, cancellation, expiry, get_and_put, key_isolation};
pub use self::watches::watch;

use crate::Store;

/// Checks the whole contract, all groups concurrently. It takes a few seconds of tokio's time.
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
/// cached_runtime::contract::check(&MapStore::default()).await;
/// # }
/// ```
pub async fn check(store: &dyn Store) {
    tokio::join!(
        get_and_put(store),
        expiry(store),
        add(store),
        key_isolation(store),
        cancellation(store),
        acquire(store),
        lease_ids(store),
        fill(store),
        extend(store),
        release(store),
        last_attempt(store),
        lease_expiry(store),
        watch(store),
    );
}
