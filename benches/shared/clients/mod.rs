//! What reads and stores: clients by hand, the attributes of two libraries, all called alike.

mod async_memcached;
mod cached;
mod fred;
mod ours;
mod redis_rs;
mod socket;

use std::fmt::Write as _;

use crate::setting::{REGION, User};

pub(crate) use self::async_memcached::AsyncMemcached;
pub(crate) use self::cached::{Cached, CachedOnOneThread};
pub(crate) use self::fred::{Fred, Reads};
pub(crate) use self::ours::{InMemcached, InRedis, WithoutServer, numbers_in_memcached, numbers_in_redis};
pub(crate) use self::redis_rs::RedisRs;
pub(crate) use self::socket::{Grouping, Socket};

/// A client, with the three functions that are measured. Each reads a value; where there is none, it stores one.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// Of 128 bytes in msgpack.
    fn user(&self, id: u64) -> impl Future<Output = User> + Send;

    /// Of 100 KiB.
    fn text(&self, id: u64) -> impl Future<Output = String> + Send;

    fn number(&self, number: u64) -> impl Future<Output = u64> + Send;
}

/// Returns a key, which takes one allocation.
fn key(client: &str, kind: &str, id: u64) -> String {
    let mut key = String::with_capacity(64);
    let _ = write!(key, "{client}:{kind}:{id}:{REGION}");
    key
}
