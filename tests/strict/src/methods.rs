//! Cached methods.

// `async_trait` needs this name.
use ::std::boxed::Box;

use renamed::async_cached;

#[allow(unused_imports, reason = "they only shadow names")]
use crate::shadows::crates::{alloc, cached_runtime, core, std};
#[allow(unused_imports, reason = "they only shadow names")]
use crate::shadows::types::*;

/// Arguments with the names of the locals of an expansion.
#[async_cached(ttl = 60, crate = ::renamed, skip(key))]
pub async fn names(
    value: u64,
    operation: u64,
    key: u64,
    lookup: u64,
    miss: u64,
    this: u64,
    never: u64,
) -> u64 {
    value + operation + key + lookup + miss + this + never
}

/// Arguments with the names that the expansion of tags uses.
#[async_cached(ttl = 60, crate = ::renamed, tags("{tags}:{text}:{format}", value))]
pub async fn tag_names(tags: u64, text: u8, format: &str, vec: u64, value: ::std::string::String) -> u64 {
    tags + u64::from(text) + format.len() as u64 + vec + value.len() as u64
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
    pub async fn find(&self, id: u64, operation: &str) -> T {
        let _ = (id, operation);
        self.0.clone()
    }

    /// Without `self` in the key.
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    pub(crate) async fn count(&self, id: u64) -> u64 {
        id
    }

    /// With options of staleness and of tags.
    ///
    /// # Errors
    ///
    /// Never fails.
    #[async_cached(
        ttl = 60,
        crate = ::renamed,
        key = (self.0, id),
        stale_if_error = "1h",
        jitter = 0.2,
        tags("user:{id}", ::std::any::type_name::<T>()),
        tags_from = |_| ::std::vec![]
    )]
    pub async fn stale(&self, id: u64) -> ::core::result::Result<T, u8> {
        let _ = id;
        ::core::result::Result::Ok(self.0.clone())
    }

    /// With a background refresh.
    #[async_cached(ttl = 60, crate = ::renamed, skip(self), stale_while_revalidate = "30s", tags("user:{id}"))]
    pub async fn refreshed(self: ::std::sync::Arc<Self>, id: u64) -> u64 {
        id
    }

    /// An associated function.
    #[async_cached(ttl = 60, crate = ::renamed, associated)]
    pub async fn new_count(id: u64) -> u64 {
        id
    }

    /// Calls the method that is not public.
    pub async fn calls(&self) -> u64 {
        self.count(1).await
    }
}

/// Finds.
pub trait Find {
    /// Finds.
    fn find_one(&self, id: u64) -> impl ::core::future::Future<Output = ::core::result::Result<u64, u8>>;
}

/// Finds, as an object-safe trait.
#[async_trait::async_trait]
pub trait FindObject {
    /// Finds.
    async fn find_object(&self, id: u64, name: &str) -> ::core::option::Option<u64>;
}

/// Finds, with a body on one line.
pub trait FindShort {
    /// Finds.
    fn find_short(&self, id: u64) -> impl ::core::future::Future<Output = u64>;
}

#[async_cached]
impl<T> Find for Repo<T> {
    #[async_cached(ttl = 60, crate = ::renamed, skip(self), stale_if_error = "5s", tags("user:{id}"))]
    async fn find_one(&self, id: u64) -> ::core::result::Result<u64, u8> {
        if id == 0 {
            return ::core::result::Result::Err(1);
        }
        ::core::result::Result::Ok(id)
    }
}

#[async_cached(companions = FindAnyShort)]
impl<T> FindShort for Repo<T> {
    #[rustfmt::skip]
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    async fn find_short(&self, id: u64) -> u64 { id }
}

#[async_cached]
#[async_trait::async_trait]
impl<T: ::core::marker::Send + ::core::marker::Sync> FindObject for Repo<T> {
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    async fn find_object(&self, id: u64, name: &str) -> ::core::option::Option<u64> {
        let id = id.checked_add(name.len() as u64)?;
        ::core::option::Option::Some(id)
    }
}
