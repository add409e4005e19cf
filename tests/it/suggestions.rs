//! What the messages of the attribute suggest to write: each example as it stands, in a function that it fits.
//!
//! A test of `cached-macros` checks that no example of an option is missing.
#![allow(dead_code, reason = "it is enough that they compile")]

use std::sync::Arc;
use std::time::Duration;

use cached_runtime::{Store, async_cached, caches};
use cached_tests::map_store::MapStore;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Token(u64);

impl Token {
    fn lifetime(&self) -> Duration {
        Duration::from_secs(self.0)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    active: bool,
    team: u64,
}

#[derive(Debug, Clone)]
struct MyError(u16);

impl MyError {
    fn new(code: u16) -> Self {
        Self(code)
    }

    fn code(&self) -> u16 {
        self.0
    }
}

impl From<cached_runtime::Error> for MyError {
    fn from(_: cached_runtime::Error) -> Self {
        Self(504)
    }
}

struct Db;
struct Order {
    id: u64,
}

fn my_store() -> impl Store {
    MapStore::default()
}

macro_rules! functions {
    ($(($name:ident: $($options:tt)*) ($($arguments:tt)*) -> $output:ty, $body:expr;)*) => {$(
        #[async_cached($($options)*)]
        async fn $name($($arguments)*) -> $output {
            $body
        }
    )*};
}

functions! {
    (ttl: ttl = 60) (id: u64) -> u64, id;
    (ttl_from: ttl_from = |value: &Token| value.lifetime()) (id: u64) -> Token, Token(id);
    (backend: ttl = 60, backend = "redis") (id: u64) -> u64, id;
    (memcached: ttl = 60, backend = "memcached") (id: u64) -> u64, id;
    (memory: ttl = 60, backend = "memory") (id: u64) -> u64, id;
    (own_store: ttl = 60, backend = my_store()) (id: u64) -> u64, id;
    (capacity: ttl = 60, capacity = 10_000) (id: u64) -> u64, id;
    (weigh: ttl = 60, max_bytes = "64MiB", weigh = |_, value| value.len() as u64) (id: u64) -> String, id.to_string();
    (key: ttl = 60, key = (a, b.id)) (a: u64, b: &Order) -> u64, a + b.id;
    (name: ttl = 60, name = "users") (id: u64) -> u64, id;
    (version: ttl = 60, version = 2) (id: u64) -> u64, id;
    (readable: ttl = 60, readable, backend = my_store()) (id: u64) -> u64, id;
    (cache_if: ttl = 60, cache_if = |value: &User| value.active) (id: u64) -> User, User { active: true, team: id };
    (cache_err: ttl = 60, cache_err = "5s") (id: u64) -> Result<u64, MyError>, Ok(id);
    (cache_none: ttl = 60, cache_none = "30s") (id: u64) -> Option<u64>, Some(id);
    (stale_while_revalidate: ttl = 60, stale_while_revalidate = "30s") (id: u64) -> u64, id;
    (stale_if_error: ttl = 60, stale_if_error = "1h") (id: u64) -> Result<u64, MyError>, Ok(id);
    (refresh_ahead: ttl = 60, refresh_ahead = 0.2) (id: u64) -> u64, id;
    (jitter: ttl = 60, jitter = 0.1) (id: u64) -> u64, id;
    (timeout: ttl = 60, timeout = "2s") (id: u64) -> Result<u64, MyError>, Ok(id);
    (max_concurrent: ttl = 60, max_concurrent = 16) (id: u64) -> u64, id;
    (tags: ttl = 60, tags("user:{id}", "users")) (id: u64) -> u64, id;
    (tags_from: ttl = 60, tags_from = |value: &User| vec![format!("team:{}", value.team)]) (id: u64) -> User,
        User { active: true, team: id };
    (single_flight: ttl = 60, single_flight = "off") (id: u64) -> u64, id;
    (share_err: ttl = 60, share_err = |error: &MyError| MyError::new(error.code())) (id: u64) -> Result<u64, MyError>, Ok(id);
    (detached: ttl = 60, detached) (id: u64) -> u64, id;
    (codec: ttl = 60, codec = "json", backend = my_store()) (id: u64) -> u64, id;
    (companions: ttl = 60, companions = GetUser) (id: u64) -> u64, id;
    (half_a_second: ttl = "500ms") (id: u64) -> u64, id;
    (in_this_process: ttl = 60, single_flight = "process") (id: u64) -> u64, id;
    (in_all_processes: ttl = 60, single_flight = "fleet", backend = "redis") (id: u64) -> u64, id;
    (a_float: ttl = 60, key = (width.to_bits(),)) (width: f64) -> f64, width;
    (a_small_float: ttl = 60, key = (id, width.to_bits())) (id: u64, width: f32) -> (u64, f32), (id, width);
    (groups: ttl = 60, key = ((a, b), c)) (a: u64, b: u64, c: u64) -> u64, a + b + c;
    (with_a_clone: ttl = 60, key = (name.clone(),)) (name: String) -> String, name;
    (text: ttl = 60, backend = "redis") (id: u64) -> String, id.to_string();
    (counted_text: ttl = 60) (id: u64) -> Arc<str>, id.to_string().into();
    (a_slice: ttl = 60, backend = "redis") (id: u64) -> Vec<u64>, vec![id];
    (background: ttl = 60, detached) (name: Arc<str>) -> u64, name.len() as u64;
}

impl Db {
    #[async_cached(ttl = 60, skip(db, self))]
    async fn skip(&self, db: &Self, id: u64) -> u64 {
        let _ = db;
        id
    }

    #[async_cached(ttl = 60, detached, skip(self))]
    async fn in_the_background(self: Arc<Self>, id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60, associated)]
    async fn associated(id: u64) -> u64 {
        id
    }
}

#[test]
fn every_suggestion_is_a_cached_function() {
    let here = format!("{}::", module_path!());
    let listed = caches().into_iter().filter(|cache| cache.name().starts_with(&here)).count();
    assert!(listed >= 39, "{listed}");
}
