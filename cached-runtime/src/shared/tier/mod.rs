//! A shared store as a tier: with a codec and a deadline, and a failure is a miss.

mod read;
mod write;

use std::fmt;

pub(crate) use self::read::SharedRead;
pub(crate) use self::write::clear;
use super::codec::{Codec, Storable};
pub(crate) use super::held_lease::HeldLease;
use super::invalidate_tag;
use super::lease::Occupant;
pub(crate) use super::lease::{LeaseAnswer, LeaseRequest};
use super::location::{Location, Tags};
use super::namespace::{Namespace, in_a_task};
use crate::policy::{Counters, Policy};
use crate::{Error, ErrorKind, Key, Result, Watch};

/// The shared values of one instance of a function.
pub(crate) struct Tier<K, V> {
    key: fn(&str, &K) -> Result<Key>,
    codec: Codec<V>,
    /// Whether a stored value says that the function failed: such a one is of no use when it is not fresh any more.
    is_err: fn(&V) -> bool,
    policy: &'static Policy,
    tags: Tags,
    remote: Namespace,
}

/// A value in a store has at most so many tags.
const MOST_TAGS: usize = 100;

impl<K, V> Tier<K, V>
where
    K: serde::Serialize,
    V: Storable,
{
    pub(crate) fn new(
        policy: &'static Policy,
        name: &str,
        counters: &'static Counters,
        is_err: fn(&V) -> bool,
        has_tags_from: bool,
    ) -> Self {
        let remote = remote(policy, name, counters);
        let tags = match (policy.has_tags, has_tags_from) {
            (_, true) => Tags::FromValue(invalidate_tag::remote(&remote.store)),
            (true, false) => Tags::Of(invalidate_tag::remote(&remote.store)),
            (false, false) => Tags::None,
        };
        let codec = Codec::new(policy.codec);
        Self { key: |namespace, key| Key::new(namespace, key), codec, is_err, policy, tags, remote }
    }
}

fn remote(policy: &Policy, name: &str, counters: &'static Counters) -> Namespace {
    Namespace::new(Namespace::store_of(policy), format!("{name}.v{}", policy.version), counters)
}

impl<K, V> Tier<K, V> {
    /// A key whose value is to be replaced, so that it counts as lease_request.
    pub(crate) fn replacing(&self, key: &K, tags: &[String]) -> Option<LeaseRequest> {
        Some(LeaseRequest {
            place: self.place(key, tags).ok()?,
            stamps: None,
            occupant: Occupant::Any,
            holder: None,
        })
    }

    /// Asks for the lease of a key that was seen lease_request.
    ///
    /// What fills it must be computed after this, so that no value from before an invalidation is stored.
    /// The store is asked by a task: a lease that is given after the caller has gone is given back.
    pub(crate) async fn acquire(&'static self, lease_request: LeaseRequest) -> LeaseAnswer {
        in_a_task(self.remote.acquire(lease_request)).await.unwrap_or(LeaseAnswer::Unknown)
    }

    /// Asks to be told when a key that was seen lease_request may have changed; nothing if the store can not tell, or fails.
    pub(crate) async fn watch(&'static self, lease_request: &LeaseRequest) -> Option<Watch> {
        self.remote.bounded(|store| store.watch(&lease_request.place.key)).await.ok()?
    }

    /// The key as it is sent, for people.
    pub(crate) fn name(&self, key: &K) -> String {
        self.key(key).map_or_else(|_| self.remote.namespace.clone(), |key| key.as_str().to_owned())
    }

    fn key(&self, key: &K) -> Result<Key> {
        (self.key)(&self.remote.namespace, key).inspect_err(|error| self.remote.unfit(error))
    }

    fn place(&self, key: &K, tags: &[String]) -> Result<Location> {
        let (key, stamp) = (self.key(key)?, self.remote.stamp.clone());
        let stamps = match self.tags {
            Tags::None => [stamp].into(),
            Tags::Of(_) | Tags::FromValue(_) if tags.len() > MOST_TAGS => {
                return Err(self.too_many_tags());
            }
            Tags::Of(remote) | Tags::FromValue(remote) => {
                let tags = tags.iter().map(|tag| remote.tag_key(tag));
                [stamp, remote.stamp.clone()].into_iter().chain(tags).collect()
            }
        };
        Ok(Location { key, stamps, beside: None, tags: self.tags })
    }

    fn too_many_tags(&self) -> Error {
        let error = Error::new(ErrorKind::TooLarge, "a value in a store has at most 100 tags of each kind");
        self.remote.unfit(&error);
        error
    }
}

impl<K, V> fmt::Debug for Tier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("namespace", &self.remote.namespace).finish_non_exhaustive()
    }
}
