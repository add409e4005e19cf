//! The shared tier of one instance of a function: keys and values of its types, kept in a shared store.
//!
//! A failure of the store is a miss.

mod read;
mod write;

use std::fmt;

pub(crate) use self::read::{SharedRead, TierRead};
pub(crate) use self::write::clear;
use super::claims::Claim;
use super::codec::{Codec, Storable};
pub(crate) use super::held_lease::HeldLease;
use super::invalidate_tag::tag_namespace;
use super::key_check::KeyCheck;
pub(crate) use super::lease::{LeaseAnswer, LeaseRequest};
use super::location::{Location, Tags};
use super::namespace::{Namespace, run_detached};
use super::reads::CommonKeys;
use crate::policy::{Counters, InstanceName, Policy};
use crate::signature::KeyType;
use crate::store::KeySpace;
use crate::{Error, ErrorKind, Key, LeaseMode, Result, Watch};

/// Returns the key of arguments in the namespace of an instance.
type ToKey<K> = dyn Fn(&K) -> Result<Key> + Send + Sync;

/// The shared values of one instance of a function.
pub(crate) struct Tier<K, V> {
    to_key: Box<ToKey<K>>,
    codec: Codec<V>,
    /// Returns `true` if the function returned an error. A cached error is not served stale.
    is_err: fn(&V) -> bool,
    policy: &'static Policy,
    tags: Tags,
    /// The keys of the generations of a value without tags.
    generation_keys: [Key; 1],
    namespace: Namespace,
    claim: Claim,
}

/// How many static tags, and how many derived tags, a stored value can have.
const MAX_TAGS: usize = 100;

impl<K, V> Tier<K, V>
where
    K: KeyType + serde::Serialize,
    V: Storable,
{
    pub(crate) fn new(
        policy: &'static Policy,
        name: &InstanceName,
        counters: &'static Counters,
        is_err: fn(&V) -> bool,
        has_derived_tags: bool,
    ) -> Self {
        let namespace = namespace_of(policy, &name.namespace, counters);
        namespace.report_pending();
        let tags = match (policy.has_tags, has_derived_tags) {
            (_, true) => Tags::Derived(tag_namespace(&namespace.store)),
            (true, false) => Tags::Static(tag_namespace(&namespace.store)),
            (false, false) => Tags::None,
        };
        let codec = Codec::new(policy.codec);
        let generation_keys = [namespace.generation_key.clone()];
        let claim = Claim::new(&namespace.name, name, policy);
        let key_check = KeyCheck::new();
        let keys = KeySpace::new(&namespace.name).readable(policy.is_readable);
        let name = namespace.name.clone();
        let to_key = Box::new(move |key: &K| {
            let store_key = keys.key(key)?;
            key_check.check(&name, &store_key, key);
            Ok(store_key)
        });
        Self { to_key, codec, is_err, policy, tags, generation_keys, namespace, claim }
    }
}

/// Returns the namespace of an instance: its name and the version of its policy.
fn namespace_of(policy: &Policy, name: &str, counters: &'static Counters) -> Namespace {
    Namespace::new(Namespace::store_of(policy), format!("{name}.v{}", policy.version), counters)
}

impl<K, V> Tier<K, V> {
    /// Returns a request for a lease that replaces any value; `None` if the key or its tags cannot be stored, or the
    /// namespace is ambiguous.
    pub(crate) fn replace_request(&'static self, key: &K, tags: &[String]) -> Option<LeaseRequest> {
        if self.claim.is_ambiguous() {
            return None;
        }
        Some(LeaseRequest {
            location: self.location(key, tags).ok()?,
            generations: None,
            mode: LeaseMode::Replace,
            lease_id: None,
            has_fallback: false,
        })
    }

    /// Requests a lease.
    ///
    /// The value to fill the key with must be computed after this returns, so that no value from before an invalidation
    /// is stored.
    ///
    /// # Cancel safety
    ///
    /// The request completes even if the caller is dropped; a lease acquired after that is released.
    pub(crate) async fn acquire(&'static self, request: LeaseRequest) -> LeaseAnswer {
        run_detached(self.namespace.acquire(request)).await.unwrap_or(LeaseAnswer::Unavailable)
    }

    /// Counts and reports a result that was not stored, because its lease was taken from a leader that was silent.
    pub(crate) fn report_lost_lease(&self) {
        self.namespace.report_expired_lease();
    }

    /// Returns a future that completes when the key of a request may have changed; `None` if the store cannot watch keys,
    /// or fails.
    pub(crate) async fn watch(&'static self, request: &LeaseRequest) -> Option<Watch> {
        self.namespace.with_deadline(|store| store.watch(&request.location.key)).await.ok()?
    }

    /// Returns the name by which the store has the value of a key.
    pub(crate) fn entry_name(&self, key: &K) -> Result<String> {
        let key = (self.to_key)(key)?;
        Ok(match &self.namespace.store {
            Ok(store) => store.entry_name(&key),
            Err(_) => key.as_str().to_owned(),
        })
    }

    fn store_key(&self, key: &K) -> Result<Key> {
        (self.to_key)(key).inspect_err(|error| self.namespace.report_uncacheable(error))
    }

    /// Returns the primary location of a key.
    fn location(&'static self, key: &K, static_tags: &[String]) -> Result<Location> {
        let (key, generation_key) = (self.store_key(key)?, &self.namespace.generation_key);
        let generation_keys = match self.tags {
            Tags::None => CommonKeys::OfNamespace(&self.generation_keys),
            Tags::Static(_) | Tags::Derived(_) if static_tags.len() > MAX_TAGS => {
                return Err(self.too_many_tags());
            }
            Tags::Static(tags) | Tags::Derived(tags) => {
                let tag_keys = static_tags.iter().map(|tag| tags.tag_key(tag));
                CommonKeys::Shared(
                    [generation_key, &tags.generation_key].into_iter().cloned().chain(tag_keys).collect(),
                )
            }
        };
        Ok(Location { key, generation_keys, primary: None, tags: self.tags })
    }

    fn too_many_tags(&self) -> Error {
        let error = Error::new(ErrorKind::TooLarge, "a stored value can have 100 tags of each kind at most");
        self.namespace.report_uncacheable(&error);
        error
    }
}

impl<K, V> fmt::Debug for Tier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("namespace", &self.namespace.name).finish_non_exhaustive()
    }
}
