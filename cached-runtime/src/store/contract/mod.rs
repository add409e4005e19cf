//! The contract that every [`Store`] keeps, as a test that can be called.
//!
//! A store of your own passes it in a test like this one, here that of the example at [`Store`]:
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
//! Every other function here checks one group of clauses. Each panics at the first clause that is broken, with
//! a message that says what has to hold; an error of the store is a broken clause too, so it needs a server
//! that works. The keys are new in each run, and what is stored without a ttl is removed at the end.
//!
//! # Time
//!
//! No ttl and no term may end early, and none later than [`LATE`]: enough for a server that counts whole
//! seconds, by a clock of its own. The time is tokio's, so a store that lives in the process of the test and
//! uses `tokio::time::Instant` can be checked with the clock paused; a server in another process can not.

mod concurrency;
mod leases;
mod probe;
mod time;
mod values;
mod watches;

pub use self::leases::{acquiring, dying, extending, filling, naming, releasing};
pub use self::time::{ANSWER, LATE};
pub use self::values::{adding, dropping, expiring, separating, storing};
pub use self::watches::watching;

use crate::Store;

/// Checks the whole contract, all groups at once; it takes a few seconds.
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
/// cached_runtime::contract::check(&MapStore::default()).await;
/// # }
/// ```
pub async fn check(store: &dyn Store) {
    tokio::join!(
        storing(store),
        expiring(store),
        adding(store),
        separating(store),
        dropping(store),
        acquiring(store),
        naming(store),
        filling(store),
        extending(store),
        releasing(store),
        dying(store),
        watching(store),
    );
}
