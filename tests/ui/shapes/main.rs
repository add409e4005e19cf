//! Functions that can be cached: they compile, and their results are cached.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::let_and_return,
    clippy::many_single_char_names,
    clippy::never_loop,
    clippy::non_minimal_cfg,
    clippy::toplevel_ref_arg,
    clippy::needless_pass_by_value,
    clippy::unused_async,
    clippy::trivially_copy_pass_by_ref,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "they show what can be cached"
)]

mod arguments;
mod attributes;
mod bodies;
mod futures;
mod generics;
mod impl_generics;
mod impls;
mod methods;
mod places;
mod returns;
mod staleness;
#[cfg(feature = "store")]
mod stores;
mod tags;
mod traits;

/// Declares, increments and reads a counter of computations.
#[macro_export]
macro_rules! count {
    ($name:ident) => {
        static $name: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    };
    (+ $name:ident) => {
        $name.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    };
    (= $name:ident) => {
        $name.load(std::sync::atomic::Ordering::Relaxed)
    };
}
