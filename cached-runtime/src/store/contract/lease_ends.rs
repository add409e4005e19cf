//! The clauses about how long leases last, and how they end.

use tokio::time::{Instant, sleep, sleep_until};

use super::probe::Probe;
use super::time::{LONG, MAX_EXPIRY_DELAY, Poller, SHORT};
use crate::{LastAttempt, Lease, LeaseMode, Store};

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
    probe.assert_rejected(&key, released, None, "a lease that was released").await;
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
    probe
        .assert_rejected(
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
    probe
        .assert_rejected(
            &replaced,
            lost_by_replaced,
            Some(b"new"),
            "a lost lease of a key that another caller has filled",
        )
        .await;

    sleep_until(deadline).await;
    probe.assert_rejected(&late, lost, None, "a lease whose term is over").await;
    probe
        .assert_rejected(&late_with_value, lost_with_value, Some(b"old"), "a lease whose term is over")
        .await;
    let extended = probe.extend(&late_to_extend, lost_by_late_to_extend, LONG).await;
    assert!(!extended, "`extend` must return false after the term");
    for key in [&late, &late_with_value, &late_to_extend] {
        assert!(!probe.is_leased(key).await, "an expired lease must be granted to the next caller");
    }
}
