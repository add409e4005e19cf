//! Writing and invalidating values without a lease.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{MAX_TAGS, Tier, namespace_of};
use crate::memory::DerivedTags;
use crate::policy::{Counters, Policy};
use crate::shared::changes::ChangeWatch;
use crate::shared::envelope;
use crate::shared::generations::NAMESPACE_GENERATIONS;
use crate::shared::location::{Location, Tags};
use crate::shared::namespace::Namespace;
use crate::shared::payload::Payload;
use crate::shared::pending::Invalidation;
use crate::store::shutting_down;
use crate::util::{limits, timer, unix_millis};
use crate::{BoxFuture, Error, ErrorKind, Key, LastAttempt, LeaseMode, Result, measure};

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
        // In this order: a put that is made instead of this one watches from later on.
        let turn = self.namespace.state.put_turns.enter(location.key.clone());
        let watched = Watched::new(&self.namespace, &location, &payload.derived_tag_keys);
        let put = async move {
            let written = self.put_watched(&location, payload, &watched).await;
            if written.is_err() {
                // It is retried as an invalidation, which is as final for the puts that began before this one.
                drop(watched.key.begin_change());
            }
            written
        };
        self.namespace.apply_put(invalidation, turn, put).await
    }

    async fn put_watched(
        &'static self,
        location: &Location,
        payload: Payload,
        watched: &Watched,
    ) -> Result<()> {
        // A pending clear that is retried later would end this value too.
        let pending = &self.namespace.state.pending;
        while pending.covers_all() {
            match self.namespace.retry_some().await {
                // Otherwise another task has retried the clear, and this one something else.
                Some(Err(error)) if pending.covers_all() => return Err(error),
                Some(_) | None => {}
            }
        }
        let generations = self.namespace.generations(location, None).await?;
        let derived_generations = match self.tags {
            Tags::Derived(tags) => tags.derived_generations(&payload.derived_tag_keys).await?,
            Tags::None | Tags::Static(_) => Vec::new(),
        };
        let bytes = payload.seal(&location.key, &generations, &derived_generations, Duration::ZERO)?;
        let size = bytes.len();
        replace(&self.namespace, &location.key, bytes, payload.store_ttl(), watched).await?;
        self.namespace.sizes.record(size);
        Ok(())
    }

    /// Removes a value and ends the lease.
    pub(crate) async fn remove(&'static self, key: &K) -> Result<()> {
        let key = self.store_key(key)?;
        let invalidation = Invalidation::Key(key.clone());
        self.namespace.apply(invalidation, async move { self.namespace.send_invalidation(&key).await }).await
    }

    /// Makes a value stale and ends the lease, or removes it if a put of the key is in flight. If the store does not confirm it, the
    /// pending invalidation removes the value.
    pub(crate) async fn expire(&'static self, key: &K, tags: &[String]) -> Result<()> {
        let location = self.location(key, tags)?;
        let (namespace, retention) = (&self.namespace, self.policy.retention());
        let invalidation = Invalidation::Key(location.key.clone());
        let expired = async move {
            // A put in flight yields to this change, and counts on it that no older value is left.
            if retention.is_zero() || namespace.state.changes.is_watched(&location.key) {
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
/// A clear that the store does not confirm is retried, unless its runtime has shut down.
pub(crate) fn clear(
    policy: &Policy,
    name: &str,
    counters: &'static Counters,
) -> BoxFuture<'static, Result<()>> {
    let namespace = policy.is_shared().then(|| namespace_of(policy, name, counters));
    Box::pin(async move {
        match namespace {
            Some(namespace) => timer::in_task(|| async move { namespace.clear_unused().await })
                .await
                .unwrap_or_else(|| Err(shutting_down())),
            None => Ok(()),
        }
    })
}

/// What a put depends on, and what has changed in this process since the put began.
#[derive(Debug)]
struct Watched {
    /// Sees the changes of the key, and of the whole namespace.
    key: ChangeWatch,
    /// See the changes of the tags.
    tags: Vec<ChangeWatch>,
}

impl Watched {
    fn new(namespace: &'static Namespace, location: &Location, derived_tag_keys: &[Key]) -> Self {
        let key = namespace.state.changes.watch(location.key.clone());
        let static_tag_keys = location.generation_keys.iter().skip(NAMESPACE_GENERATIONS);
        let tag_keys = static_tag_keys.chain(derived_tag_keys).cloned();
        let watch_all =
            |namespace: &'static Namespace| tag_keys.map(|key| namespace.state.changes.watch(key)).collect();
        Self { key, tags: location.tags.namespace().map(watch_all).unwrap_or_default() }
    }

    fn have_tags_changed(&self) -> bool {
        self.tags.iter().any(ChangeWatch::is_changed)
    }
}

/// Stores a value, whatever is there, and ends any other lease, unless something has changed since the put began.
///
/// Unlike [`Store::put`](crate::Store::put), a fill has no effect after an invalidation that is executed after the lease was
/// acquired, however late the fill arrives: on a connection that was given up, or on one for large values. An invalidation that
/// was executed before that had begun when the reply with the lease arrived, so `watched` has seen it. It is the same with a
/// change of a tag or a clear: one that begins after the reply replaces a generation that was read before it. A later put of
/// another runtime is seen only when it is about to fill; until then its lease is the one that is taken over, or it takes over this
/// one.
async fn replace(
    namespace: &'static Namespace,
    key: &Key,
    value: Bytes,
    ttl: Duration,
    watched: &Watched,
) -> Result<()> {
    let begun_at = Instant::now();
    // Another call that computes must not overwrite this value.
    let (lease, acquired) = namespace.request_lease(key, LeaseMode::TakeOver).await?;
    let has_key_changed = watched.key.is_changed();
    if has_key_changed {
        // The later change may have stored a value before the lease was taken over. A release leaves it.
        if acquired.is_granted {
            namespace.release(key, lease, LastAttempt::Unknown).await;
        }
        // Before the change is executed, a value from before this put may be there. It waits for no put in turn: a put that
        // waits here is not recorded.
        if watched.key.is_confirmed().await {
            return Ok(()); // As if this put had come before that change, which removed or replaced its value.
        }
    }
    let change = watched.key.begin_change();
    // If a tag has changed, this value would be gone. The older value may not have the tag, and is removed.
    let is_to_fill = acquired.is_granted && !has_key_changed && !watched.have_tags_changed();
    if is_to_fill && namespace.fill(key, lease, value, ttl).await? {
        change.confirm();
        return Ok(());
    }
    if watched.key.has_confirmed() {
        return Ok(()); // The lease was lost to a later change. What that stored stays.
    }
    // An older value may still be there.
    namespace.with_deadline(|store| store.remove(key)).await?;
    change.confirm();
    if !is_to_fill || begun_at.elapsed() < limits::LEASE_TERM.time() {
        return Ok(()); // Another call has changed the key or a tag meanwhile, as if after this one.
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
