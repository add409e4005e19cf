//! The clauses about leases.

use tokio::time::{Instant, sleep, sleep_until};

use super::concurrency::{CALLERS, boxed, join_all};
use super::probe::Probe;
use super::time::{LONG, MAX_EXPIRY_DELAY, Poller, SHORT};
use crate::{Key, LastAttempt, Lease, LeaseMode, Store};

/// Checks that a lease is granted to one caller at a time, and on a key with a value only with
/// [`LeaseMode::Replace`].
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
    assert_eq!(first.value, None, "`acquire` must return no value for a key that has none");
    let lease = first.lease.expect("`acquire` must grant the lease of a key that has no value");
    assert_eq!(probe.get(&key).await, None, "a key that is only leased must have no value");
    for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
        let second = probe.acquire(&key, LONG, mode).await;
        let found = (second.value, second.lease);
        assert_eq!(found, (None, None), "`acquire` must not grant a lease while another caller holds it");
    }

    assert!(probe.fill(&key, lease, b"value", LONG).await, "`fill` must succeed for the holder of the lease");
    let found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(found.value.as_deref(), Some(&b"value"[..]), "`acquire` must return the value of the key");
    assert_eq!(
        found.lease, None,
        "`acquire` with `IfAbsent` must not grant the lease of a key that has a value"
    );

    let with_value = probe.acquire(&key, LONG, LeaseMode::Replace).await;
    let value = with_value.value.as_deref();
    assert_eq!(value, Some(&b"value"[..]), "`acquire` with `Replace` must return the value of the key");
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
    assert_eq!(
        second.value.as_deref(),
        Some(&b"value"[..]),
        "`acquire` must return the value also if it grants no lease"
    );
    assert!(probe.fill(&key, lease, b"fresh", LONG).await, "`fill` must succeed for the holder of the lease");
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"fresh"[..]), "`fill` must replace the value");

    for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
        let keys: Vec<Key> = (0..4).map(|n| probe.key(&format!("concurrent {n} {mode:?}"))).collect();
        if mode == LeaseMode::Replace {
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
    assert_rejected(&probe, &key, lease, Some(b"value"), "a lease that `fill` released").await;

    let key = probe.key("removed");
    let lease = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    assert_rejected(&probe, &key, lease, None, "a lease that `remove` ended").await;
    assert!(!probe.is_leased(&key).await, "`remove` must end the lease");

    let key = probe.key("removed with a value");
    probe.put(&key, b"old", LONG).await;
    let lease = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    assert_rejected(&probe, &key, lease, None, "a lease of a key with a value that `remove` ended").await;

    let key = probe.key("put");
    let lease = probe.lease(&key, LONG).await;
    probe.put(&key, b"put", LONG).await;
    assert_rejected(&probe, &key, lease, Some(b"put"), "a lease that `put` ended").await;
    assert!(!probe.is_leased(&key).await, "`put` must end the lease");

    let key = probe.key("put with a value");
    probe.put(&key, b"old", LONG).await;
    let lease = probe.lease(&key, LONG).await;
    probe.put(&key, b"put", LONG).await;
    assert_rejected(&probe, &key, lease, Some(b"put"), "a lease of a key with a value that `put` ended")
        .await;

    let key = probe.key("acquired by another caller");
    let lost = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    let lease = probe.lease(&key, LONG).await;
    assert_rejected(&probe, &key, lost, None, "a lost lease while another caller holds the next one").await;
    assert!(probe.is_leased(&key).await, "a rejected `fill` must not end the current lease");
    assert!(
        probe.fill(&key, lease, b"new", LONG).await,
        "a rejected `fill` must not affect the current lease"
    );
    assert_rejected(&probe, &key, lost, Some(b"new"), "a lost lease of a key that another caller has filled")
        .await;

    let lease = probe.lease(&probe.key("one"), LONG).await;
    assert_rejected(&probe, &probe.key("another"), lease, None, "the lease of another key").await;
    assert_rejected(
        &probe,
        &probe.key("never leased"),
        Lease::new(0),
        None,
        "a lease that was never granted",
    )
    .await;
    assert_rejected(
        &probe,
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

/// Checks that a lease can be extended, and that extending a lost lease fails.
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
/// cached_runtime::contract::extend(&MapStore::default()).await;
/// # }
/// ```
pub async fn extend(store: &dyn Store) {
    let probe = Probe::new(store, "extend");
    let [key, with_value] = ["extended", "extended with a value"].map(|name| probe.key(name));
    probe.put(&with_value, b"old", LONG).await;
    let term = 3 * SHORT; // Long enough to be extended in time on a busy machine.
    let leases = [probe.lease(&key, term).await, probe.lease(&with_value, term).await];
    let both = [(&key, leases[0]), (&with_value, leases[1])];
    for (key, lease) in both {
        assert!(probe.extend(key, lease, LONG).await, "`extend` must return true while the lease is held");
    }
    assert_eq!(probe.get(&key).await, None, "`extend` must not create a value");

    for (name, change) in [("remove", None), ("put", Some(b"put"))] {
        let key = probe.key(name);
        let lost = probe.lease(&key, LONG).await;
        match change {
            None => probe.remove(&key).await,
            Some(value) => probe.put(&key, value, LONG).await,
        }
        assert!(!probe.extend(&key, lost, LONG).await, "`extend` must return false after `{name}`");
        let lease = probe.lease(&key, LONG).await;
        assert!(
            !probe.extend(&key, lost, LONG).await,
            "`extend` must return false if another caller holds the lease"
        );
        assert!(probe.extend(&key, lease, LONG).await, "`extend` must return true for the new holder");
        assert!(
            probe.fill(&key, lease, b"value", LONG).await,
            "`extend` with a lost lease must not affect the current lease"
        );
        assert!(!probe.extend(&key, lease, LONG).await, "`extend` must return false after `fill`");
    }
    let released = probe.key("released");
    let lease = probe.lease(&released, LONG).await;
    probe.release(&released, lease, LastAttempt::Unknown).await;
    assert!(!probe.extend(&released, lease, LONG).await, "`extend` must return false after `release`");
    assert!(!probe.is_leased(&released).await, "`extend` must not restore a lease");

    sleep(term + MAX_EXPIRY_DELAY).await;
    for (key, lease) in both {
        assert!(probe.is_leased(key).await, "an extended lease must be held for another term");
        assert!(probe.fill(key, lease, b"value", LONG).await, "`fill` must succeed after `extend`");
    }
}

/// Checks that a released lease can be acquired again, and that only its holder can release it.
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
/// cached_runtime::contract::release(&MapStore::default()).await;
/// # }
/// ```
pub async fn release(store: &dyn Store) {
    let probe = Probe::new(store, "release");
    let key = probe.key("released");
    let released = probe.lease(&key, LONG).await;
    probe.release(&key, released, LastAttempt::Unknown).await;
    assert_rejected(&probe, &key, released, None, "a lease that was released").await;
    let again = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    let lease = again.lease.expect("`acquire` must grant a lease that was released");

    probe.release(&key, released, LastAttempt::Unknown).await; // Releasing a lost lease is not an error.
    assert!(probe.is_leased(&key).await, "`release` of a lost lease must not end the current lease");
    assert!(
        probe.fill(&key, lease, b"value", LONG).await,
        "`release` of a lost lease must not affect the current lease"
    );
    probe.release(&key, lease, LastAttempt::Unknown).await;
    let value = probe.get(&key).await;
    assert_eq!(value.as_deref(), Some(&b"value"[..]), "`release` of a lost lease must keep the value");

    let lease = probe.lease(&key, LONG).await;
    probe.release(&key, lease, LastAttempt::Unknown).await;
    let value = probe.get(&key).await;
    assert_eq!(value.as_deref(), Some(&b"value"[..]), "`release` must keep the value of the key");
    assert!(!probe.is_leased(&key).await, "`release` must end the lease of a key that has a value");
}

/// Checks that a store tells how the last attempt ended, to the next holder of the lease and to those that wait for it.
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
/// cached_runtime::contract::last_attempt(&MapStore::default()).await;
/// # }
/// ```
pub async fn last_attempt(store: &dyn Store) {
    let probe = Probe::new(store, "last_attempt");
    for previous in [None, Some(&b"old"[..])] {
        let key = probe.key(&format!("previously {previous:?}"));
        if let Some(value) = previous {
            probe.put(&key, value, LONG).await;
        }
        let mut expected = LastAttempt::Unknown;
        for attempt in
            [LastAttempt::Failed, LastAttempt::NotStored, LastAttempt::Unknown, LastAttempt::Failed]
        {
            let acquired = probe.acquire(&key, LONG, LeaseMode::Replace).await;
            let lease = acquired.lease.expect("`acquire` must grant a lease that was released");
            assert_eq!(
                acquired.last_attempt, expected,
                "`acquire` must return what `release` was given last"
            );
            assert!(
                probe.extend(&key, lease, LONG).await,
                "`extend` must return true while the lease is held"
            );
            let waiting = probe.acquire(&key, LONG, LeaseMode::Replace).await;
            assert_eq!(
                (waiting.lease, waiting.last_attempt),
                (None, expected),
                "`acquire` must return the last attempt also while the next lease is held"
            );
            probe.release(&key, lease, attempt).await;
            expected = attempt;
            let value = probe.get(&key).await;
            assert_eq!(value.as_deref(), previous, "what is known about an attempt must not be a value");
        }

        let lost = Lease::random();
        probe.release(&key, lost, LastAttempt::NotStored).await;
        for end in ["fill", "put", "remove"] {
            let acquired = probe.acquire(&key, LONG, LeaseMode::Replace).await;
            let lease = acquired.lease.expect("`acquire` must grant a lease that was released");
            assert_eq!(
                acquired.last_attempt,
                LastAttempt::Failed,
                "`release` of a lost lease must say nothing"
            );
            match end {
                "fill" => {
                    assert!(
                        probe.fill(&key, lease, b"new", LONG).await,
                        "`fill` must succeed for the holder"
                    );
                }
                "put" => probe.put(&key, b"new", LONG).await,
                _ => probe.remove(&key).await,
            }
            let next = probe.acquire(&key, LONG, LeaseMode::Replace).await;
            let lease = next.lease.expect("`acquire` must grant a lease that has ended");
            assert_eq!(
                next.last_attempt,
                LastAttempt::Unknown,
                "`{end}` must end what is known of the attempt"
            );
            probe.release(&key, lease, LastAttempt::Failed).await;
        }
        let added = probe.key(&format!("added after {previous:?}"));
        let lease = probe.lease(&added, LONG).await;
        probe.release(&added, lease, LastAttempt::Failed).await;
        let value = probe.add(&added, b"added", LONG).await;
        assert_eq!(value, "added", "`add` must store a value under a key of which only an attempt is known");
    }
}

/// Checks that a lease ends with its term and can then be acquired by another caller.
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
/// cached_runtime::contract::lease_expiry(&MapStore::default()).await;
/// # }
/// ```
pub async fn lease_expiry(store: &dyn Store) {
    let probe = Probe::new(store, "lease_expiry");
    let names = ["late", "late with a value", "replaced", "late to extend"];
    let [late, late_with_value, replaced, late_to_extend] = names.map(|name| probe.key(name));
    probe.put(&late_with_value, b"old", LONG).await;

    let start = Instant::now();
    let lost = probe.lease(&late, SHORT).await;
    let lost_with_value = probe.lease(&late_with_value, SHORT).await;
    let lost_by_replaced = probe.lease(&replaced, SHORT).await;
    let lost_by_late_to_extend = probe.lease(&late_to_extend, SHORT).await;
    let deadline = Instant::now() + SHORT + MAX_EXPIRY_DELAY;

    sleep(SHORT / 2).await;
    let during = probe.acquire(&replaced, LONG, LeaseMode::Replace).await;
    if start.elapsed() < SHORT {
        assert_eq!(during.lease, None, "a lease must be held until its term is over");
    }
    let mut lease = during.lease;
    let mut poller = Poller::new(deadline, "a lease must end when its term is over");
    let lease = loop {
        match lease {
            Some(lease) => break lease,
            None => poller.tick().await,
        }
        lease = probe.acquire(&replaced, LONG, LeaseMode::IfAbsent).await.lease;
    };
    assert_rejected(
        &probe,
        &replaced,
        lost_by_replaced,
        None,
        "an expired lease that another caller has replaced",
    )
    .await;
    probe.release(&replaced, lost_by_replaced, LastAttempt::Unknown).await;
    assert!(
        !probe.extend(&replaced, lost_by_replaced, LONG).await,
        "`extend` must return false for a replaced lease"
    );
    assert!(
        probe.fill(&replaced, lease, b"new", LONG).await,
        "the caller that replaces an expired lease must be able to fill"
    );
    assert_rejected(
        &probe,
        &replaced,
        lost_by_replaced,
        Some(b"new"),
        "a lost lease of a key that another caller has filled",
    )
    .await;

    sleep_until(deadline).await;
    assert_rejected(&probe, &late, lost, None, "a lease whose term is over").await;
    assert_rejected(&probe, &late_with_value, lost_with_value, Some(b"old"), "a lease whose term is over")
        .await;
    let extended = probe.extend(&late_to_extend, lost_by_late_to_extend, LONG).await;
    assert!(!extended, "`extend` must return false after the term");
    for key in [&late, &late_with_value, &late_to_extend] {
        assert!(!probe.is_leased(key).await, "an expired lease must be granted to the next caller");
    }
}

/// Checks that a fill with a lost lease is rejected and changes nothing.
async fn assert_rejected(probe: &Probe<'_>, key: &Key, lost: Lease, present: Option<&[u8]>, lease: &str) {
    assert!(!probe.fill(key, lost, b"outdated", LONG).await, "`fill` must be rejected with {lease}");
    let value = probe.get(key).await;
    assert_eq!(value.as_deref(), present, "a rejected `fill` must store nothing, with {lease}");
}
