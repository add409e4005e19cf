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

#[doc = include_str!("../docs/guide/choosing_a_backend.md")]
pub mod choosing_a_backend {}

#[doc = include_str!("../docs/guide/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/guide/keys.md")]
pub mod keys {}

#[doc = include_str!("../docs/guide/lifetimes.md")]
pub mod lifetimes {}

#[doc = include_str!("../docs/guide/methods_and_traits.md")]
pub mod methods_and_traits {}

#[doc = include_str!("../docs/guide/single_flight.md")]
pub mod single_flight {}

#[doc = include_str!("../docs/guide/tags_and_invalidation.md")]
pub mod tags_and_invalidation {}
