//! The names that expansions use. They are not part of the public interface, and change without notice.

pub use core::option::Option;
pub use core::time::Duration;
pub use std::string::String;
pub use std::{format, vec};

pub use super::cached_function::{CachedFunction, Instance};
pub use super::entry_ref::EntryRef;
pub use super::instance_name::FunctionName;
pub use super::operations::{
    AnyOperation, AnyOutput, Expire, Get, GetInstance, GetTraced, Invalidate, Name, Operation, Peek, Put,
    Refresh,
};
pub use crate::IntoOutput;
pub use crate::call::{Found, or_compute_detached};
pub use crate::policy::{Declaration, Policy};
pub use crate::signature::{
    Arg, Cache, CanCache, CanKeyBy, CanKeySharedBy, KeyParts, ReturnType, SharedKeyParts, TagText,
    caching_errors, caching_none, keeping_errors, sharing_errors, storing_errors, timed_out, with_fallback,
    with_tags, with_weight,
};
#[cfg(feature = "store")]
pub use crate::store::{StoreExpr as Named, StoreOrName};

pub use inventory::submit;

pub use crate::{
    __companions as companions, __computing as computing, __declare as declare, __passthrough as code,
};

// An option that needs a feature becomes a macro call: for `backend = "redis"` it is `redis! { ... }`. The macro expands to
// the code between the braces, or to a single error if the feature is disabled.
#[cfg(not(feature = "json"))]
pub use crate::__json_disabled as json;
#[cfg(not(feature = "memcached"))]
pub use crate::__memcached_disabled as memcached;
#[cfg(feature = "json")]
pub use crate::__passthrough as json;
#[cfg(feature = "memcached")]
pub use crate::__passthrough as memcached;
#[cfg(feature = "redis")]
pub use crate::__passthrough as redis;
#[cfg(feature = "store")]
pub use crate::__passthrough as store;
#[cfg(not(feature = "redis"))]
pub use crate::__redis_disabled as redis;
#[cfg(not(feature = "store"))]
pub use crate::__store_disabled as store;

/// Returns `None`: a value of any type that there never is.
#[must_use]
pub const fn none<T>() -> Option<T> {
    None
}

/// Lists a function from the start of the program.
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    ($function:ident) => {
        $crate::__private::submit! { $function.declaration() }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __passthrough {
    ($($code:tt)*) => { $($code)* };
}

#[cfg(not(feature = "json"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __json_disabled {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `json` of `cached-runtime`")
    };
}

#[cfg(not(feature = "memcached"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __memcached_disabled {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `memcached` of `cached-runtime`")
    };
}

#[cfg(not(feature = "redis"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __redis_disabled {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `redis` of `cached-runtime`")
    };
}

#[cfg(not(feature = "store"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __store_disabled {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `store` of `cached-runtime`")
    };
}
