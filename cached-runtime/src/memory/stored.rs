//! A key with its entry, shared by the map and the calls that read it.

use super::entry::Entry;

/// A key with its entry.
///
/// The map holds it behind an `Arc` and finds it by the hash of the key. So under the locks of the map no key is hashed,
/// compared or dropped, and no value is cloned, weighed or dropped: all of that is user code.
#[derive(Debug)]
pub(crate) struct Stored<K, V> {
    pub(crate) key: K,
    pub(crate) entry: Entry<V>,
    pub(super) hash: u64,
    /// How much of the bound the entry takes up. The value may change by interior mutability; this does not.
    pub(super) weight: u64,
}
