//! The Memcached store, against real servers and against listeners that are no Memcached.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cached_runtime::{
    Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Memcached, MemcachedConfig, Result, Store, contract,
};
use cached_tests::proxy::{Proxy, Replies};
use cached_tests::server::MemcachedServer;

use crate::support::acquire;

/// The deadline of tests in which nothing hangs, on a busy machine.
const LONG_DEADLINE: Duration = Duration::from_secs(10);
/// The deadline of tests in which something hangs.
const DEADLINE: Duration = Duration::from_millis(100);
/// The time limit for "at once" and "within the deadline" on a busy machine.
const SOON: Duration = Duration::from_secs(2);
const TERM: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(60);

fn config(address: impl Into<String>) -> MemcachedConfig {
    MemcachedConfig::new(address).deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE)
}

fn store(address: impl Into<String>) -> Memcached {
    Memcached::new(config(address)).unwrap()
}

/// Creates a store with a short deadline.
fn with_short_deadline(address: impl Into<String>) -> Memcached {
    Memcached::new(MemcachedConfig::new(address).deadline(DEADLINE)).unwrap()
}

fn key(name: impl std::fmt::Display) -> Key {
    Key::new("memcached", &name.to_string()).unwrap()
}

/// Returns the key on the server.
fn wire(key: &Key) -> String {
    format!("cached:{key}")
}

async fn get(store: &Memcached, key: &Key) -> Result<Option<Vec<u8>>> {
    let values = store.get(std::slice::from_ref(key)).await?;
    Ok(values.into_iter().next().unwrap().map(Vec::from))
}

/// Repeats a call until it returns `Ok`.
async fn recovered<T>(mut call: impl AsyncFnMut() -> Result<T>) -> T {
    let start = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "does not recover: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_over_tcp() {
    let server = MemcachedServer::start();
    contract::check(&store(server.addr())).await;
}

#[tokio::test]
async fn it_keeps_the_contract_over_a_unix_socket() {
    let server = MemcachedServer::start_on_socket();
    contract::check(&store(server.addr())).await;
}

#[tokio::test]
async fn values_are_read_in_the_order_of_their_keys_in_one_round_trip() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    let keys: Vec<Key> = (0..500).map(key).collect();
    for key in keys.iter().step_by(2) {
        store.put(key, key.as_str().to_owned().into(), None).await.unwrap();
    }

    let before = server.stat("cmd_get");
    let values = store.get(&keys).await.unwrap();
    assert_eq!(server.stat("cmd_get") - before, 500);
    for (n, (key, value)) in keys.iter().zip(values).enumerate() {
        assert_eq!(value.as_deref(), (n % 2 == 0).then_some(key.as_str().as_bytes()));
    }
    assert!(store.get(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn values_of_every_size_come_back_as_they_were() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    for size in [1, 2, 4095, 4096, 4097, 16 * 1024, 100_000, (1 << 20) - (1 << 10)] {
        let value: Vec<u8> = b"\r\nEN\r\nVA 1".iter().copied().cycle().take(size).collect();
        let lease = acquire(&store, &key(size), TERM, LeaseMode::IfAbsent).await.unwrap();
        assert!(store.fill(&key(size), lease, value.clone().into(), TTL).await.unwrap());
        assert_eq!(get(&store, &key(size)).await.unwrap(), Some(value), "{size}");
    }
}

#[tokio::test]
async fn the_longest_key_and_prefix_fit() {
    let server = MemcachedServer::start();
    let store = Memcached::new(config(server.addr()).prefix("p".repeat(95))).unwrap();
    let key = Key::new(&"n".repeat(500), "").unwrap();
    store.put(&key, "value".into(), None).await.unwrap();
    let lease = acquire(&store, &key, TERM, LeaseMode::Replace).await.unwrap();
    assert!(store.fill(&key, lease, "new".into(), TTL).await.unwrap());
    assert_eq!(get(&store, &key).await.unwrap().unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_do_not_disturb_others() {
    let server = MemcachedServer::start();
    let store = Arc::new(store(server.addr()));
    let size = |n: usize| 2_000 + n * 937 % 58_000;
    for n in 0..64 {
        store.put(&key(n), vec![u8::try_from(n).unwrap(); size(n)].into(), None).await.unwrap();
    }

    let tasks: Vec<_> = (0..8_usize)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let (mut right, mut random) = (0, task as u64 + 1);
                for _ in 0..400 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let n = usize::try_from(random >> 58).unwrap();
                    let limit = Duration::from_micros(random >> 32 & 2047);
                    let keys = [key(n), key("nothing"), key(63 - n)];
                    let Ok(values) = tokio::time::timeout(limit, store.get(&keys)).await else { continue };
                    let values = values.unwrap();
                    for (at, n) in [(0, n), (2, 63 - n)] {
                        let value = values[at].as_ref().unwrap();
                        assert_eq!(value.len(), size(n));
                        assert!(value.iter().all(|&byte| usize::from(byte) == n));
                    }
                    assert_eq!(values[1], None);
                    right += 1;
                }
                right
            })
        })
        .collect();
    let mut right = 0;
    for task in tasks {
        right += task.await.unwrap();
    }
    assert!(
        right > 0 && right < 8 * 400,
        "{right} of 3200 calls completed: some should, and some should not"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_processes_gets_a_lease_in_both_modes() {
    let server = MemcachedServer::start();
    let stores: Vec<_> = (0..4).map(|_| Arc::new(store(server.addr()))).collect();
    for round in 0..20 {
        for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
            let key = key(format!("{round} {mode:?}"));
            if mode == LeaseMode::Replace {
                stores[0].put(&key, "old".into(), None).await.unwrap();
            }
            let tasks: Vec<_> = (0..40)
                .map(|n| {
                    let (store, key) = (Arc::clone(&stores[n % 4]), key.clone());
                    tokio::spawn(async move { acquire(&store, &key, TERM, mode).await })
                })
                .collect();
            let mut leases = Vec::new();
            for task in tasks {
                leases.extend(task.await.unwrap());
            }
            assert_eq!(leases.len(), 1, "{mode:?}");
            assert!(stores[3].fill(&key, leases[0], "new".into(), TTL).await.unwrap());
            assert_eq!(get(&stores[1], &key).await.unwrap().unwrap(), b"new");
        }
    }
}

#[tokio::test]
async fn an_expired_lease_is_replaced_and_cannot_fill() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    store.put(&key("Replace"), "old".into(), None).await.unwrap();
    for (mode, name) in [(LeaseMode::IfAbsent, "IfAbsent"), (LeaseMode::Replace, "Replace")] {
        let key = key(name);
        let start = Instant::now();
        let expired = acquire(&store, &key, Duration::from_millis(300), mode).await.unwrap();
        let next = loop {
            assert!(start.elapsed() < Duration::from_secs(20), "the expired lease is not replaced: {name}");
            if let Some(lease) = acquire(&store, &key, TERM, mode).await {
                break lease;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(start.elapsed() >= Duration::from_millis(300), "a lease ended early");
        assert!(!store.extend(&key, &expired, TERM).await.unwrap());
        assert!(!store.fill(&key, expired, "late".into(), TTL).await.unwrap());
        store.release(&key, expired, LastAttempt::Unknown).await.unwrap();
        assert!(store.extend(&key, &next, TERM).await.unwrap());
        assert!(store.fill(&key, next, "new".into(), TTL).await.unwrap());
        assert_eq!(get(&store, &key).await.unwrap().unwrap(), b"new");
    }
}

#[tokio::test]
async fn a_lease_over_a_value_ends_when_the_value_changes() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    for change in ["put", "remove", "evicted"] {
        let key = key(change);
        store.put(&key, "old".into(), None).await.unwrap();
        let lease = acquire(&store, &key, TERM, LeaseMode::Replace).await.unwrap();
        match change {
            "put" => store.put(&key, "put".into(), None).await.unwrap(),
            "remove" => store.remove(&key).await.unwrap(),
            _ => assert_eq!(server.command(&format!("md {}", wire(&key))), "HD"),
        }
        let there = get(&store, &key).await.unwrap();
        assert!(!store.extend(&key, &lease, TERM).await.unwrap(), "{change}");
        assert!(!store.fill(&key, lease, "late".into(), TTL).await.unwrap(), "{change}");
        assert_eq!(get(&store, &key).await.unwrap(), there, "{change}");
    }
}

#[tokio::test]
async fn the_lease_is_free_after_a_change() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    for change in ["put", "remove", "release"] {
        let key = key(change);
        store.put(&key, "old".into(), None).await.unwrap();
        let lease = acquire(&store, &key, TERM, LeaseMode::Replace).await.unwrap();
        match change {
            "put" => store.put(&key, "put".into(), None).await.unwrap(),
            "remove" => store.remove(&key).await.unwrap(),
            _ => store.release(&key, lease, LastAttempt::Unknown).await.unwrap(),
        }
        store.add(&key, "value".into(), None).await.unwrap();
        let next = acquire(&store, &key, TERM, LeaseMode::Replace).await;
        assert!(next.is_some(), "{change}");
        assert!(!store.fill(&key, lease, "late".into(), TTL).await.unwrap(), "{change}");
    }
}

#[tokio::test]
async fn a_lease_is_extended_and_ended_without_reading_the_value() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    let key = key("unread");
    store.put(&key, vec![1; 900_000].into(), None).await.unwrap();
    for is_filled in [false, true] {
        let lease = acquire(&store, &key, TERM, LeaseMode::Replace).await.unwrap();
        let before = server.stat("bytes_written");
        assert!(store.extend(&key, &lease, TERM).await.unwrap());
        if is_filled {
            assert!(store.fill(&key, lease, "new".into(), TTL).await.unwrap());
        } else {
            store.release(&key, lease, LastAttempt::Failed).await.unwrap();
        }
        let sent = server.stat("bytes_written") - before;
        assert!(sent < 100_000, "the server sent {sent} bytes");
    }
}

#[tokio::test]
async fn an_extended_lease_leaves_the_ttl_of_a_value_alone() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    let key = key("ttl");
    let ttl = || server.command(&format!("mg {} t", wire(&key)));
    store.put(&key, "value".into(), None).await.unwrap();
    let lease = acquire(&store, &key, TERM, LeaseMode::Replace).await.unwrap();
    assert!(store.extend(&key, &lease, TERM).await.unwrap());
    assert_eq!(ttl(), "HD t-1");

    store.remove(&key).await.unwrap();
    let lease = acquire(&store, &key, TERM, LeaseMode::IfAbsent).await.unwrap();
    store.put(&key, "value".into(), None).await.unwrap();
    assert!(!store.extend(&key, &lease, TERM).await.unwrap());
    assert_eq!(ttl(), "HD t-1");
}

#[tokio::test]
async fn a_value_that_is_too_large_is_rejected_and_its_lease_released() {
    let server = MemcachedServer::start();
    let small = Memcached::new(config(server.addr()).max_value_bytes(1000)).unwrap();
    let key = key("large");
    small.put(&key, vec![1; 1000].into(), None).await.unwrap();
    let error = small.put(&key, vec![2; 1001].into(), None).await.unwrap_err();
    assert!(error.is_too_large());
    assert_eq!(get(&small, &key).await.unwrap(), Some(vec![1; 1000]), "nothing was sent");

    for mode in [LeaseMode::Replace, LeaseMode::IfAbsent] {
        let lease = acquire(&small, &key, TERM, mode).await.unwrap();
        assert!(small.fill(&key, lease, vec![2; 1001].into(), TTL).await.unwrap_err().is_too_large());
        assert!(!small.fill(&key, lease, vec![2; 1].into(), TTL).await.unwrap(), "the lease has ended");
        assert!(acquire(&small, &key, TERM, mode).await.is_some(), "the lease is free");
        small.remove(&key).await.unwrap();
    }

    // The limit of the store is higher than that of the server.
    let large = Memcached::new(config(server.addr()).max_value_bytes(1 << 21)).unwrap();
    large.put(&key, "old".into(), None).await.unwrap();
    let error = large.put(&key, vec![3; 1 << 20].into(), None).await.unwrap_err();
    assert!(error.is_too_large(), "{error:?}");
    assert_eq!(
        get(&large, &key).await.unwrap(),
        None,
        "the server removes the value that was to be replaced"
    );
}

#[tokio::test]
async fn an_empty_value_is_a_value() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    let [put, added, filled] = ["put", "added", "filled"].map(key);
    store.put(&put, "".into(), None).await.unwrap();
    store.add(&added, "".into(), None).await.unwrap();
    let lease = acquire(&store, &filled, TERM, LeaseMode::IfAbsent).await.unwrap();
    assert!(store.fill(&filled, lease, "".into(), TTL).await.unwrap());
    for key in [put, added, filled] {
        assert_eq!(get(&store, &key).await.unwrap(), Some(Vec::new()));
        assert_eq!(store.add(&key, "other".into(), None).await.unwrap(), "");
        assert!(acquire(&store, &key, TERM, LeaseMode::IfAbsent).await.is_none());
        assert!(acquire(&store, &key, TERM, LeaseMode::Replace).await.is_some());
    }
}

#[tokio::test]
async fn an_extension_that_crosses_a_fill_does_not_end_the_lease() {
    let server = MemcachedServer::start();
    let store = store(server.addr());
    for previous in [false, true] {
        for round in 0..200 {
            let key = key(format!("crossed {previous} {round}"));
            if previous {
                store.put(&key, "old".into(), None).await.unwrap();
            }
            let lease = acquire(&store, &key, TERM, LeaseMode::Replace).await.unwrap();
            let (extended, filled) =
                tokio::join!(store.extend(&key, &lease, TERM), store.fill(&key, lease, "new".into(), TTL));
            extended.unwrap();
            assert!(filled.unwrap(), "{previous} {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_fail_when_the_server_is_killed_and_work_when_it_is_back() {
    let mut server = MemcachedServer::start();
    let store = Arc::new(store(server.addr()));
    let value = vec![7; 50_000];
    store.put(&key("a"), value.clone().into(), None).await.unwrap();

    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, value) = (Arc::clone(&store), value.clone());
            tokio::spawn(async move {
                loop {
                    match get(&store, &key("a")).await {
                        Ok(got) => assert_eq!(got.as_ref(), Some(&value)),
                        Err(error) => return error,
                    }
                }
            })
        })
        .collect();
    while server.stat("cmd_get") < 100 {
        tokio::task::yield_now().await;
    }
    server.kill();
    let start = Instant::now();
    for task in tasks {
        let error = task.await.unwrap();
        assert!(error.is_unreachable(), "{error:?}");
    }
    assert!(start.elapsed() < SOON);

    // While the server is down, calls fail at once.
    let start = Instant::now();
    for _ in 0..100 {
        assert!(get(&store, &key("a")).await.unwrap_err().is_unreachable());
    }
    assert!(start.elapsed() < SOON);

    server.restart();
    assert_eq!(recovered(async || get(&store, &key("a")).await).await, None, "a new server is empty");
}

#[tokio::test]
async fn a_lease_from_before_a_restart_is_invalid() {
    let mut server = MemcachedServer::start();
    let store = store(server.addr());
    let key = key("restarted");
    let old = acquire(&store, &key, TERM, LeaseMode::IfAbsent).await.unwrap();
    server.restart();
    // The versions start from 1 again.
    let new = Lease::random();
    recovered(async || store.acquire(&key, new, TERM, LeaseMode::IfAbsent).await).await;

    assert!(!store.extend(&key, &old, TERM).await.unwrap());
    assert!(!store.fill(&key, old, "from before".into(), TTL).await.unwrap());
    store.release(&key, old, LastAttempt::Unknown).await.unwrap();
    assert!(store.fill(&key, new, "new".into(), TTL).await.unwrap());
}

#[tokio::test]
async fn a_lost_connection_costs_no_lease() {
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let store = store(proxy.addr());
    let key = key("cut");
    let lease = acquire(&store, &key, TERM, LeaseMode::IfAbsent).await.unwrap();
    proxy.cut();
    recovered(async || get(&store, &key).await).await;
    assert!(store.fill(&key, lease, "value".into(), TTL).await.unwrap());
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_stopped_server_costs_one_deadline_and_is_used_again_when_it_continues() {
    let server = MemcachedServer::start();
    let store = with_short_deadline(server.addr());
    recovered(async || store.put(&key("a"), "value".into(), None).await).await;
    server.stop();
    // The signal takes effect with a delay.
    let (error, took) = loop {
        let called = Instant::now();
        if let Err(error) = get(&store, &key("a")).await {
            break (error, called.elapsed());
        }
    };
    assert!(error.is_timeout(), "{error:?}");
    assert!(took >= DEADLINE && took < SOON);

    // Once the connection is closed and the server does not respond on a new one, calls fail at once.
    let start = Instant::now();
    while !get(&store, &key("a")).await.unwrap_err().is_unreachable() {
        assert!(start.elapsed() < Duration::from_secs(20), "calls still wait for the server");
    }
    let mut slow = 0;
    for _ in 0..100 {
        let called = Instant::now();
        get(&store, &key("a")).await.unwrap_err();
        slow += u32::from(called.elapsed() >= DEADLINE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(slow < 4, "{slow} of 100 calls waited for a stopped server");

    server.cont();
    let value = recovered(async || get(&store, &key("a")).await).await;
    assert_eq!(value.unwrap(), b"value");
}

#[tokio::test]
async fn a_black_hole_connection_is_replaced() {
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let store = with_short_deadline(proxy.addr());
    recovered(async || store.put(&key("a"), "value".into(), None).await).await;
    proxy.black_hole();
    assert!(get(&store, &key("a")).await.is_err());
    let value = recovered(async || get(&store, &key("a")).await).await;
    assert_eq!(value.unwrap(), b"value");
}

#[tokio::test]
async fn a_server_that_starts_later_is_used() {
    let mut server = MemcachedServer::start();
    server.kill();
    let store = store(server.addr());
    let start = Instant::now();
    assert!(get(&store, &key("a")).await.unwrap_err().is_unreachable());
    assert!(start.elapsed() < SOON);
    server.restart();
    recovered(async || store.put(&key("a"), "value".into(), None).await).await;
    assert_eq!(get(&store, &key("a")).await.unwrap().unwrap(), b"value");
}

#[test]
fn a_store_outlives_the_runtimes_that_use_it() {
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let store = store(proxy.addr());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    runtime().block_on(store.put(&key("a"), "value".into(), None)).unwrap();
    for _ in 0..3 {
        assert_eq!(runtime().block_on(get(&store, &key("a"))).unwrap().unwrap(), b"value");
    }

    // The first runtime is not driven while the second is used.
    let (idle, used) = (runtime(), runtime());
    for runtime in [&idle, &used, &used, &idle] {
        assert_eq!(runtime.block_on(get(&store, &key("a"))).unwrap().unwrap(), b"value");
    }
    assert_eq!(proxy.accepted(), 6, "one connection for each runtime");
}

#[tokio::test]
async fn a_dropped_store_closes_its_connection() {
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let store = store(proxy.addr());
    get(&store, &key("a")).await.unwrap();
    assert_eq!(proxy.open(), 1);
    drop(store);
    let start = Instant::now();
    while proxy.open() > 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the connection is still open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let store = Arc::new(store(proxy.addr()));
    let tasks: Vec<_> = (0..5000)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.put(&key(n), "value".into(), None).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn large_values_in_both_directions_do_not_deadlock() {
    let server = MemcachedServer::start();
    let store = Arc::new(store(server.addr()));
    let value = vec![1; 900_000];
    store.put(&key("read"), value.clone().into(), None).await.unwrap();
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let (store, value) = (Arc::clone(&store), value.clone());
            tokio::spawn(async move {
                if n % 2 == 0 {
                    store.put(&key(n), value.into(), None).await.unwrap();
                } else {
                    assert_eq!(
                        get(&store, &key("read")).await.unwrap().map_or(0, |value| value.len()),
                        900_000
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn corrupt_and_truncated_replies_are_errors_until_they_end() {
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let store = with_short_deadline(proxy.addr());
    let value = vec![5; 20_000];
    recovered(async || store.put(&key("a"), value.clone().into(), None).await).await;
    for broken in [Replies::Corrupt(1), Replies::Truncate(10_000), Replies::Truncate(3), Replies::Swallow] {
        proxy.replies(broken);
        let start = Instant::now();
        get(&store, &key("a")).await.unwrap_err();
        assert!(start.elapsed() < SOON, "{broken:?}");
        proxy.replies(Replies::Pass);
        let recovered_value = recovered(async || get(&store, &key("a")).await).await;
        assert_eq!(recovered_value.as_ref(), Some(&value), "{broken:?}");
    }
}

/// Starts a listener that gives one reply to every line and keeps the connection. Returns its address.
fn constant_server(does_handshake: bool, reply: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                    let bytes = if does_handshake && line.starts_with("stats") {
                        b"STAT pid 1\r\nEND\r\n"
                    } else {
                        reply
                    };
                    if stream.write_all(bytes).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_without_the_protocol_is_a_protocol_error() {
    for reply in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"-ERR unknown command\r\n",
        b"\0\xff\0\xff\r\n",
        b"\n\n\n",
        b"STAT version 1.4.39\r\nEND\r\n",
        b"END\r\nEND\r\n",
    ] {
        let store = store(constant_server(false, reply));
        let start = Instant::now();
        let error = get(&store, &key("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{}: {error:?}", reply.escape_ascii());
        assert!(start.elapsed() < SOON);
    }
}

#[tokio::test]
async fn invalid_replies_close_the_connection() {
    for reply in [
        &b"VA 18446744073709551615\r\n"[..],
        b"VA 4000000000 c1\r\n",
        b"VA -1\r\n",
        b"VA 5 c1\r\nhello!!",
        b"HD\r\n",
        b"EN\r\nEN\r\n",
        b"CLIENT_ERROR bad command line format\r\n",
        b"ERROR\r\n",
    ] {
        let store = store(constant_server(true, reply));
        let start = Instant::now();
        // A surplus reply is noticed after the reply before it.
        let first = get(&store, &key("a")).await;
        let error = first.err().unwrap_or_else(|| Error::new(ErrorKind::Protocol, "a surplus reply"));
        assert_eq!(error.kind(), ErrorKind::Protocol, "{}: {error:?}", reply.escape_ascii());
        assert!(start.elapsed() < SOON);
    }

    // These are valid replies: the connection stays.
    for (reply, kind) in [
        (&b"SERVER_ERROR out of memory storing object\r\n"[..], ErrorKind::Rejected),
        (b"SERVER_ERROR object too large for cache\r\n", ErrorKind::TooLarge),
    ] {
        let store = store(constant_server(true, reply));
        for _ in 0..3 {
            assert_eq!(get(&store, &key("a")).await.unwrap_err().kind(), kind);
        }
    }
}

#[tokio::test]
async fn a_silent_server_costs_one_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = with_short_deadline(listener.local_addr().unwrap().to_string());
    let start = Instant::now();
    assert!(get(&store, &key("a")).await.unwrap_err().is_timeout());
    assert!(start.elapsed() < SOON);
}

/// A memcached with authentication. The harness cannot tell when it is ready.
struct Locked {
    child: Child,
    dir: PathBuf,
}

impl Locked {
    fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("cached-memcached-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("users"), "reader:other\nuser:secret\n").unwrap();
        let child = Command::new("memcached")
            .args(["-u", "root", "-m", "64", "-Y"])
            .arg(dir.join("users"))
            .arg("-s")
            .arg(dir.join("socket"))
            .spawn()
            .unwrap();
        Self { child, dir }
    }

    fn config(&self) -> MemcachedConfig {
        config(format!("unix://{}/socket", self.dir.display()))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn credentials_are_sent_and_wrong_ones_rejected() {
    let server = Locked::start();
    let right = Memcached::new(server.config().credentials("user", "secret")).unwrap();
    recovered(async || right.put(&key("a"), "value".into(), None).await).await;
    assert_eq!(get(&right, &key("a")).await.unwrap().unwrap(), b"value");

    let wrong = server.config().credentials("user", "secrets");
    for config in [server.config(), wrong, server.config().credentials("users", "secret")] {
        let error = get(&Memcached::new(config).unwrap(), &key("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn credentials_store_nothing_on_a_server_without_authentication() {
    let server = MemcachedServer::start();
    let store = Memcached::new(config(server.addr()).credentials("user", "secret")).unwrap();
    store.put(&key("a"), "value".into(), None).await.unwrap();
    assert_eq!(server.command("get auth"), "END");
}

/// Reporting a held lease would let callers wait for a holder that does not exist.
#[tokio::test]
async fn a_server_without_versions_is_a_configuration_error() {
    let server = MemcachedServer::start_with(&["-C"]);
    let store = store(server.addr());
    store.put(&key("there"), "value".into(), None).await.unwrap();
    for (key, mode) in
        [(key("a"), LeaseMode::IfAbsent), (key("a"), LeaseMode::IfAbsent), (key("there"), LeaseMode::Replace)]
    {
        assert_eq!(
            store.acquire(&key, Lease::random(), TERM, mode).await.unwrap_err().kind(),
            ErrorKind::Config
        );
    }
    assert_eq!(get(&store, &key("there")).await.unwrap().unwrap(), b"value");
}

#[tokio::test]
async fn concurrent_adds_return_one_value() {
    let server = MemcachedServer::start();
    let store = Arc::new(store(server.addr()));
    for leased in [false, true] {
        let key = key(leased);
        if leased {
            assert!(acquire(&store, &key, TERM, LeaseMode::IfAbsent).await.is_some());
        }
        let tasks: Vec<_> = (0..32)
            .map(|n| {
                let (store, key) = (Arc::clone(&store), key.clone());
                tokio::spawn(async move { store.add(&key, format!("{n}").into(), None).await.unwrap() })
            })
            .collect();
        let there = get(&store, &key).await.unwrap();
        let mut added = Vec::new();
        for task in tasks {
            added.push(task.await.unwrap());
        }
        let now = get(&store, &key).await.unwrap().unwrap();
        assert!(added.iter().all(|value| *value == now));
        assert!(there.is_none_or(|there| there == now));
    }
}
