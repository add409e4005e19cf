//! Methods.

// What `async_trait` itself needs.
use ::std::boxed::Box;

use renamed::{Handle, async_cached};

#[allow(unused_imports, reason = "they are in the way")]
use crate::shadows::crates::{alloc, cached_runtime, core, std};
#[allow(unused_imports, reason = "they are in the way")]
use crate::shadows::types::*;

/// What the expansion calls its own.
#[async_cached(ttl = 60, crate = ::renamed, skip(key))]
pub async fn names(value: u64, verb: u64, key: u64, looked: u64, miss: u64, this: u64, never: u64) -> u64 {
    value + verb + key + looked + miss + this + never
}

/// A repository.
#[derive(Debug)]
pub struct Repo<T>(T);

impl<T> Repo<T>
where
    T: ::core::clone::Clone + Eq + ::core::hash::Hash + ::core::marker::Send + ::core::marker::Sync + 'static,
{
    /// With `self` in the key.
    #[async_cached(ttl = 60, crate = ::renamed, key = (self.0, id))]
    pub async fn find(&self, id: u64, verb: &str) -> T {
        let _ = (id, verb);
        self.0.clone()
    }

    /// Without.
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    pub(crate) async fn count(&self, id: u64) -> u64 {
        id
    }

    /// Names `Self`.
    #[async_cached(ttl = 60, crate = ::renamed, associated)]
    pub async fn new_count(id: u64) -> u64 {
        id
    }

    /// Calls what else there is.
    pub async fn calls(&self) -> u64 {
        self.count(1).await
    }
}

/// Finds.
pub trait Find {
    /// Finds.
    fn find_one(&self, id: u64) -> impl ::core::future::Future<Output = ::core::result::Result<u64, u8>>;
}

/// Finds as an object.
#[async_trait::async_trait]
pub trait FindObject {
    /// Finds.
    async fn find_object(&self, id: u64, name: &str) -> ::core::option::Option<u64>;
}

static FIND: Handle = Handle::new();

/// What finds.
pub static HANDLE: &Handle = &FIND;

impl<T> Find for Repo<T> {
    #[async_cached(ttl = 60, crate = ::renamed, skip(self), handle = FIND)]
    async fn find_one(&self, id: u64) -> ::core::result::Result<u64, u8> {
        if id == 0 {
            return ::core::result::Result::Err(1);
        }
        ::core::result::Result::Ok(id)
    }
}

#[async_trait::async_trait]
impl<T: ::core::marker::Send + ::core::marker::Sync> FindObject for Repo<T> {
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    async fn find_object(&self, id: u64, name: &str) -> ::core::option::Option<u64> {
        let id = id.checked_add(name.len() as u64)?;
        ::core::option::Option::Some(id)
    }
}
