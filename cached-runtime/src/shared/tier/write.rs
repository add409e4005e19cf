//! What is written to a shared store without a lease.

use std::time::Duration;

use bytes::Bytes;

use super::{MOST_TAGS, Tier, remote};
use crate::memory::DerivedTags;
use crate::policy::{Counters, Policy};
use crate::shared::envelope;
use crate::shared::lease::LEASE;
use crate::shared::location::Tags;
use crate::shared::namespace::Namespace;
use crate::shared::payload::Payload;
use crate::shared::pending::Invalidation;
use crate::util::unix_millis;
use crate::{BoxFuture, Key, LeaseMode, Result};

/// Makes every value of a namespace stale, when its types are not at hand.
///
/// What the store could not be told is not repeated: this process has no use for the namespace yet.
pub(crate) fn clear(
    policy: &Policy,
    name: &str,
    counters: &'static Counters,
) -> BoxFuture<'static, Result<()>> {
    let remote = policy.is_shared().then(|| remote(policy, name, counters));
    Box::pin(async move {
        match remote {
            Some(remote) => remote.renew_stamp().await,
            None => Ok(()),
        }
    })
}

impl<K, V> Tier<K, V> {
    /// Turns a value into bytes; with the tags that only the value tells.
    pub(crate) fn encode(&self, value: &V, ttl: Duration, told: &DerivedTags) -> Result<Payload> {
        let bytes = (self.codec.encode)(value).inspect_err(|error| self.remote.unfit(error))?;
        let tags = match self.tags {
            Tags::FromValue(remote) => remote.told_keys(told),
            Tags::None | Tags::Of(_) => Vec::new(),
        };
        if tags.len() > MOST_TAGS {
            return Err(self.too_many_tags());
        }
        let retention = if (self.is_err)(value) { Duration::ZERO } else { self.policy.retention() };
        let (codec, fingerprint) = (self.codec.id, self.codec.fingerprint);
        Ok(Payload { bytes, ttl, retention, codec, fingerprint, tags })
    }

    /// Stores a value whatever is there, and ends the lease.
    pub(crate) async fn put(&'static self, key: &K, tags: &[String], payload: Payload) -> Result<()> {
        let place = self.place(key, tags)?;
        // What it was to replace must not come back.
        let debt = Invalidation::Key(place.key.clone());
        let put = async move {
            // A clear that is repeated later would take this value with it.
            while self.remote.owed.next() == Some(Invalidation::All) {
                self.remote.pay_one().await.transpose()?;
            }
            let stamps = self.remote.stamps(&place, None).await?;
            let named = match self.tags {
                Tags::FromValue(tags) => tags.name(&payload.tags).await?,
                Tags::None | Tags::Of(_) => Vec::new(),
            };
            let bytes = payload.seal(&place.key, &stamps, &named, Duration::ZERO)?;
            self.remote.bounded(|store| store.put(&place.key, bytes, Some(payload.term()))).await
        };
        self.remote.change(debt, put).await
    }

    /// Removes a value and ends the lease.
    pub(crate) async fn remove(&'static self, key: &K) -> Result<()> {
        let key = self.key(key)?;
        self.remote.change(Invalidation::Key(key.clone()), async move { self.remote.tell(&key).await }).await
    }

    /// Makes a value stale and ends the lease; if the store can not be told, the value is to be removed.
    pub(crate) async fn expire(&'static self, key: &K, tags: &[String]) -> Result<()> {
        let place = self.place(key, tags)?;
        let (remote, retention, key) = (&self.remote, self.policy.retention(), place.key.clone());
        let expired = async move {
            if retention.is_zero() {
                remote.tell(&place.key).await
            } else {
                expire(remote, &place.key, retention).await
            }
        };
        self.remote.change(Invalidation::Key(key), expired).await
    }

    /// Makes every value stale, by one write.
    pub(crate) async fn clear(&'static self) -> Result<()> {
        self.remote.change(Invalidation::All, self.remote.renew_stamp()).await
    }
}

/// Puts a stale copy in place of a value, by way of the lease: what is computed from before this can not be stored.
async fn expire(remote: &'static Namespace, key: &Key, retention: Duration) -> Result<()> {
    let acquired = remote.bounded(|store| store.acquire(key, LEASE, LeaseMode::Replace)).await?;
    // Somebody computes: that is over now, and what was there may be gone by now.
    let Some(lease) = acquired.lease else { return remote.bounded(|store| store.remove(key)).await };
    let stale = acquired.value.and_then(|value: Bytes| envelope::expire(key, &value, unix_millis()));
    match stale {
        Some(stale) => remote.bounded(|store| store.fill(key, lease, stale, retention)).await.map(drop),
        None => remote.bounded(|store| store.release(key, lease)).await,
    }
}
