//! The tier inside the process: a bounded map of entries for each instance of a function, with their expiry and their
//! tags.
//!
//! [`Memory`] is the map, which finds a [`Stored`] key and its entry by the hash of the key; where both key and value are
//! numbers, they are in the table itself: [`numbers`]. An [`Entry`] is a value with its lifetime, from which [`Age`]
//! derives whether the value is [fresh, due for a refresh, stale or expired](State); the shared tier uses the same rules.
//! A task removes expired entries: [`sweep`], as often as [`pace`] allows. Tags cost an entry one comparison for each tag
//! and need no index: see [`tags`].

mod age;
mod entries;
mod entry;
mod eviction;
mod map;
mod number;
mod numbers;
mod pace;
mod stored;
mod sweep;
mod sweeper;
mod tags;
mod write;

pub(crate) use age::State;
#[cfg_attr(not(feature = "store"), allow(unused_imports, reason = "only a shared tier constructs them"))]
pub(crate) use age::{Age, Freshness};
pub(crate) use entry::{CachedValue, Entry};
pub(crate) use eviction::Evicted;
pub(crate) use map::{EntryParts, Memory, Weigher};
pub(crate) use stored::Stored;
pub(crate) use tags::{DerivedTags, TagSnapshot, expire_tag, invalidate_tag};
pub(crate) use write::{Fill, WriteAction};
