//! The tier inside the process: entries with their lifetime, bounded and swept, and the tags that end them.

mod age;
mod entry;
mod eviction;
mod map;
mod sweeper;
mod tags;
mod write;

pub(crate) use age::State;
#[cfg_attr(not(feature = "store"), allow(unused_imports, reason = "only a shared tier makes them"))]
pub(crate) use age::{Age, Freshness};
pub(crate) use entry::{CachedValue, Entry};
pub(crate) use eviction::Evicted;
pub(crate) use map::{Memory, Weigh};
pub(crate) use tags::{DerivedTags, TagSnapshot, invalidate_tag};
pub(crate) use write::{Fill, WriteAction};
