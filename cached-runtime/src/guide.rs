//! The guide: a page on each topic.
//!
//! | page | answers |
//! |---|---|
//! | [`choosing_a_backend`] | Where should the values live? |
//! | [`keys`] | Which calls return the same value? |
//! | [`lifetimes`] | How long is a value used, and what happens then? |
//! | [`errors`] | What is cached, shared or returned when the function or the store fails? |
//! | [`tags_and_invalidation`] | How are values removed before their time? |
//! | [`single_flight`] | What do concurrent calls of one key do? |
//! | [`methods_and_traits`] | What does `self` mean, and where are the companions of a method? |
//! | [`testing`] | How is a cached function tested without sleeping and without a server? |
//! | [`configuring_servers`] | Which server is used, and with which settings? |
//! | [`turning_caching_off`] | How is caching turned off: for a process, a function, a request? |
//! | [`operating`] | What does a running program log, count and store? |
//! | [`what_a_server_may_take_back`] | When can an invalidated value return, and what prevents it? |
//! | [`coming_from_other_caches`] | What are the options of other libraries called here? |

#[doc = include_str!("../docs/guide/choosing_a_backend.md")]
pub mod choosing_a_backend {}

#[doc = include_str!("../docs/guide/coming_from_other_caches.md")]
pub mod coming_from_other_caches {}

#[doc = include_str!("../docs/guide/configuring_servers.md")]
pub mod configuring_servers {}

#[doc = include_str!("../docs/guide/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/guide/keys.md")]
pub mod keys {}

#[doc = include_str!("../docs/guide/lifetimes.md")]
pub mod lifetimes {}

#[doc = include_str!("../docs/guide/methods_and_traits.md")]
pub mod methods_and_traits {}

#[doc = include_str!("../docs/guide/operating.md")]
pub mod operating {}

#[doc = include_str!("../docs/guide/single_flight.md")]
pub mod single_flight {}

#[doc = include_str!("../docs/guide/tags_and_invalidation.md")]
pub mod tags_and_invalidation {}

#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/guide/turning_caching_off.md")]
pub mod turning_caching_off {}

#[doc = include_str!("../docs/guide/what_a_server_may_take_back.md")]
pub mod what_a_server_may_take_back {}
