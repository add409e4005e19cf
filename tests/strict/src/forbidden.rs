//! Cached functions where the lints are forbidden that an expansion might want to allow.
#![forbid(missing_docs, dead_code, unused, unused_qualifications, clippy::all, clippy::pedantic)]

use renamed::async_cached;

/// Arguments that are used in the key only.
#[async_cached(ttl = 60, crate = ::renamed)]
pub async fn user(id: u64, _lang: &str, _tenant: u8) -> u64 {
    id
}

/// Documented.
#[doc(hidden)]
#[async_cached(ttl = 60, crate = ::renamed, skip(_db), tags("user:{_id}"))]
pub async fn hidden(_db: &str, _id: u64) -> u64 {
    1
}

/// A shared store.
///
/// # Errors
///
/// Never fails.
#[async_cached(ttl = 60, crate = ::renamed, backend = "redis", cache_err = "5s")]
pub async fn shared(id: u64, many: (u64, Option<(&str, u8)>)) -> Result<u64, String> {
    Ok(id + many.0)
}

/// Users.
#[derive(Debug)]
pub struct Users(u64);

/// Finds.
pub trait Find {
    /// Finds.
    fn find(&self, id: u64, _lang: &str) -> impl ::core::future::Future<Output = Result<u64, u8>>;
}

impl Users {
    /// A method.
    #[async_cached(ttl = 60, crate = ::renamed, key = (self.0, id, lang))]
    pub async fn load(&self, id: u64, lang: &str, _why: &str) -> u64 {
        self.0 + id + lang.len() as u64
    }
}

#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, crate = ::renamed, skip(self))]
    async fn find(&self, id: u64, _lang: &str) -> Result<u64, u8> {
        if id == 0 {
            return Err(1);
        }
        Ok(id)
    }
}

/// A companion type.
#[async_cached(companions = FindList)]
impl Find for Vec<u64> {
    #[async_cached(ttl = 60, crate = ::renamed, key = (self, id))]
    async fn find(&self, id: u64, _lang: &str) -> Result<u64, u8> {
        self.first().copied().ok_or(1).map(|first| first + id)
    }
}
