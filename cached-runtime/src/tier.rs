//! A shared store as a tier: with a codec and a deadline, and a failure is a miss.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::unix_millis;
use crate::codec::{Codec, Storable};
use crate::envelope;
use crate::owed::Debt;
use crate::policy::Policy;
pub(crate) use crate::remote::{Acquiring, Fill, Held, Payload, Vacant, clear};
use crate::remote::{Occupant, Remote, in_a_task};
use crate::stats::Counters;
use crate::{Key, Result};

/// The shared values of one instance of a function.
pub(crate) struct Tier<K, V> {
    key: fn(&str, &K) -> Result<Key>,
    codec: Codec<V>,
    remote: Remote,
}

/// What is under a key.
#[derive(Debug)]
pub(crate) enum Seen<V> {
    /// A value that can be used.
    Value(V),
    /// Nothing, or nothing that can be used; it can be asked for the lease.
    Vacant(Vacant),
    /// The store failed.
    Unknown,
}

impl<K, V> Tier<K, V>
where
    K: serde::Serialize,
    V: Storable,
{
    pub(crate) fn new(policy: &'static Policy, name: &str, counters: &'static Counters) -> Self {
        Self {
            key: |namespace, key| Key::new(namespace, key),
            codec: Codec::new(policy.codec),
            remote: Remote::new(policy, name, counters),
        }
    }
}

impl<K, V> Tier<K, V> {
    /// Looks what is under a key.
    pub(crate) async fn look(&'static self, key: &K) -> Seen<V> {
        let Ok(key) = self.key(key) else { return Seen::Unknown };
        let (remote, asked) = (&self.remote, key.clone());
        let looked = remote.looks.look(&key, move || {
            let key = asked.clone();
            async move { remote.load(&key).await }
        });
        let Ok((found, stamp)) = looked.await else { return Seen::Unknown };
        match self.usable(&key, found.as_ref(), stamp) {
            Some(value) => Seen::Value(value),
            None => {
                let occupant = found.map_or(Occupant::None, Occupant::Useless);
                Seen::Vacant(Vacant { key, stamp, occupant })
            }
        }
    }

    /// A key whose value is to be replaced, so that it counts as vacant.
    pub(crate) fn occupied(&self, key: &K) -> Option<Vacant> {
        Some(Vacant { key: self.key(key).ok()?, stamp: None, occupant: Occupant::Any })
    }

    /// Asks for the lease of a key that was seen vacant.
    ///
    /// What fills it must be computed after this, so that no value from before an invalidation is stored.
    /// The store is asked by a task: a lease that is given after the caller has gone is given back.
    pub(crate) async fn acquire(&'static self, vacant: Vacant) -> Acquiring {
        in_a_task(self.remote.acquire(vacant)).await.unwrap_or(Acquiring::Unknown)
    }

    /// The value under a key; nothing if the store fails.
    pub(crate) async fn peek(&'static self, key: &K) -> Option<V> {
        let key = self.key(key).ok()?;
        let (found, stamp) = self.remote.load(&key).await.ok()?;
        self.usable(&key, found.as_ref(), stamp)
    }

    /// Turns a value into bytes.
    pub(crate) fn encode(&self, value: &V, ttl: Duration) -> Result<Payload> {
        let bytes = (self.codec.encode)(value).inspect_err(|error| self.remote.failed(error))?;
        Ok(Payload { bytes, ttl, codec: self.codec.id, fingerprint: self.codec.fingerprint })
    }

    /// Stores a value whatever is there, and ends the lease.
    pub(crate) async fn put(&'static self, key: &K, payload: Payload) -> Result<()> {
        let key = self.key(key)?;
        let put = async {
            // A clear that is repeated later would take this value with it.
            while self.remote.owed.next() == Some(Debt::All) {
                self.remote.pay_one().await.transpose()?;
            }
            let stamp = self.remote.stamp().await?;
            let bytes = payload.seal(&key, stamp, Duration::ZERO)?;
            self.remote.bounded(|store| store.put(&key, bytes, Some(payload.ttl))).await
        };
        let put = put.await;
        // What it was to replace must not come back.
        self.remote.settle(put, Debt::Key(key))
    }

    /// Removes a value and ends the lease.
    pub(crate) async fn remove(&'static self, key: &K) -> Result<()> {
        let key = self.key(key)?;
        let removed = self.remote.bounded(|store| store.remove(&key)).await;
        self.remote.settle(removed, Debt::Key(key))
    }

    /// Makes every value stale, by one write.
    pub(crate) async fn clear(&'static self) -> Result<()> {
        let cleared = self.remote.renew_stamp().await;
        self.remote.settle(cleared, Debt::All)
    }

    fn key(&self, key: &K) -> Result<Key> {
        (self.key)(&self.remote.namespace, key).inspect_err(|error| self.remote.failed(error))
    }

    /// The value in what was found. Without a stamp every value counts as cleared, and one that should have been removed
    /// counts as removed.
    fn usable(&self, key: &Key, found: Option<&Bytes>, stamp: Option<u64>) -> Option<V> {
        let (found, stamp) = found.zip(stamp).filter(|_| !self.remote.owed.covers(key))?;
        self.open(key, found, stamp)
    }

    /// The value in an envelope, if it is one of ours, of this type, not cleared and still fresh.
    fn open(&self, key: &Key, bytes: &[u8], stamp: u64) -> Option<V> {
        let decoded = envelope::open(key, bytes).and_then(|(label, payload)| {
            let ours = label.codec == self.codec.id && label.fingerprint == self.codec.fingerprint;
            if !ours {
                return None;
            }
            if label.stamp != stamp || label.fresh_until <= unix_millis() {
                return Some(None);
            }
            (self.codec.decode)(payload).ok().map(Some)
        });
        if decoded.is_none() {
            self.remote.counters.undecodable.add(1);
            tracing::debug!(namespace = %self.remote.namespace, "a value in the store can not be used");
        }
        decoded.flatten()
    }
}

impl<K, V> fmt::Debug for Tier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("namespace", &self.remote.namespace).finish_non_exhaustive()
    }
}
