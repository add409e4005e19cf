//! What tests of cached functions use: caches of their own, and a store whose failures they decide on.
//!
//! The page [testing](crate::guide::testing) of the guide shows how tests are written.
//!
//! ```
//! use cached_runtime::{Source, async_cached, test};
//!
//! #[async_cached(ttl = 60)]
//! async fn double(n: u64) -> u64 {
//!     2 * n
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! double(4).await;
//! let source = test::isolated(async { double::lookup(4).await.source }).await;
//! assert_eq!(source, Source::Computed); // The value from outside is not there,
//! assert_eq!(double::lookup(4).await.source, Source::Memory); // and is left alone.
//! # }
//! ```

mod isolated;
#[cfg(feature = "store")]
mod store;

pub use isolated::{inherit, isolated};
#[cfg(feature = "store")]
pub use store::{Fault, Operation, Request, TestStore};
