//! Cached functions where the lints of style are forbidden.
#![forbid(nonstandard_style)]
#![allow(
    forbidden_lint_groups,
    reason = "`inventory`, which lists the functions of the program, allows one of the group; an expansion allows none"
)]

use renamed::async_cached;

/// A function.
#[async_cached(ttl = 60, crate = ::renamed)]
pub async fn user(id: u64) -> u64 {
    id
}
