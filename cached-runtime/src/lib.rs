//! `#[async_cached]` caches the results of an `async fn`: in the memory of the process, in Redis or Valkey, in
//! Memcached, or in a store of your own.
//!
//! ```
//! use cached_runtime::async_cached;
//!
//! #[async_cached(ttl = 60)]
//! async fn rate(currency: &str) -> Result<f64, String> {
//!     // A slow request to another service.
//! #   Ok(currency.len() as f64)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! rate("EUR").await?; // computed
//! rate("EUR").await?; // a hit
//! rate::invalidate("EUR").await?; // a companion: typed, beside the function
//! rate("EUR").await?; // computed again
//! assert_eq!((rate::stats().computed, rate::stats().hits), (2, 1));
//! # Ok(())
//! # }
//! ```
//!
//! The signature, the callers and the error type of the function stay as they are. Concurrent calls of one key share
//! one computation. An invalidation is final, whatever is in flight. A store that fails is a miss.
//!
//! The [`guide`] has a page on each topic. [`async_cached`] lists all options and how each is written.
//!
//! # A quick tour
//!
//! | to | write | guide |
//! |---|---|---|
//! | limit how long a value is used | `ttl`, `ttl_from`, `jitter` | [lifetimes](guide::lifetimes) |
//! | compute the next value in the background | `stale_while_revalidate`, `refresh_ahead` | [lifetimes](guide::lifetimes) |
//! | bound the memory | `capacity`, or `max_bytes` with `weigh` | [lifetimes](guide::lifetimes) |
//! | choose what makes the key | `skip`, `key`, `name`, `version` | [keys](guide::keys) |
//! | choose which results are cached | `cache_err`, `cache_none`, `cache_if` | [errors](guide::errors) |
//! | survive failures of the function | `stale_if_error`, `timeout` | [errors](guide::errors) |
//! | invalidate groups of values | `tags`, `tags_from` | [tags and invalidation](guide::tags_and_invalidation) |
//! | choose how many calls compute | `single_flight`, `detached` | [single flight](guide::single_flight) |
//! | share values between processes | `backend`, `codec` | [choosing a backend](guide::choosing_a_backend) |
//! | turn caching off | [`set_enabled`], [`recompute`], [`uncached`] | [turning caching off](guide::turning_caching_off) |
//! | cache methods | `skip(self)`, `companions`, `associated` | [methods and traits](guide::methods_and_traits) |
//!
//! More pages: [configuring servers](guide::configuring_servers), [operating](guide::operating),
//! [testing](guide::testing), [what a server may take back](guide::what_a_server_may_take_back),
//! [coming from other caches](guide::coming_from_other_caches).
//!
//! Options can be combined. Here the connection is not in the key, an absent user is cached for a shorter time, and a
//! failure is answered with the last good value for up to an hour:
//!
//! ```
//! use cached_runtime::{async_cached, invalidate_tag};
//! # struct Db;
//! # impl Db { async fn name(&self, id: u64) -> std::io::Result<Option<String>> { Ok(Some(format!("user {id}"))) } }
//!
//! #[async_cached(ttl = "10m", stale_if_error = "1h", cache_none = "5s", skip(db), tags("user:{id}"))]
//! async fn user(db: &Db, id: u64) -> std::io::Result<Option<String>> {
//!     db.name(id).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = Db;
//! user(&db, 42).await?;
//! invalidate_tag("user:42").await?; // of every function with this tag
//! assert!(user::peek(42).await.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! # Companions
//!
//! Beside a function `user` there is a type `user` with its companions. It has the visibility of the function, and is
//! imported with it by `use`. Companions that run the function take all its arguments; the others take the arguments
//! that are in the key, in order and as the function takes them:
//!
//! | call | effect |
//! |---|---|
//! | `user::invalidate(42).await?` | removes the value, and discards a computation in flight |
//! | `user::expire(42).await?` | makes the value stale |
//! | `user::put(42, value).await?` | stores a value that the application already has; `Ok` and `Some` may be left out |
//! | `user::peek(42).await` | returns what a call would find; computes nothing |
//! | `user::lookup(&db, 42).await` | calls, and tells where the value came from, its age and its key: [`Lookup`] |
//! | `user::refresh(&db, 42).await` | computes now and replaces the value, unless it fails |
//! | `user::uncached(&db, 42).await` | runs the function as written |
//! | `user::key(42)?` | returns the name of the entry, on the server if there is one |
//! | `user::clear().await?` | removes every value |
//! | `user::stats()` | returns the counters: [`Stats`] |
//! | `user::set_enabled(false)` | turns caching of the function off |
//!
//! A method `find` has `find_cache()`, which returns a [`MethodCache`], and `find_lookup`, `find_refresh` and
//! `find_uncached`; in the impl of a trait, if the attribute is on the impl too. [`invalidate_tag`] ends all values
//! with a tag, [`expire_tag`] makes them stale, and [`caches`] lists the functions in use.
//!
//! # What can be cached
//!
//! - **Functions:** any `async fn`: free, inside of another function, associated, a method, in the impl of a trait (also under
//!   `#[async_trait]`), generic or not. Functions, instances of a generic function, and methods of different types never
//!   share values; in a shared store, functions with the same `name` do.
//! - **Values:** `Clone + Send + Sync + 'static`. A hit clones the value: return an [`Arc`](std::sync::Arc) of a large one. The
//!   return type is owned and has a name: no reference, no `impl Trait`.
//! - **Keys:** each part is `Hash + Eq + Clone + Send + Sync + 'static` once it is owned. No argument is a `&mut`, because a hit
//!   would lose the change.
//! - **Shared stores:** value and key are `serde::Serialize` too, and the value `DeserializeOwned`.
//!
//! Whatever does not fit is a compile error that says what to write instead.
//!
//! # What it needs from the runtime
//!
//! A tokio runtime with time enabled, and IO for Redis and Memcached. Hits in memory need no runtime. The future of a
//! cached function is `Send` if that of the function is, and if its error is: the result is held while the store is
//! written. Lifetimes in memory follow tokio's clock in debug builds and with `test-util`, so that tests can move it.
//!
//! # Feature flags
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `macros` | the attribute | yes |
//! | `redis` | `backend = "redis"`, `Redis`, `RedisConfig` | |
//! | `redis-tls` | `rediss://`, with the certificates of the system | |
//! | `memcached` | `backend = "memcached"`, `Memcached`, `MemcachedConfig` | |
//! | `json` | `codec = "json"` | |
//! | `store` | `backend = "shared"`, `backend = EXPR` and the trait `Store` for stores of your own; part of the four above | |
//! | `contract` | `contract::check`, which every `Store` must pass; with `store` | |
//! | `metrics` | `publish_metrics`, and histograms, by the crate [`metrics`](https://docs.rs/metrics) | |
//! | `inspector` | `inspector()`, a page about the functions and stores of the program, for axum and other servers | |
//! | `tracing` | a span around each computation, and an event for each call | |
//! | `test-util` | `test`: caches of their own for each test, and a store with failures on demand; release builds follow tokio's paused clock, as debug builds always do | |
//!
//! # Safety
//!
//! The crate contains no unsafe code: `unsafe_code` is forbidden. No error and no log message contains a password, an
//! argument or a value.
//!
#![cfg_attr(feature = "macros", doc = "[`async_cached`]: macro@async_cached")]
#![cfg_attr(not(feature = "macros"), doc = "[`async_cached`]: https://docs.rs/cached-macros")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// The store of `test` is the one that the documentation shows.
#[cfg(all(feature = "store", feature = "test-util"))]
extern crate self as cached_runtime;

mod call;
mod error;
mod function;
#[cfg(any(doc, doctest))]
pub mod guide;
mod lookup;
mod measure;
mod memory;
#[cfg(any(feature = "inspector", feature = "metrics"))]
mod observe;
mod policy;
mod shared;
mod signature;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "test-util")]
pub mod test;
mod trace;
mod util;

#[cfg(feature = "macros")]
pub use cached_macros::async_cached;

pub use crate::call::shutdown;
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::function::MethodCache;
#[doc(hidden)]
pub use crate::function::private as __private;
pub use crate::lookup::{Lookup, Source};
#[cfg(feature = "metrics")]
pub use crate::observe::publish_metrics;
#[cfg(feature = "inspector")]
pub use crate::observe::{Inspector, inspector};
pub use crate::policy::{
    CacheInfo, Config, InstanceInfo, Stats, caches, configure, recompute, set_enabled, uncached,
};
#[cfg(feature = "store")]
pub use crate::shared::{ServerHealth, ServerState, connect, health};
pub use crate::shared::{ShutdownReport, expire_tag, invalidate_tag};
pub use crate::signature::IntoOutput;
#[cfg(feature = "contract")]
pub use crate::store::contract;
#[cfg(feature = "store")]
pub use crate::store::{
    Acquired, Key, LastAttempt, Lease, LeaseId, LeaseMode, NamedStore, Store, StoreConfig, ValueId, Watch,
    store,
};
#[cfg(feature = "memcached")]
pub use crate::store::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
pub use crate::store::{Redis, RedisConfig};
pub use crate::util::BoxFuture;
