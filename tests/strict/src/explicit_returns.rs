//! Cached functions of a crate that writes each `return`.
#![forbid(clippy::implicit_return)]
#![allow(clippy::needless_return, reason = "it is the opposite")]

use renamed::async_cached;

/// A function.
#[async_cached(ttl = 60, crate = ::renamed)]
pub async fn user(id: u64) -> u64 {
    return id;
}

/// A function with a shared store, in a task of its own.
#[async_cached(ttl = 60, crate = ::renamed, backend = "redis", detached)]
pub async fn shared(id: u64) -> u64 {
    return id;
}

/// Users.
#[derive(Debug)]
pub struct Users(u64);

/// Finds.
pub trait Find {
    /// Finds.
    fn find(&self, id: u64) -> impl ::core::future::Future<Output = u64>;
    /// Counts.
    fn count(&self) -> impl ::core::future::Future<Output = u64>;
}

impl Users {
    /// A method.
    #[async_cached(ttl = 60, crate = ::renamed, key = (self.0, id))]
    pub async fn load(&self, id: u64) -> u64 {
        return self.0 + id;
    }
}

#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    async fn find(&self, id: u64) -> u64 {
        return id;
    }

    async fn count(&self) -> u64 {
        return self.0;
    }
}
