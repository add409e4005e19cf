//! Async functions that remember their results: in the process, in Redis or Valkey, in Memcached, or in a store of
//! your own.
//!
//! ```
//! use cached_runtime::async_cached;
//!
//! #[async_cached(ttl = 60)]
//! async fn rate(currency: &str) -> Result<f64, String> {
//!     // Ask somebody who takes his time.
//! #   Ok(currency.len() as f64)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! rate("EUR").await?; // computed
//! rate("EUR").await?; // remembered
//! rate::invalidate("EUR").await?;
//! rate("EUR").await?; // computed
//! assert_eq!((rate::stats().computed, rate::stats().hits), (2, 1));
//! # Ok(())
//! # }
//! ```
//!
//! The signature, the callers and the error type of the function stay as they are. All options are listed at
//! [`async_cached`](macro@async_cached).
//!
//! - [Functions](#functions) · [Keys](#keys) · [Results](#results) · [Lifetimes](#lifetimes)
//! - [Stale values](#stale-values) · [Tags](#tags) · [Bounds](#bounds)
//! - [Calls at the same time](#calls-at-the-same-time) · [Companions](#companions) · [Methods](#methods)
//! - [Shared stores](#shared-stores) · [Configuration](#configuration) · [Errors](#errors)
//! - [What it needs from the runtime](#what-it-needs-from-the-runtime) · [Tests](#tests) · [Features](#features)
//!
//! # Functions
//!
//! The attribute stands on an `async fn`: a free one, one inside of another function, an associated one, a method, one
//! in the impl of a trait (also under `#[async_trait]`), generic or not. Functions never share values unless you give
//! them the same `name`; nor do instances of a generic function, nor methods of different types. An argument that is an
//! `impl Trait` tells no instances apart, as nobody can name its type: write `<T: Trait>` for that.
//!
//! A value must be `Clone + Send + Sync + 'static`. A hit clones it; where that is expensive, return an [`Arc`]:
//!
//! ```
//! use std::sync::Arc;
//! use cached_runtime::async_cached;
//!
//! #[async_cached(ttl = "1h30m")]
//! async fn page(path: &str) -> Arc<str> {
//!     format!("<h1>{path}</h1>").into()
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! assert!(Arc::ptr_eq(&page("/").await, &page("/").await));
//! # }
//! ```
//!
//! What makes no sense is refused where it is written, with what to write instead: a function that is not `async`, an
//! argument by `&mut` (a hit would lose the change), a result that is borrowed or has no name.
//!
//! # Keys
//!
//! All arguments make the key. They are compared by `Eq`, in full; a look-up borrows them, so `&str` costs no `String`
//! until there is something to store. `skip(..)` leaves arguments out, and `key = (..)` says what to take instead:
//!
//! ```
//! use cached_runtime::async_cached;
//! # struct Db;
//! # struct Order { id: u64, note: String }
//!
//! #[async_cached(ttl = 60, skip(db))]
//! async fn user(db: &Db, id: u64) -> String {
//!     # let _ = db;
//!     format!("user {id}")
//! }
//!
//! #[async_cached(ttl = 60, key = (order.id, weight.to_bits()))]
//! async fn postage(order: &Order, weight: f64) -> u64 {
//!     # let _ = order;
//!     weight as u64
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # user(&Db, 1).await;
//! postage(&Order { id: 1, note: "to the door".to_owned() }, 2.5).await;
//! postage(&Order { id: 1, note: String::new() }, 2.5).await;
//! assert_eq!(postage::stats().hits, 1);
//! # }
//! ```
//!
//! A part of the key must be `Hash + Eq + Clone + Send + Sync + 'static` once it is owned, and there are at most 12
//! parts. What the result depends on belongs into the key: a skipped argument is one that does not change it.
//!
//! # Results
//!
//! Of a `Result` only `Ok` is remembered, of an `Option` only `Some`, and of a `Result<Option<T>, E>` only `Ok(Some(_))`.
//! What counts is the type, not how it is spelt: `io::Result<T>` and your own alias are `Result`s. `cache_err` and
//! `cache_none` remember the other case too, each for its own time, and `cache_if` chooses among the successes:
//!
//! ```
//! use cached_runtime::async_cached;
//!
//! #[derive(Debug, Clone, PartialEq)]
//! struct NotFound;
//! type Answer<T> = Result<T, NotFound>;
//!
//! #[async_cached(ttl = 60, cache_err = "5s", cache_if = |name: &String| !name.is_empty())]
//! async fn name(id: u64) -> Answer<String> {
//!     match id {
//!         0 => Err(NotFound),
//!         1 => Ok(String::new()),
//!         _ => Ok(format!("name of {id}")),
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! for id in [0, 1, 2, 0, 1, 2] {
//!     let _ = name(id).await;
//! }
//! assert_eq!(name::stats().computed, 4);
//! assert_eq!(name::peek(0).await, Some(Err(NotFound)));
//! # }
//! ```
//!
//! # Lifetimes
//!
//! `ttl` is a number of seconds, a duration in words, or an expression of type [`Duration`](std::time::Duration). There
//! is always one. `ttl_from` asks the value instead:
//!
//! ```
//! use std::time::Duration;
//! use cached_runtime::async_cached;
//!
//! #[derive(Clone)]
//! struct Token { text: String, valid_for: Duration }
//!
//! #[async_cached(ttl_from = |token: &Token| token.valid_for.saturating_sub(Duration::from_secs(5)))]
//! async fn token(user: &str) -> Token {
//!     Token { text: format!("token of {user}"), valid_for: Duration::from_secs(300) }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # token("a").await;
//! # }
//! ```
//!
//! A value that has outlived its `ttl` is never returned, unless the function asks for it. Its memory is given back by a
//! task that runs as long as there are values.
//!
//! # Stale values
//!
//! After its `ttl` a value may still be worth something. With `stale_while_revalidate` a call gets it at once while the next
//! one is computed in the background, once. With `stale_if_error` it is there for when the function fails: then everybody
//! gets it at once, and one call a second tries whether it still does. `timeout` ends a function that takes too long: then
//! there is the stale value, or an error. `refresh_ahead` computes the next value before the end, so that a key that is
//! asked for often never goes cold:
//!
//! ```
//! use cached_runtime::{Source, async_cached};
//!
//! #[async_cached(ttl = 60, stale_while_revalidate = "30s", stale_if_error = "1h", timeout = "2s")]
//! async fn rate(currency: String) -> Result<u64, std::io::Error> {
//!     Ok(currency.len() as u64)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! rate("EUR".to_owned()).await?;
//! rate::expire("EUR".to_owned()).await?; // as if its time was over
//! let found = rate::lookup("EUR".to_owned()).await;
//! assert_eq!((found.value?, found.source), (3, Source::Stale)); // and the next one is being computed
//! # Ok(())
//! # }
//! ```
//!
//! What is computed in the background outlives its caller: such a function takes nothing that is borrowed. In a shared
//! store one process computes for all. Lifetimes there are shortened by up to a tenth, by another part for each key, so
//! that what was stored together does not end together; `jitter` says by how much.
//!
//! # Tags
//!
//! Values that belong together have a tag in common, across functions, and [`invalidate_tag`] ends them all, however many
//! there are. A tag is a template of the arguments that make the key, or any expression of them; what only the value knows
//! is told by `tags_from`:
//!
//! ```
//! use cached_runtime::{async_cached, invalidate_tag};
//!
//! #[derive(Clone)]
//! struct User { name: String, team: u64 }
//!
//! #[async_cached(ttl = 60, tags("user:{id}", "users"), tags_from = |user: &User| vec![format!("team:{}", user.team)])]
//! async fn user(id: u64) -> User {
//!     User { name: format!("user {id}"), team: id % 10 }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cached_runtime::Result<()> {
//! user(42).await;
//! invalidate_tag("team:2").await?;
//! user(42).await;
//! assert_eq!(user::stats().computed, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Bounds
//!
//! Memory is always bounded: by 10 000 values for each function (and instance of it), by `capacity`, or by
//! `max_bytes` with `weigh`, which says how many bytes an entry counts:
//!
//! ```
//! use cached_runtime::async_cached;
//!
//! #[async_cached(ttl = 60, max_bytes = "64MiB", weigh = |key, page| (key.0.len() + page.len() + 64) as u64)]
//! async fn page(path: &str) -> String {
//!     format!("<h1>{path}</h1>")
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # page("/").await;
//! # }
//! ```
//!
//! # Calls at the same time
//!
//! Of the calls that miss one key at one time, one computes and the others wait for what it returns: in memory of those
//! in one process, in a shared store of those in all processes that share it. An error that is `Clone` is handed to
//! those in the same process as well; another one sends them on, one after another, and after two failures each computes
//! for itself. Other keys never wait. No lock is held while the function runs.
//!
//! The function runs in the task of the caller that computes. If that caller goes away, the next one takes over and
//! begins anew; with `detached` the function runs in a task of its own, which stops when the last caller is gone. A
//! computation that is not polled for 3 seconds is replaced, and nobody waits longer than 30 seconds for another. A
//! function that calls itself with the same key computes. `single_flight = "process"` lets every process compute, and
//! `"off"` every call.
//!
//! # Companions
//!
//! Beside a function `user` there is a type `user`, which goes where the function goes, also by `use`:
//!
//! | call | does |
//! |---|---|
//! | `user::invalidate(42).await?` | removes the value, and voids a computation of it that is under way |
//! | `user::expire(42).await?` | the value is stale from now on |
//! | `user::put(42, value).await?` | stores a value that you have already; `Ok` and `Some` may be left out |
//! | `user::peek(42).await` | what a call would find, as `Some(..)` of what the function returns; computes nothing |
//! | `user::lookup(&db, 42).await` | what a call returns, and where it came from: [`Lookup`] |
//! | `user::refresh(&db, 42).await` | computes now and replaces what is there, unless it fails |
//! | `user::uncached(&db, 42).await` | the function as you wrote it |
//! | `user::clear().await?` | removes every value |
//! | `user::stats()` | what the function has done so far: [`Stats`] |
//!
//! The first four take what makes the key, in order and as the function takes it; `lookup`, `refresh` and `uncached` take
//! every argument. Once `invalidate`, `expire`, `put`, `clear` or [`invalidate_tag`] has returned `Ok`, no later call returns a value that was computed from
//! before it, whatever was under way.
//!
//! [`caches`] lists all cached functions that are in use, with their counters.
//!
//! # Methods
//!
//! A method must say what `self` means: `skip(self)` if all instances share their values, or else what tells them apart,
//! as in `key = (self.id, product)`. A method with a visibility (`pub(self)` counts) has companions beside it:
//! `find_cache()`, which returns a [`MethodCache`], `find_lookup`, `find_refresh` and `find_uncached`. In the impl of a trait nothing
//! can stand beside it; there a static [`Handle`] leads to its values.
//!
//! ```
//! use cached_runtime::async_cached;
//!
//! struct Shop { id: u64, rate: u64 }
//!
//! impl Shop {
//!     #[async_cached(ttl = 60, key = (self.id, product))]
//!     pub async fn price(&self, product: u64) -> u64 {
//!         product * self.rate
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cached_runtime::Result<()> {
//! let shop = Shop { id: 1, rate: 3 };
//! assert_eq!(shop.price(7).await, 21);
//! assert_eq!(Shop::price_cache().peek((&shop, 7)).await, Some(21));
//! Shop::price_cache().invalidate((&shop, 7)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Shared stores
//!
//! With a shared backend the processes of a fleet share their values. Value and key must be `Serialize`, the value
//! `DeserializeOwned` too.
//!
#![cfg_attr(feature = "redis", doc = "```")]
#![cfg_attr(not(feature = "redis"), doc = "```ignore")]
//! use cached_runtime::async_cached;
//!
//! #[async_cached(ttl = "10m", backend = "redis", name = "users", version = 2)]
//! async fn user(id: u64) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}"))
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # // Nobody listens there: a test of this example needs no server, and writes into none.
//! # let nowhere = cached_runtime::RedisConfig::new("redis://127.0.0.1:1");
//! # cached_runtime::configure().redis(nowhere).install()?;
//! assert_eq!(user(42).await?, "user 42"); // also if the server is down
//! # Ok(())
//! # }
//! ```
//!
//! - **Where.** `"redis"` is Redis 6.2 or later, or Valkey; `"memcached"` is Memcached 1.6 or later; an expression is
//!   any [`Store`](#features).
//! - **Under which key.** The namespace and a digest of the arguments. The namespace is the path of the function with
//!   its `version`, or the `name` that you give. The path begins with the crate. Give a name if the function may move to
//!   another module, or if several programs of yours have the function and are to share its values.
//! - **Which bytes.** `msgpack`, or `codec = "json"`, in an envelope with a checksum that holds for one key. What lies
//!   there and was not written for this key and this type is a miss.
//! - **When a type changes.** Its old values are misses: the names and types of all fields and variants count, while their
//!   order and the module do not. Not seen is what serde buffers (`flatten`, `untagged`, `tag`) or is not told (that a bare
//!   `f64` now counts feet): then raise the `version`. To find out, the type's `Deserialize` is run once with made-up
//!   values; one that is written by hand must refuse them by an error, and not by a panic.
//! - **For how long.** For `ttl` by the clocks of the machines: let them agree. Memcached counts whole seconds.
//! - **If it fails.** A store that is down, hung or full is a miss: the function runs, its value is returned, and
//!   [`Stats::store_errors`] counts. A call is held up by the deadline of the store at the most, 50 ms unless you
//!   configure another.
//! - **Who computes.** The one that holds the lease of the key. The others wait until the key is filled or the lease is
//!   free. Redis tells them; Memcached, a cluster, and a user that may not use `CLIENT TRACKING` are asked again and
//!   again, after pauses of 2 to 100 ms that are a hundredth of the time waited so far. Who sees that another process has
//!   failed waits for no second one: the process computes, and does not store the result. A lease lasts 10 seconds and
//!   is extended while its holder computes: so long a process that was killed can hold up a key.
//!
//! # Configuration
//!
//! Without any, `"redis"` is the server in `CACHED_REDIS_URL` or else `redis://127.0.0.1:6379`, and `"memcached"` the
//! one in `CACHED_MEMCACHED_SERVERS` or else `127.0.0.1:11211`. Nothing is connected before it is used, and a server
//! that is not there does not stop the program. In code it is said once, before the first use:
//!
#![cfg_attr(all(feature = "redis", feature = "memcached"), doc = "```")]
#![cfg_attr(not(all(feature = "redis", feature = "memcached")), doc = "```ignore")]
//! use std::time::Duration;
//! use cached_runtime::{MemcachedConfig, RedisConfig, configure};
//!
//! configure()
//!     .redis(RedisConfig::new("redis://cache.internal").prefix("shop:").deadline(Duration::from_millis(20)))
//!     .memcached(MemcachedConfig::new("cache.internal:11211"))
//!     .install()?;
//! # Ok::<(), cached_runtime::Error>(())
//! ```
//!
//! # Errors
//!
//! A call of a cached function fails only with the function's own error; with `timeout` that may be one that was made
//! from an [`Error`] of the kind `Timeout`, which `cache_err` does not remember. The companions that change something
//! return [`Error`]: in memory never, in a shared store when it could not be told. Then the old value may still be there
//! for other processes. This one does not read it, and repeats an invalidation until the store has heard it. A [`Handle`]
//! also returns one before the first call of its function, which it does not know until then.
//! [`ErrorKind`] is what to act on; no message contains a password, an argument or a value.
//!
//! # What it needs from the runtime
//!
//! A tokio runtime with its time enabled, and with IO for shared stores. Hits in memory need none. The future of a
//! cached function is `Send` if that of the function is, and if its error is: the result is held while the store is
//! written. A panic of the function reaches the caller that ran it; those who wait begin anew.
//!
//! # Tests
//!
//! What a function remembers lives as long as the program: two tests that call it share its values, whatever they pass for
//! what is skipped. Call the companion `uncached` where the function itself is tested, `clear` before a test that is about
//! remembering, or let the database be a part of the key.
//!
//! Debug builds, and release builds with the feature `test-util`, obey tokio's paused clock, so that tests of lifetimes in
//! memory need not sleep. Against a real server leave the clock alone: it would skip to the deadline of each question.
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `macros` | the attribute | yes |
//! | `redis` | `backend = "redis"`, `Redis`, `RedisConfig` | |
//! | `redis-tls` | `rediss://`, with the certificates of the system | |
//! | `memcached` | `backend = "memcached"`, `Memcached`, `MemcachedConfig` | |
//! | `json` | `codec = "json"` | |
//! | `store` | `backend = EXPR`: the trait `Store` for stores of your own; part of the four above | |
//! | `contract` | `contract::check`, which every `Store` must pass | |
//! | `test-util` | release builds obey tokio's paused clock | |
//!
//! [`Arc`]: std::sync::Arc

mod call;
mod error;
mod function;
mod lookup;
mod memory;
mod policy;
mod shared;
mod signature;
#[cfg(feature = "store")]
mod store;
mod util;

#[cfg(feature = "macros")]
pub use cached_macros::async_cached;

pub use crate::error::{Error, ErrorKind, Result};
pub use crate::function::MethodCache;
#[doc(hidden)]
pub use crate::function::private as __private;
pub use crate::lookup::{Lookup, Source};
pub use crate::policy::{CacheInfo, Handle, Stats, caches};
pub use crate::shared::invalidate_tag;
#[cfg(feature = "contract")]
pub use crate::store::contract;
#[cfg(feature = "store")]
pub use crate::store::{Acquired, Key, Lease, LeaseId, LeaseMode, Store, Watch};
#[cfg(any(feature = "redis", feature = "memcached"))]
pub use crate::store::{Config, configure};
#[cfg(feature = "memcached")]
pub use crate::store::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
pub use crate::store::{Redis, RedisConfig};
pub use crate::util::BoxFuture;
