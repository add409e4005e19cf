//! Cached functions.

use renamed::async_cached;

#[allow(unused_imports, reason = "they only shadow names")]
use crate::shadows::crates::{alloc, cached_runtime, core, std};
#[allow(unused_imports, reason = "they only shadow names")]
use crate::shadows::macros::{format, vec};
#[allow(unused_imports, reason = "they only shadow names")]
use crate::shadows::types::*;
#[allow(unused_imports, reason = "they only shadow names")]
use crate::shadows::values::*;

/// A user.
#[derive(Debug, ::core::clone::Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct User(u64);

/// One argument.
#[async_cached(ttl = 60, crate = ::renamed)]
pub async fn one(id: u64) -> User {
    User(id)
}

/// Every pattern.
#[async_cached(ttl = 60, crate = ::renamed)]
pub async fn patterns(
    (a, b): (u64, &str),
    User(c): User,
    mut d: u64,
    _e: u64,
    _: u8,
    #[allow(clippy::trivially_copy_pass_by_ref)] r#type: &u8,
) -> ::core::primitive::u64 {
    d += 1;
    a + b.len() as u64 + c + d + u64::from(*r#type)
}

/// Every option of a function in memory.
///
/// # Errors
///
/// Fails without a name.
#[async_cached(
    ttl_from = |user: &User| ::core::time::Duration::from_secs(user.0),
    crate = ::renamed,
    key = (name, id / 2),
    cache_if = |user| user.0 > 1,
    cache_err = "5s",
    max_bytes = 1_000_000,
    weigh = |_, _| 8,
    name = "weighed",
    version = 2
)]
pub async fn options(name: &str, id: u64) -> ::core::result::Result<User, u8> {
    if name.is_empty() {
        return ::core::result::Result::Err(1);
    }
    ::core::result::Result::Ok(User(id))
}

/// A shared store.
#[async_cached(ttl = "1h", crate = ::renamed, backend = "redis", codec = "json", cache_none = "5s")]
pub async fn shared(id: u64, name: &str) -> ::core::option::Option<User> {
    (!name.is_empty()).then_some(User(id))
}

/// An error.
#[derive(Debug, ::core::clone::Clone)]
#[non_exhaustive]
pub struct Failed;

impl From<renamed::Error> for Failed {
    fn from(_: renamed::Error) -> Self {
        Self
    }
}

/// Every option of staleness and of tags.
///
/// # Errors
///
/// Fails after the timeout.
#[async_cached(
    ttl = 60,
    crate = ::renamed,
    stale_while_revalidate = "30s",
    stale_if_error = "1h",
    refresh_ahead,
    jitter = 0.1,
    timeout = "2s",
    tags("user:{id}", "type:{type}", name),
    tags_from = |user: &User| ::std::vec![::std::format!("user:{}", user.0)]
)]
pub async fn stale(id: u64, r#type: u8, name: ::std::string::String) -> ::core::result::Result<User, Failed> {
    ::core::result::Result::Ok(User(id + u64::from(r#type) + name.len() as u64))
}

/// The same options in a shared store.
///
/// # Errors
///
/// Fails after the timeout.
#[async_cached(
    ttl = 60,
    crate = ::renamed,
    backend = "redis",
    stale_if_error = "1h",
    refresh_ahead = 0.5,
    timeout = "2s",
    tags("user:{_id}")
)]
pub async fn shared_stale(_id: u64, more: u64) -> ::core::result::Result<User, Failed> {
    ::core::result::Result::Ok(User(more))
}

/// No arguments and no result.
#[async_cached(ttl = 60, crate = ::renamed)]
pub async fn nothing() {}

/// Type and const parameters with bounds.
///
/// # Errors
///
/// Never fails.
#[async_cached(ttl = 60, crate = ::renamed, detached)]
pub async fn generic<T, const N: usize>(of: T) -> ::core::result::Result<[T; N], ::std::string::String>
where
    T: Copy + Eq + ::core::hash::Hash + ::core::marker::Send + ::core::marker::Sync + 'static,
{
    ::core::result::Result::Ok([of; N])
}

/// Restricted visibility.
#[async_cached(ttl = 60, crate = ::renamed)]
pub(crate) async fn private(id: u64) -> u64 {
    id
}

/// Calls the functions that are not public.
pub async fn calls() -> u64 {
    /// A function inside another one.
    #[async_cached(ttl = 60, crate = ::renamed)]
    async fn inner(id: u64) -> u64 {
        id
    }

    inner(1).await + private(1).await
}
