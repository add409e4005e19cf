//! The tier inside the process: entries with their lifetime, bounded and swept, and the tags that end them.

mod entries;
mod entry;
mod tags;

pub(crate) use entries::{Evicted, Memory, Weigh};
#[cfg_attr(not(feature = "store"), allow(unused_imports, reason = "only a shared tier makes them"))]
pub(crate) use entry::{Age, Freshness};
pub(crate) use entry::{CachedValue, Entry, Fill, State, WriteAction};
pub(crate) use tags::{DerivedTags, TagSnapshot, invalidate_tag};
