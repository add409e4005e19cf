//! Writing and invalidating values without a lease.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{MAX_TAGS, Tier, namespace_of};
use crate::memory::DerivedTags;
use crate::policy::{Counters, Policy};
use crate::shared::envelope;
use crate::shared::location::Tags;
use crate::shared::namespace::Namespace;
use crate::shared::payload::Payload;
use crate::shared::pending::Invalidation;
use crate::store::shutting_down;
use crate::util::{limits, timer, unix_millis};
use crate::{BoxFuture, Error, ErrorKind, Key, LeaseMode, Result, measure};

impl<K, V> Tier<K, V> {
    /// Encodes a value, with the keys of its derived tags.
    pub(crate) fn encode(&self, value: &V, ttl: Duration, derived_tags: &DerivedTags) -> Result<Payload> {
        let bytes =
            (self.codec.encode)(value).inspect_err(|error| self.namespace.report_uncacheable(error))?;
        measure::value_size(&self.namespace.name, bytes.len());
        let derived_tag_keys = match self.tags {
            Tags::Derived(tags) => tags.derived_tag_keys(derived_tags),
            Tags::None | Tags::Static(_) => Vec::new(),
        };
        if derived_tag_keys.len() > MAX_TAGS {
            return Err(self.too_many_tags());
        }
        let retention = if (self.is_err)(value) { Duration::ZERO } else { self.policy.retention() };
        let (codec_id, fingerprint) = (self.codec.id, self.codec.fingerprint);
        Ok(Payload { bytes, ttl, retention, codec_id, fingerprint, derived_tag_keys })
    }

    /// Stores a value, whatever is there, and ends the lease.
    ///
    /// In an ambiguous namespace it only removes what is there, which other processes may still use.
    pub(crate) async fn put(&'static self, key: &K, tags: &[String], payload: Payload) -> Result<()> {
        if self.claim.is_ambiguous() {
            return self.remove(key).await;
        }
        let location = self.location(key, tags)?;
        // If the write fails, the value it was to replace must not be served again.
        let invalidation = Invalidation::Key(location.key.clone());
        let put = async move {
            // A pending clear that is retried later would end this value too.
            while self.namespace.pending.next() == Some(Invalidation::Namespace) {
                self.namespace.retry_one().await.transpose()?;
            }
            let generations = self.namespace.generations(&location, None).await?;
            let derived_generations = match self.tags {
                Tags::Derived(tags) => tags.derived_generations(&payload.derived_tag_keys).await?,
                Tags::None | Tags::Static(_) => Vec::new(),
            };
            let bytes = payload.seal(&location.key, &generations, &derived_generations, Duration::ZERO)?;
            self.namespace.record_size(bytes.len());
            replace(&self.namespace, &location.key, bytes, payload.store_ttl()).await
        };
        self.namespace.apply(invalidation, put).await
    }

    /// Removes a value and ends the lease.
    pub(crate) async fn remove(&'static self, key: &K) -> Result<()> {
        let key = self.store_key(key)?;
        let invalidation = Invalidation::Key(key.clone());
        self.namespace.apply(invalidation, async move { self.namespace.send_invalidation(&key).await }).await
    }

    /// Makes a value stale and ends the lease. If the store does not confirm it, the pending invalidation removes the
    /// value.
    pub(crate) async fn expire(&'static self, key: &K, tags: &[String]) -> Result<()> {
        let location = self.location(key, tags)?;
        let (namespace, retention) = (&self.namespace, self.policy.retention());
        let invalidation = Invalidation::Key(location.key.clone());
        let expired = async move {
            if retention.is_zero() {
                namespace.send_invalidation(&location.key).await
            } else {
                store_stale_copy(namespace, &location.key, retention).await
            }
        };
        self.namespace.apply(invalidation, expired).await
    }

    /// Makes every value stale, by one write.
    pub(crate) async fn clear(&'static self) -> Result<()> {
        self.namespace.apply(Invalidation::Namespace, self.namespace.renew_generation()).await
    }
}

/// Makes every value of an instance stale that was not used in this process yet, so that its types are not at hand.
///
/// A clear that the store does not confirm is not retried: this process does not use the namespace yet.
pub(crate) fn clear(
    policy: &Policy,
    name: &str,
    counters: &'static Counters,
) -> BoxFuture<'static, Result<()>> {
    let namespace = policy.is_shared().then(|| namespace_of(policy, name, counters));
    Box::pin(async move {
        match namespace {
            Some(namespace) => timer::in_task(|| async move { namespace.renew_generation().await })
                .await
                .unwrap_or_else(|| Err(shutting_down())),
            None => Ok(()),
        }
    })
}

/// Stores a value, whatever is there, and ends any other lease.
///
/// Unlike [`Store::put`](crate::Store::put), a fill has no effect after an invalidation that began later, however late it arrives:
/// on a connection that was given up, or on one for large values.
async fn replace(namespace: &'static Namespace, key: &Key, value: Bytes, ttl: Duration) -> Result<()> {
    let begun_at = Instant::now();
    // Another call that computes must not overwrite this value.
    let (lease, acquired) = namespace.request_lease(key, LeaseMode::TakeOver).await?;
    if acquired.is_granted && namespace.fill(key, lease, value, ttl).await? {
        return Ok(());
    }
    // An older value may still be there.
    namespace.with_deadline(|store| store.remove(key)).await?;
    if begun_at.elapsed() < limits::LEASE_TERM.time() {
        return Ok(()); // Another call has changed the key meanwhile, as if after this one.
    }
    namespace.report_expired_lease();
    Err(Error::new(ErrorKind::Timeout, "the value took longer than the term of its lease"))
}

/// Replaces a value by a stale copy, under the lease, so that a value that is being computed cannot be stored.
async fn store_stale_copy(namespace: &'static Namespace, key: &Key, retention: Duration) -> Result<()> {
    for _ in 0..MAX_EXPIRE_ATTEMPTS {
        let (lease, acquired) = namespace.request_lease(key, LeaseMode::Replace).await?;
        // If another call computes, the removal ends its lease; the old value may be gone anyway.
        if !acquired.is_granted {
            break;
        }
        // Read under the lease, so that a value that is removed meanwhile does not come back.
        let value = namespace.read_value(key).await?;
        // What cannot be read cannot be made stale.
        let Some(stale) = value.and_then(|value| envelope::expire(key, &value, unix_millis())) else { break };
        if namespace.fill(key, lease, stale, retention).await? {
            return Ok(());
        }
        // The value was changed, or the lease has ended otherwise, and the old value may still be there.
    }
    namespace.with_deadline(|store| store.remove(key)).await
}

/// After this many attempts to make a value stale that another call has crossed, it is removed.
const MAX_EXPIRE_ATTEMPTS: usize = 3;
