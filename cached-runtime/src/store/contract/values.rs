//! The clauses about values.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::concurrency::{CROWD, boxed, drop_after, together};
use super::probe::Probe;
use super::time::{LATE, LONG, Patience, SHORT};
use crate::{Key, LeaseMode, Store};

/// What is put is what is got, until it is put again or removed.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::storing(&MapStore::default()).await;
/// # }
/// ```
pub async fn storing(store: &dyn Store) {
    let probe = Probe::new(store, "storing");
    let key = probe.key("key");
    assert_eq!(probe.get(&key).await, None, "a key that was never written has to have no value");
    probe.remove(&key).await; // There is nothing to remove, and that is no error.

    probe.put(&key, b"first", LONG).await;
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"first"[..]), "`get` has to return what was `put`");
    probe.put(&key, b"second", LONG).await;
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"second"[..]), "`put` has to replace the value");
    probe.remove(&key).await;
    assert_eq!(probe.get(&key).await, None, "`remove` has to remove the value");

    for (name, value) in payloads() {
        probe.put(&key, &value, LONG).await;
        assert!(
            probe.get(&key).await.as_deref() == Some(&value),
            "{name} has to come back from `put` as it was"
        );
        let lease = probe.lease(&key, LONG).await;
        probe.fill(&key, lease, &value, LONG).await;
        assert!(
            probe.get(&key).await.as_deref() == Some(&value),
            "{name} has to come back from `fill` as it was"
        );
        let value_found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await.value;
        assert!(value_found.as_deref() == Some(&value), "{name} has to come back from `acquire` as it was");
        probe.remove(&key).await;
    }

    assert_eq!(probe.get_all(&[]).await, [] as [Option<Bytes>; 0], "`get` of no keys has to return nothing");
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
        "`get` has to return the values in the order of the keys, `None` where there is none"
    );
    let twice = [keys[1].clone(), keys[2].clone(), keys[1].clone()];
    let expected = [expected[1].clone(), expected[2].clone(), expected[1].clone()];
    assert_eq!(
        probe.get_all(&twice).await,
        expected,
        "`get` has to answer for a key as often as it is asked"
    );
}

/// A value stays for its ttl and then goes; without one it stays.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::expiring(&MapStore::default()).await;
/// # }
/// ```
pub async fn expiring(store: &dyn Store) {
    let probe = Probe::new(store, "expiring");
    let [put, filled, kept, again] = ["put", "filled", "kept", "put again"].map(|name| probe.key(name));
    let [put_shortly, filled_shortly] =
        ["put with the shortest ttl", "filled with it"].map(|name| probe.key(name));
    let leases = (probe.lease(&filled, LONG).await, probe.lease(&filled_shortly, LONG).await);

    let start = Instant::now();
    probe.put(&put, b"value", SHORT).await;
    assert!(probe.fill(&filled, leases.0, b"value", SHORT).await, "`fill` has to be taken from the holder");
    probe.put(&kept, b"value", SHORT).await;
    probe.put(&kept, b"value", None).await;
    probe.put(&again, b"value", SHORT).await;
    probe.put(&again, b"value", LONG).await;
    probe.put(&put_shortly, b"value", Duration::from_nanos(1)).await;
    probe.fill(&filled_shortly, leases.1, b"value", Duration::from_nanos(1)).await;
    let all_put = Instant::now();

    sleep(SHORT / 2).await;
    let values = probe.get_all(&[put.clone(), filled.clone()]).await;
    if start.elapsed() < SHORT {
        assert!(values.iter().all(Option::is_some), "a value has to stay until its ttl is over");
    }

    let by = all_put + SHORT + LATE;
    let mut patience = Patience::new(by, "a value that was `put` has to go when its ttl is over");
    while probe.get(&put).await.is_some() {
        patience.wait().await;
    }
    let mut patience = Patience::new(by, "a value that was filled has to go when its ttl is over");
    while probe.get(&filled).await.is_some() {
        patience.wait().await;
    }
    let expired = probe.acquire(&put, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(expired.value, None, "`acquire` has to find no value that has expired");
    assert!(expired.lease.is_some(), "`acquire` has to give the lease on a key whose value has expired");

    sleep_until(by).await;
    assert!(probe.get(&kept).await.is_some(), "a value that was `put` without a ttl has to stay");
    assert!(probe.get(&again).await.is_some(), "`put` has to replace the ttl too");
    for key in [put_shortly, filled_shortly] {
        assert_eq!(probe.get(&key).await, None, "a value with the shortest ttl has to go too");
    }
    probe.remove(&kept).await;

    for (name, ttl) in [("60 days", Duration::from_secs(60 * 24 * 3600)), ("for ever", Duration::MAX)] {
        let key = probe.key(name);
        probe.put(&key, b"value", ttl).await;
        assert!(probe.get(&key).await.is_some(), "a value with a ttl of {name} has to stay after `put`");
        let lease = probe.lease(&key, LONG).await;
        assert!(probe.fill(&key, lease, b"value", ttl).await, "`fill` has to be taken from the holder");
        assert!(probe.get(&key).await.is_some(), "a value with a ttl of {name} has to stay after `fill`");
        probe.remove(&key).await;
    }
}

/// The first value that is added stays, and everybody learns it.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::adding(&MapStore::default()).await;
/// # }
/// ```
pub async fn adding(store: &dyn Store) {
    let probe = Probe::new(store, "adding");
    let key = probe.key("key");
    assert_eq!(
        probe.add(&key, b"first", None).await,
        "first",
        "`add` has to return the value that it stored"
    );
    assert_eq!(
        probe.add(&key, b"second", None).await,
        "first",
        "`add` has to return the value that is there"
    );
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"first"[..]), "`add` has to leave a value as it is");

    let put = probe.key("put");
    probe.put(&put, b"put", LONG).await;
    assert_eq!(probe.add(&put, b"added", None).await, "put", "`add` has to leave what was `put`");

    let leased = probe.key("leased");
    probe.lease(&leased, LONG).await;
    assert_eq!(
        probe.add(&leased, b"added", None).await,
        "added",
        "a lease is no value: `add` has to store over it"
    );
    assert_eq!(probe.get(&leased).await.as_deref(), Some(&b"added"[..]), "`add` has to store over a lease");

    let crowded = probe.key("crowded");
    let values: Vec<String> = (0..CROWD).map(|n| n.to_string()).collect();
    let calls = values.iter().map(|value| boxed(probe.add(&crowded, value.as_bytes(), None))).collect();
    let added = together(calls).await;
    let stored =
        probe.get(&crowded).await.expect("`add` has to store the value of one of those who come at once");
    assert!(
        added.iter().all(|value| *value == stored),
        "`add` has to return the same value to all who come at once"
    );

    let brief = probe.key("brief");
    assert_eq!(
        probe.add(&brief, b"brief", SHORT).await,
        "brief",
        "`add` has to return the value that it stored"
    );
    assert_eq!(
        probe.get(&brief).await.as_deref(),
        Some(&b"brief"[..]),
        "`add` has to store a value with a ttl"
    );
    sleep(SHORT + LATE).await;
    assert!(probe.get(&key).await.is_some(), "what was added without a ttl has to stay");
    assert_eq!(probe.get(&brief).await, None, "what was added with a ttl has to go when it is over");
    for key in [key, put, leased, crowded] {
        probe.remove(&key).await;
    }
}

/// What is done to one key changes no other.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::separating(&MapStore::default()).await;
/// # }
/// ```
pub async fn separating(store: &dyn Store) {
    let probe = Probe::new(store, "separating");
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
    let leases = together(similar.iter().map(|key| boxed(probe.lease(key, LONG))).collect()).await;
    assert!(
        probe.get_all(&similar).await.iter().all(Option::is_none),
        "a key that is only leased has to have no value"
    );
    for (n, key) in similar.iter().enumerate() {
        let filled = probe.fill(key, leases[n], n.to_string().as_bytes(), LONG).await;
        assert!(filled, "a lease has to be one on its own key only");
    }
    let values: Vec<_> = (0..similar.len()).map(|n| Some(Bytes::from(n.to_string()))).collect();
    assert_eq!(probe.get_all(&similar).await, values, "every key has to have a value of its own");

    probe.lease(&similar[1], LONG).await;
    probe.remove(&similar[0]).await;
    probe.put(&similar[2], b"put", LONG).await;
    assert!(probe.leased(&similar[1]).await, "`put` and `remove` have to end no lease on another key");
    let rest = probe.get_all(&similar[3..]).await;
    assert_eq!(rest, values[3..], "`put` and `remove` have to change no other key");
}

/// Futures that are dropped half way leave the store usable.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::dropping(&MapStore::default()).await;
/// # }
/// ```
pub async fn dropping(store: &dyn Store) {
    let probe = Probe::new(store, "dropping");
    let value = Bytes::from(vec![b'd'; 20_000]);
    for n in 0..40 {
        let (dropped, used) = (probe.key(&format!("dropped {n}")), probe.key(&format!("used {n}")));
        let lease = probe.lease(&dropped, LONG).await;
        let own = format!("value {n}");
        probe.put(&used, own.as_bytes(), LONG).await;

        let polls = n % 8; // Calls of many stages are dropped at each of them.
        drop_after(polls, store.get(std::slice::from_ref(&dropped))).await;
        drop_after(polls, store.extend(&dropped, &lease, LONG)).await;
        drop_after(polls, store.fill(&dropped, lease, value.clone(), LONG)).await;
        drop_after(polls, store.acquire(&dropped, SHORT, LeaseMode::Replace)).await;
        drop_after(polls, store.release(&dropped, lease)).await;
        drop_after(polls, store.put(&dropped, value.clone(), Some(LONG))).await;
        drop_after(polls, store.watch(&dropped)).await;
        drop_after(polls, store.remove(&dropped)).await;
        drop_after(polls, store.add(&dropped, value.clone(), None)).await;
        drop_after(polls, store.get(std::slice::from_ref(&dropped))).await;
        assert_eq!(
            probe.get(&used).await,
            Some(own.into()),
            "a call that was dropped has to leave the answers of later ones as they are"
        );
        let found = probe.get(&dropped).await;
        assert!(
            found.is_none_or(|found| found == value),
            "a call that was dropped has to take effect as a whole or not at all"
        );
        probe.remove(&dropped).await;
    }
    let free = probe.key("dropped acquire");
    drop_after(1, store.acquire(&free, SHORT, LeaseMode::IfAbsent)).await;
    let by = Instant::now() + SHORT + LATE;
    let mut patience = Patience::new(by, "a lease whose `acquire` was dropped has to end after its term");
    while probe.leased(&free).await {
        patience.wait().await;
    }
}

fn payloads() -> [(&'static str, Vec<u8>); 5] {
    [
        ("one byte", vec![0]),
        ("every byte", (0..=u8::MAX).collect()),
        ("what looks like a protocol", b"\r\nEND\r\n$-1\r\nHD\r\n*2\r\nEN\r\n".to_vec()),
        ("the word nil", b"(nil)".to_vec()),
        (
            "a value of 100 KiB",
            (0..100 * 1024_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]).collect(),
        ),
    ]
}
