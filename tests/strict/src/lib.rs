//! A crate that shadows the names an expansion uses and denies nearly every lint.
//!
//! It is not run. It has to compile under rustc and clippy without a warning.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    unused,
    future_incompatible,
    let_underscore,
    missing_debug_implementations,
    missing_docs,
    rust_2018_idioms,
    unnameable_types,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    // Of those that a function without the attribute does not have either.
    clippy::exhaustive_structs,
    clippy::impl_trait_in_params
)]
#![allow(clippy::unused_async, clippy::future_not_send, reason = "these bodies do nothing")]
#![allow(clippy::redundant_pub_crate, reason = "it is the opposite of `unreachable_pub`")]
#![allow(non_camel_case_types, non_upper_case_globals, reason = "they are the shadowed names")]

pub mod explicit_returns;
pub mod forbidden;
pub mod forbidden_style;
pub mod functions;
pub mod methods;
mod shadows;
