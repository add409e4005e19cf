//! The clauses about values.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::concurrency::{CALLERS, boxed, drop_after, join_all};
use super::probe::Probe;
use super::time::{LONG, MAX_EXPIRY_DELAY, Poller, SHORT};
use crate::{Key, LastAttempt, Lease, LeaseMode, Store, ValueId};

/// Checks that a value is returned unchanged until it is replaced or removed.
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
/// cached_runtime::contract::get_and_put(&MapStore::default()).await;
/// # }
/// ```
pub async fn get_and_put(store: &dyn Store) {
    let probe = Probe::new(store, "get_and_put");
    let key = probe.key("key");
    assert_eq!(probe.get(&key).await, None, "a key that was never written must have no value");
    probe.remove(&key).await; // Removing a missing value is not an error.

    probe.put(&key, b"first", LONG).await;
    assert_eq!(
        probe.get(&key).await.as_deref(),
        Some(&b"first"[..]),
        "`get` must return the value that was `put`"
    );
    probe.put(&key, b"second", LONG).await;
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"second"[..]), "`put` must replace the value");
    probe.remove(&key).await;
    assert_eq!(probe.get(&key).await, None, "`remove` must remove the value");

    for (name, value) in payloads() {
        probe.put(&key, &value, LONG).await;
        assert!(
            probe.get(&key).await.as_deref() == Some(&value),
            "{name} must be returned unchanged after `put`"
        );
        let lease = probe.lease(&key, LONG).await;
        probe.fill(&key, lease, &value, LONG).await;
        assert!(
            probe.get(&key).await.as_deref() == Some(&value),
            "{name} must be returned unchanged after `fill`"
        );
        let found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
        assert!(found.is_filled, "`acquire` must say that the key has a value, for {name}");
        let same = LeaseMode::IfUnchanged(ValueId::of(&value));
        assert!(
            probe.acquire(&key, LONG, same).await.lease.is_some(),
            "`acquire` with `IfUnchanged` must grant the lease of a key with that value, for {name}"
        );
        probe.remove(&key).await;
    }

    assert_eq!(probe.get_all(&[]).await, [] as [Option<Bytes>; 0], "`get` must return no values for no keys");
    let keys: Vec<Key> = (0..200).map(|n| probe.key(&format!("one of many {n}"))).collect();
    let mut expected = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        let value = (n % 3 != 0).then(|| Bytes::from(format!("value {n}")));
        if let Some(value) = &value {
            probe.put(key, value, LONG).await;
        }
        expected.push(value);
    }
    assert_eq!(
        probe.get_all(&keys).await,
        expected,
        "`get` must return the values in the order of the keys, and `None` for a key without a value"
    );
    let twice = [keys[1].clone(), keys[2].clone(), keys[1].clone()];
    let expected = [expected[1].clone(), expected[2].clone(), expected[1].clone()];
    assert_eq!(
        probe.get_all(&twice).await,
        expected,
        "`get` must return a value for every occurrence of a key"
    );
}

/// Checks that a value expires after its ttl, and not without one.
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
/// cached_runtime::contract::expiry(&MapStore::default()).await;
/// # }
/// ```
pub async fn expiry(store: &dyn Store) {
    let probe = Probe::new(store, "expiry");
    let [put, filled, kept, again] = ["put", "filled", "kept", "put again"].map(|name| probe.key(name));
    let [put_shortly, filled_shortly] =
        ["put with the shortest ttl", "filled with it"].map(|name| probe.key(name));
    let leases = (probe.lease(&filled, LONG).await, probe.lease(&filled_shortly, LONG).await);

    let start = Instant::now();
    probe.put(&put, b"value", SHORT).await;
    assert!(
        probe.fill(&filled, leases.0, b"value", SHORT).await,
        "`fill` must succeed for the holder of the lease"
    );
    probe.put(&kept, b"value", SHORT).await;
    probe.put(&kept, b"value", None).await;
    probe.put(&again, b"value", SHORT).await;
    probe.put(&again, b"value", LONG).await;
    probe.put(&put_shortly, b"value", Duration::from_nanos(1)).await;
    probe.fill(&filled_shortly, leases.1, b"value", Duration::from_nanos(1)).await;
    let all_stored = Instant::now();

    sleep(SHORT / 2).await;
    let values = probe.get_all(&[put.clone(), filled.clone()]).await;
    if start.elapsed() < SHORT {
        assert!(values.iter().all(Option::is_some), "a value must not expire before its ttl");
    }

    let deadline = all_stored + SHORT + MAX_EXPIRY_DELAY;
    let mut poller = Poller::new(deadline, "a value that was `put` must expire after its ttl");
    while probe.get(&put).await.is_some() {
        poller.tick().await;
    }
    let mut poller = Poller::new(deadline, "a value that was filled must expire after its ttl");
    while probe.get(&filled).await.is_some() {
        poller.tick().await;
    }
    let expired = probe.acquire(&put, LONG, LeaseMode::IfAbsent).await;
    assert!(!expired.is_filled, "`acquire` must not find an expired value");
    assert!(expired.lease.is_some(), "`acquire` must grant the lease of a key whose value has expired");

    sleep_until(deadline).await;
    assert!(probe.get(&kept).await.is_some(), "a value that was `put` without a ttl must not expire");
    assert!(probe.get(&again).await.is_some(), "`put` must replace the ttl too");
    for key in [put_shortly, filled_shortly] {
        assert_eq!(probe.get(&key).await, None, "a value with the shortest ttl must expire too");
    }
    probe.remove(&kept).await;

    for (name, ttl) in [("60 days", Duration::from_secs(60 * 24 * 3600)), ("`Duration::MAX`", Duration::MAX)]
    {
        let key = probe.key(name);
        probe.put(&key, b"value", ttl).await;
        assert!(probe.get(&key).await.is_some(), "a value with a ttl of {name} must be present after `put`");
        let lease = probe.lease(&key, LONG).await;
        assert!(
            probe.fill(&key, lease, b"value", ttl).await,
            "`fill` must succeed for the holder of the lease"
        );
        assert!(probe.get(&key).await.is_some(), "a value with a ttl of {name} must be present after `fill`");
        probe.remove(&key).await;
    }
}

/// Checks that `add` stores only the first value and returns it to all callers.
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
/// cached_runtime::contract::add(&MapStore::default()).await;
/// # }
/// ```
pub async fn add(store: &dyn Store) {
    let probe = Probe::new(store, "add");
    let key = probe.key("key");
    assert_eq!(probe.add(&key, b"first", None).await, "first", "`add` must return the value that it stored");
    assert_eq!(probe.add(&key, b"second", None).await, "first", "`add` must return the present value");
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"first"[..]), "`add` must not replace a value");

    let put = probe.key("put");
    probe.put(&put, b"put", LONG).await;
    assert_eq!(probe.add(&put, b"added", None).await, "put", "`add` must not replace a value that was `put`");

    let leased = probe.key("leased");
    probe.lease(&leased, LONG).await;
    assert_eq!(
        probe.add(&leased, b"added", None).await,
        "added",
        "a lease is not a value: `add` must store despite it"
    );
    assert_eq!(
        probe.get(&leased).await.as_deref(),
        Some(&b"added"[..]),
        "`add` must store a value despite a lease"
    );

    let concurrent = probe.key("concurrent");
    let values: Vec<String> = (0..CALLERS).map(|n| n.to_string()).collect();
    let calls = values.iter().map(|value| boxed(probe.add(&concurrent, value.as_bytes(), None))).collect();
    let added = join_all(calls).await;
    let stored =
        probe.get(&concurrent).await.expect("`add` must store the value of one of the concurrent callers");
    assert!(
        added.iter().all(|value| *value == stored),
        "`add` must return the same value to all concurrent callers"
    );

    let brief = probe.key("brief");
    assert_eq!(
        probe.add(&brief, b"brief", SHORT).await,
        "brief",
        "`add` must return the value that it stored"
    );
    assert_eq!(
        probe.get(&brief).await.as_deref(),
        Some(&b"brief"[..]),
        "`add` must store a value with a ttl"
    );
    sleep(SHORT + MAX_EXPIRY_DELAY).await;
    assert!(probe.get(&key).await.is_some(), "a value that was added without a ttl must not expire");
    assert_eq!(probe.get(&brief).await, None, "a value that was added with a ttl must expire after it");
    for key in [key, put, leased, concurrent] {
        probe.remove(&key).await;
    }
}

/// Checks that an operation on one key does not affect other keys.
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
/// cached_runtime::contract::key_isolation(&MapStore::default()).await;
/// # }
/// ```
pub async fn key_isolation(store: &dyn Store) {
    let probe = Probe::new(store, "key_isolation");
    let name = probe.key("key").to_string();
    let longest = "n".repeat(Key::MAX_LEN);
    let similar = [
        probe.key("a"),
        probe.key("b"),
        Key::from_bytes(&name, b"a"),
        Key::from_bytes(&name.to_uppercase(), b"a"),
        Key::from_bytes(&format!("{name}{longest}1"), b"a"),
        Key::from_bytes(&format!("{name}{longest}2"), b"a"),
        Key::from_bytes(&format!("{name}_-.:<>,&"), b"a"),
    ];
    let leases = join_all(similar.iter().map(|key| boxed(probe.lease(key, LONG))).collect()).await;
    assert!(
        probe.get_all(&similar).await.iter().all(Option::is_none),
        "a key that is only leased must have no value"
    );
    for (n, key) in similar.iter().enumerate() {
        let filled = probe.fill(key, leases[n], n.to_string().as_bytes(), LONG).await;
        assert!(filled, "a lease must apply to its own key only");
    }
    let values: Vec<_> = (0..similar.len()).map(|n| Some(Bytes::from(n.to_string()))).collect();
    assert_eq!(probe.get_all(&similar).await, values, "every key must have a value of its own");

    probe.lease(&similar[1], LONG).await;
    probe.remove(&similar[0]).await;
    probe.put(&similar[2], b"put", LONG).await;
    assert!(probe.is_leased(&similar[1]).await, "`put` and `remove` must not end the lease of another key");
    let rest = probe.get_all(&similar[3..]).await;
    assert_eq!(rest, values[3..], "`put` and `remove` must not change another key");
}

/// Checks that dropped futures leave the store usable.
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
/// cached_runtime::contract::cancellation(&MapStore::default()).await;
/// # }
/// ```
pub async fn cancellation(store: &dyn Store) {
    let probe = Probe::new(store, "cancellation");
    let value = Bytes::from(vec![b'd'; 20_000]);
    for n in 0..40 {
        let (dropped, used) = (probe.key(&format!("dropped {n}")), probe.key(&format!("used {n}")));
        let lease = probe.lease(&dropped, LONG).await;
        let own = format!("value {n}");
        probe.put(&used, own.as_bytes(), LONG).await;

        let polls = n % 8; // A call with several steps is dropped in each of them.
        drop_after(polls, store.get(std::slice::from_ref(&dropped))).await;
        drop_after(polls, store.extend(&dropped, &lease, LONG)).await;
        drop_after(polls, store.fill(&dropped, lease, value.clone(), LONG)).await;
        drop_after(polls, store.acquire(&dropped, Lease::random(), SHORT, LeaseMode::Replace)).await;
        drop_after(polls, store.release(&dropped, lease, LastAttempt::Unknown)).await;
        drop_after(polls, store.put(&dropped, value.clone(), Some(LONG))).await;
        drop_after(polls, store.watch(&dropped)).await;
        drop_after(polls, store.remove(&dropped)).await;
        drop_after(polls, store.add(&dropped, value.clone(), None)).await;
        drop_after(polls, store.get(std::slice::from_ref(&dropped))).await;
        assert_eq!(
            probe.get(&used).await,
            Some(own.into()),
            "a dropped call must not affect the results of later calls"
        );
        let found = probe.get(&dropped).await;
        assert!(
            found.is_none_or(|found| found == value),
            "a dropped call must take effect completely or not at all"
        );
        probe.remove(&dropped).await;
    }
    let free = probe.key("dropped acquire");
    drop_after(1, store.acquire(&free, Lease::random(), SHORT, LeaseMode::IfAbsent)).await;
    let deadline = Instant::now() + SHORT + MAX_EXPIRY_DELAY;
    let mut poller = Poller::new(deadline, "a lease whose `acquire` was dropped must end after its term");
    while probe.is_leased(&free).await {
        poller.tick().await;
    }
}

/// Returns values that a protocol could damage, with their descriptions.
fn payloads() -> [(&'static str, Vec<u8>); 5] {
    [
        ("one byte", vec![0]),
        ("every byte", (0..=u8::MAX).collect()),
        ("a value that looks like a protocol", b"\r\nEND\r\n$-1\r\nHD\r\n*2\r\nEN\r\n".to_vec()),
        ("the word nil", b"(nil)".to_vec()),
        (
            "a value of 100 KiB",
            (0..100 * 1024_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]).collect(),
        ),
    ]
}
