//! The clauses about acquiring leases and filling keys.

use super::concurrency::{CALLERS, boxed, join_all};
use super::probe::Probe;
use super::time::LONG;
use crate::{Key, LastAttempt, Lease, LeaseMode, Store, ValueId};

/// Checks that a lease is granted to one caller at a time, and on a key with a value only in a mode that replaces it.
///
/// # Panics
///
/// Panics if the store violates a clause; the message says which.
///
/// # Examples
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::acquire(&MapStore::default()).await;
/// # }
/// ```
pub async fn acquire(store: &dyn Store) {
    let probe = Probe::new(store, "acquire");
    let key = probe.key("key");
    let first = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert!(!first.is_filled, "`acquire` must not say that a key has a value if it has none");
    let lease = first.lease.expect("`acquire` must grant the lease of a key that has no value");
    assert_eq!(probe.get(&key).await, None, "a key that is only leased must have no value");
    let same = LeaseMode::IfUnchanged(ValueId::of(b"value"));
    for mode in [LeaseMode::IfAbsent, LeaseMode::Replace, same] {
        let second = probe.acquire(&key, LONG, mode).await;
        assert_eq!(second.lease, None, "`acquire` must not grant a lease while another caller holds it");
        assert!(!second.is_filled, "`acquire` must not say that a key has a value if it is only leased");
    }

    assert!(probe.fill(&key, lease, b"value", LONG).await, "`fill` must succeed for the holder of the lease");
    let found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(
        found.lease, None,
        "`acquire` with `IfAbsent` must not grant the lease of a key that has a value"
    );
    assert!(found.is_filled, "`acquire` must say that the key has a value if that is why it grants no lease");

    let with_value = probe.acquire(&key, LONG, LeaseMode::Replace).await;
    let lease =
        with_value.lease.expect("`acquire` with `Replace` must grant the lease of a key that has a value");
    assert_eq!(
        probe.get(&key).await.as_deref(),
        Some(&b"value"[..]),
        "a value must stay readable while its key is leased"
    );
    let second = probe.acquire(&key, LONG, LeaseMode::Replace).await;
    assert_eq!(
        second.lease, None,
        "`acquire` with `Replace` must not grant a lease while another caller holds it"
    );
    assert!(!second.is_filled, "`acquire` with `Replace` must not call a value the reason");
    assert!(probe.fill(&key, lease, b"fresh", LONG).await, "`fill` must succeed for the holder of the lease");
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"fresh"[..]), "`fill` must replace the value");
    unchanged(&probe).await;
    take_over(&probe).await;

    let old = LeaseMode::IfUnchanged(ValueId::of(b"old"));
    for (n, mode) in [LeaseMode::IfAbsent, LeaseMode::Replace, old].into_iter().enumerate() {
        let keys: Vec<Key> = (0..4).map(|key| probe.key(&format!("concurrent {key} of {n}"))).collect();
        if mode != LeaseMode::IfAbsent {
            join_all(keys.iter().map(|key| boxed(probe.put(key, b"old", LONG))).collect()).await;
        }
        let calls = keys.iter().flat_map(|key| (0..CALLERS).map(|_| boxed(probe.acquire(key, LONG, mode))));
        let acquired = join_all(calls.collect()).await;
        for results in acquired.chunks(CALLERS) {
            let leases = results.iter().filter(|acquired| acquired.lease.is_some()).count();
            assert_eq!(leases, 1, "`acquire` must grant one lease to {CALLERS} concurrent callers, {mode:?}");
        }
    }
}

/// Checks [`LeaseMode::IfUnchanged`].
async fn unchanged(probe: &Probe<'_>) {
    let key = probe.key("unchanged");
    let [old, new] = [b"old", b"new"].map(|value| LeaseMode::IfUnchanged(ValueId::of(value)));
    probe.put(&key, b"old", LONG).await;
    let changed = probe.acquire(&key, LONG, new).await;
    assert_eq!(
        (changed.lease, changed.holder, changed.is_filled),
        (None, None, true),
        "`acquire` with `IfUnchanged` must not grant the lease of a key that has another value"
    );
    let unchanged = probe.acquire(&key, LONG, old).await;
    let lease = unchanged
        .lease
        .expect("`acquire` with `IfUnchanged` must grant the lease of a key that has that value");
    let second = probe.acquire(&key, LONG, old).await;
    assert_eq!(
        (second.lease, second.is_filled),
        (None, false),
        "`acquire` with `IfUnchanged` must not grant a lease while another caller holds it"
    );
    assert!(probe.fill(&key, lease, b"new", LONG).await, "`fill` must succeed for the holder of the lease");
    let filled = probe.acquire(&key, LONG, old).await;
    assert_eq!(
        (filled.lease, filled.is_filled),
        (None, true),
        "`acquire` with `IfUnchanged` must notice that another caller has filled the key"
    );
    probe.remove(&key).await;
    let absent = probe.acquire(&key, LONG, old).await;
    assert!(
        absent.lease.is_some(),
        "`acquire` with `IfUnchanged` must grant the lease of a key that has no value"
    );
}

/// Checks [`LeaseMode::TakeOver`].
async fn take_over(probe: &Probe<'_>) {
    for present in [None, Some(&b"old"[..])] {
        let key = probe.key(&format!("taken over {present:?}"));
        if let Some(value) = present {
            probe.put(&key, value, LONG).await;
        }
        let lost = probe.lease(&key, LONG).await;
        let before = probe.lease_id(&key).await;
        let taken = probe.acquire(&key, LONG, LeaseMode::TakeOver).await;
        let lease =
            taken.lease.expect("`acquire` with `TakeOver` must grant a lease that another caller holds");
        assert_eq!(taken.holder, None, "`acquire` must return no holder if it grants the lease");
        assert_eq!(
            probe.get(&key).await.as_deref(),
            present,
            "`acquire` with `TakeOver` must keep the value"
        );
        let after = probe.lease_id(&key).await;
        assert!(after.is_some() && after != before, "a lease that was taken over must have another identity");
        probe.assert_rejected(&key, lost, present, "a lease that was taken over").await;
        assert!(
            !probe.extend(&key, lost, LONG).await,
            "`extend` must return false for a lease that was taken over"
        );
        assert!(
            probe.fill(&key, lease, b"new", LONG).await,
            "the caller that takes a lease over must be able to fill"
        );
    }
}

/// Checks that a caller that is not granted a lease gets the identity of the current one, which stays the
/// same while it is held and differs from that of the next.
///
/// # Panics
///
/// Panics if the store violates a clause; the message says which.
///
/// # Examples
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::lease_ids(&MapStore::default()).await;
/// # }
/// ```
pub async fn lease_ids(store: &dyn Store) {
    let probe = Probe::new(store, "lease_ids");
    for previous in [None, Some(b"old")] {
        let key = probe.key(&format!("previously {previous:?}"));
        let mut earlier = Vec::new();
        for end in ["release", "remove", "put", "fill"] {
            if let Some(value) = previous {
                probe.put(&key, value, LONG).await;
            }
            let acquired = probe.acquire(&key, LONG, LeaseMode::Replace).await;
            assert_eq!(acquired.holder, None, "`acquire` must return no holder if it grants the lease");
            let lease = acquired.lease.expect("`acquire` must grant a lease that is not held");

            let id = probe.lease_id(&key).await.expect("`acquire` must identify the lease that is held");
            assert!(!earlier.contains(&id), "the identities of successive leases must differ");
            assert!(
                probe.extend(&key, lease, LONG).await,
                "`extend` must return true while the lease is held"
            );
            let later = probe.lease_id(&key).await;
            assert_eq!(later, Some(id), "the identity of a lease must not change while it is held");
            earlier.push(id);

            match end {
                "release" => probe.release(&key, lease, LastAttempt::Unknown).await,
                "remove" => probe.remove(&key).await,
                "put" => probe.put(&key, b"put", LONG).await,
                _ => {
                    let filled = probe.fill(&key, lease, b"value", LONG).await;
                    assert!(filled, "`fill` must succeed for the holder of the lease");
                }
            }
            if previous.is_none() {
                probe.remove(&key).await;
            }
        }
    }
    let key = probe.key("only a value");
    probe.put(&key, b"value", LONG).await;
    let found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(
        found.holder, None,
        "`acquire` must return no holder if a value is the reason that it grants no lease"
    );
}

/// Checks that only the holder of the current lease can fill a key, and that every change of the key ends the
/// lease.
///
/// # Panics
///
/// Panics if the store violates a clause; the message says which.
///
/// # Examples
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::fill(&MapStore::default()).await;
/// # }
/// ```
pub async fn fill(store: &dyn Store) {
    let probe = Probe::new(store, "fill");
    let key = probe.key("filled");
    let lease = probe.lease(&key, LONG).await;
    assert!(probe.fill(&key, lease, b"value", LONG).await, "`fill` must succeed for the holder of the lease");
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"value"[..]), "`fill` must store the value");
    assert!(!probe.is_leased(&key).await, "`fill` must release the lease");
    probe.assert_rejected(&key, lease, Some(b"value"), "a lease that `fill` released").await;

    let key = probe.key("removed");
    let lease = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    probe.assert_rejected(&key, lease, None, "a lease that `remove` ended").await;
    assert!(!probe.is_leased(&key).await, "`remove` must end the lease");

    let key = probe.key("removed with a value");
    probe.put(&key, b"old", LONG).await;
    let lease = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    probe.assert_rejected(&key, lease, None, "a lease of a key with a value that `remove` ended").await;

    let key = probe.key("put");
    let lease = probe.lease(&key, LONG).await;
    probe.put(&key, b"put", LONG).await;
    probe.assert_rejected(&key, lease, Some(b"put"), "a lease that `put` ended").await;
    assert!(!probe.is_leased(&key).await, "`put` must end the lease");

    let key = probe.key("put with a value");
    probe.put(&key, b"old", LONG).await;
    let lease = probe.lease(&key, LONG).await;
    probe.put(&key, b"put", LONG).await;
    probe.assert_rejected(&key, lease, Some(b"put"), "a lease of a key with a value that `put` ended").await;

    let key = probe.key("acquired by another caller");
    let lost = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    let lease = probe.lease(&key, LONG).await;
    probe.assert_rejected(&key, lost, None, "a lost lease while another caller holds the next one").await;
    assert!(probe.is_leased(&key).await, "a rejected `fill` must not end the current lease");
    assert!(
        probe.fill(&key, lease, b"new", LONG).await,
        "a rejected `fill` must not affect the current lease"
    );
    probe
        .assert_rejected(&key, lost, Some(b"new"), "a lost lease of a key that another caller has filled")
        .await;

    let lease = probe.lease(&probe.key("one"), LONG).await;
    probe.assert_rejected(&probe.key("another"), lease, None, "the lease of another key").await;
    probe
        .assert_rejected(&probe.key("never leased"), Lease::new(0), None, "a lease that was never granted")
        .await;
    probe
        .assert_rejected(
            &probe.key("never leased"),
            Lease::new(u128::MAX),
            None,
            "a lease that was never granted",
        )
        .await;

    races(&probe).await;
}

/// Checks that `put` and `remove` win over a concurrent `fill`, in either order.
async fn races(probe: &Probe<'_>) {
    let keys: Vec<Key> = (0..CALLERS).map(|n| probe.key(&format!("race {n}"))).collect();
    let leases = join_all(keys.iter().map(|key| boxed(probe.lease(key, LONG))).collect()).await;
    let race = async |n: usize, key: &Key, lease: Lease| {
        let change = async {
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            if n.is_multiple_of(2) { probe.remove(key).await } else { probe.put(key, b"new", LONG).await }
        };
        tokio::join!(probe.fill(key, lease, b"old", LONG), change);
    };
    let races = keys.iter().zip(leases).enumerate().map(|(n, (key, lease))| boxed(race(n, key, lease)));
    join_all(races.collect()).await;
    for (n, value) in probe.get_all(&keys).await.into_iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(value, None, "`remove` must win over a concurrent `fill`");
        } else {
            assert_eq!(value.as_deref(), Some(&b"new"[..]), "`put` must win over a concurrent `fill`");
        }
    }
}
