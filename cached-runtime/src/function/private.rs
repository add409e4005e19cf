//! What the code that the macro writes calls. Not for people: it changes without notice.

pub use core::future::Future;
pub use core::option::Option;
pub use core::time::Duration;
pub use std::{format, vec};

pub use super::cached_function::Site;
pub use super::operations::{
    Any, At, Clear, Count, Done, Expire, Invalidate, Look, Peek, Put, Refresh, Trace, Verb,
};
pub use crate::call::or_detached;
pub use crate::policy::Policy;
pub use crate::signature::Spelled;
pub use crate::signature::{Arg, Cache, KeyedBy, Parts, SharedKeyedBy, SharedParts, tagged};
pub use crate::signature::{Remembers, Shape, Stands, failing, kept, none, too_late, weighed};
#[cfg(feature = "store")]
pub use crate::store::Named;

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
