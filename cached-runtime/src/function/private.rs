//! What the code that the macro writes calls. Not for people: it changes without notice.

pub use core::future::Future;
pub use core::option::Option;
pub use core::time::Duration;
pub use std::{format, vec};

pub use super::cached_function::CachedFunction;
pub use super::operations::{
    AnyOperation, AnyOutput, Clear, EntryRef, Expire, Get, GetTraced, Invalidate, Operation, Peek, Put,
    ReadStats, Refresh,
};
pub use crate::call::or_compute_detached;
pub use crate::policy::Policy;
pub use crate::signature::TagText;
pub use crate::signature::{Arg, Cache, CanKeyBy, CanKeySharedBy, KeyParts, SharedKeyParts, with_tags};
pub use crate::signature::{
    CanCache, IntoOutput, ReturnType, caching_errors, caching_none, timed_out, with_fallback, with_weight,
};
#[cfg(feature = "store")]
pub use crate::store::StoreExpr as Named;

pub use crate::{__companions as companions, __computing as computing};

// `backend = "redis"` becomes `redis! { ... }`: code that is left as it is, or one error if the feature is off.
#[cfg(feature = "json")]
pub use crate::__as_it_is as json;
#[cfg(feature = "memcached")]
pub use crate::__as_it_is as memcached;
#[cfg(feature = "redis")]
pub use crate::__as_it_is as redis;
#[cfg(feature = "store")]
pub use crate::__as_it_is as store;
#[cfg(not(feature = "json"))]
pub use crate::__json_is_off as json;
#[cfg(not(feature = "memcached"))]
pub use crate::__memcached_is_off as memcached;
#[cfg(not(feature = "redis"))]
pub use crate::__redis_is_off as redis;
#[cfg(not(feature = "store"))]
pub use crate::__store_is_off as store;

#[doc(hidden)]
#[macro_export]
macro_rules! __as_it_is {
    ($($code:tt)*) => { $($code)* };
}

#[cfg(not(feature = "json"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __json_is_off {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `json` of `cached-runtime`")
    };
}

#[cfg(not(feature = "memcached"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __memcached_is_off {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `memcached` of `cached-runtime`")
    };
}

#[cfg(not(feature = "redis"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __redis_is_off {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `redis` of `cached-runtime`")
    };
}

#[cfg(not(feature = "store"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __store_is_off {
    ($($code:tt)*) => {
        ::core::compile_error!("enable the feature `store` of `cached-runtime`")
    };
}
