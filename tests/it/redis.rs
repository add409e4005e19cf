//! The Redis store against real servers, and its behavior when they fail.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cached_runtime::{
    Acquired, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Redis, RedisConfig, Result, Store,
    ValueId, Watch,
};
use cached_tests::proxy::{Proxy, Replies};
use cached_tests::server::RedisServer;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::support::acquire;

/// The time limit for "soon", on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

/// Creates a store with a deadline that no operation on a healthy server exceeds.
fn with_long_deadline(url: impl Into<String>) -> Redis {
    let config = RedisConfig::new(url).deadline(SOON).connect_timeout(SOON);
    Redis::new(config).unwrap()
}

/// Creates a store with a short deadline that a server busy with other tests still meets.
fn with_short_deadline(url: impl Into<String>) -> Redis {
    Redis::new(RedisConfig::new(url).deadline(Duration::from_millis(200))).unwrap()
}

fn key(name: impl serde::Serialize) -> Key {
    Key::new("tests", &name).unwrap()
}

/// Returns the name of a key on the server.
fn name_of(key: &Key) -> String {
    format!("cached:{{{key}}}")
}

async fn get(store: &Redis, key: &Key) -> Result<Option<Bytes>> {
    let mut values = store.get(std::slice::from_ref(key)).await?;
    Ok(values.remove(0))
}

async fn put(store: &Redis, key: &Key, value: &'static str) -> Result<()> {
    store.put(key, value.into(), Some(MINUTE)).await
}

/// Calls the store until it works again, and returns the errors until then.
async fn recover(store: &Redis, pause: Duration) -> Vec<Error> {
    let until = Instant::now() + SOON;
    let mut errors = Vec::new();
    loop {
        let started = Instant::now();
        match get(store, &key("recovery")).await {
            Ok(_) => return errors,
            Err(error) => errors.push(error),
        }
        assert!(started.elapsed() < Duration::from_secs(1), "one call took {:?}", started.elapsed());
        assert!(Instant::now() < until, "the store does not recover: {:?}", errors.last());
        sleep(pause).await;
    }
}

/// Polls a condition until it holds, for what no event announces.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "timed out: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the text of an error and of its sources.
fn full_text(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    let texts: Vec<_> = chain.map(|error| format!("{error} {error:?}")).collect();
    texts.join(" ")
}

mod contract {
    use super::*;
    use cached_runtime::contract::check;

    #[tokio::test]
    async fn is_kept_on_a_port() {
        let server = RedisServer::start();
        check(&with_long_deadline(server.url())).await;
    }

    #[tokio::test]
    async fn is_kept_on_a_socket_file() {
        let server = RedisServer::start_on_socket();
        check(&with_long_deadline(server.url())).await;
    }

    #[tokio::test]
    async fn is_kept_with_a_password_and_a_database() {
        let server = RedisServer::start_with(&["--requirepass", "pass/w@rd"]);
        let url = format!("redis://:pass%2Fw%40rd@{}/3", server.addr());
        check(&with_long_deadline(url)).await;
    }

    #[tokio::test]
    async fn is_kept_by_a_cluster() {
        let (_server, store) = cluster::start().await;
        check(&store).await;
    }
}

mod commands {
    use super::*;

    /// Returns how often each command was executed.
    fn statistics(server: &RedisServer) -> BTreeMap<String, u64> {
        let text = server.command(&["INFO", "commandstats"]);
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        text.lines().filter_map(line).filter(|(name, _)| name != "info").collect()
    }

    /// Returns the commands that the server executed during `work`.
    async fn sent(server: &RedisServer, work: impl AsyncFnOnce()) -> Vec<(String, u64)> {
        let before = statistics(server);
        work().await;
        let after = statistics(server).into_iter();
        let new = after.map(|(name, count)| (count - before.get(&name).unwrap_or(&0), name));
        new.filter(|(count, _)| *count > 0).map(|(count, name)| (name, count)).collect()
    }

    #[tokio::test]
    async fn a_read_is_one_command_however_many_keys() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        put(&store, &key(1), "one").await.unwrap();

        let one = sent(&server, async || assert_eq!(get(&store, &key(1)).await.unwrap(), Some("one".into())));
        assert_eq!(one.await, [("get".to_owned(), 1)]);

        let keys = [key(2), key(1), key(3)];
        let many = sent(&server, async || {
            assert_eq!(store.get(&keys).await.unwrap(), [None, Some("one".into()), None]);
        });
        assert_eq!(many.await, [("mget".to_owned(), 1)]);

        let none = sent(&server, async || assert_eq!(store.get(&[]).await.unwrap(), []));
        assert_eq!(none.await, []);
    }

    /// Two scripts one after the other would share one deadline.
    #[tokio::test]
    async fn a_read_of_many_keys_is_one_script_where_restarts_are_distrusted() {
        let server = RedisServer::start();
        let config = RedisConfig::new(server.url()).deadline(SOON).connect_timeout(SOON);
        let store = Redis::new(config.distrust_restarts()).unwrap();
        put(&store, &key(1), "one").await.unwrap();
        assert_eq!(get(&store, &key(1)).await.unwrap(), Some("one".into()));
        let keys: Vec<_> = (0..2_000).map(key).collect();
        let before = server.calls("evalsha");
        assert_eq!(store.get(&keys).await.unwrap().iter().flatten().count(), 1);
        assert_eq!(server.calls("evalsha") - before, 1);
    }

    #[tokio::test]
    async fn a_script_is_sent_once_and_again_after_a_flush() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        for round in 1..=3 {
            for number in 0..5 {
                let key = key((round, number));
                let lease = acquire(&store, &key, MINUTE, LeaseMode::IfAbsent).await.unwrap();
                assert!(store.extend(&key, &lease, MINUTE).await.unwrap());
                assert!(store.fill(&key, lease, "value".into(), MINUTE).await.unwrap());
                let lease = acquire(&store, &key, MINUTE, LeaseMode::Replace).await.unwrap();
                store.release(&key, lease, LastAttempt::Unknown).await.unwrap();
                assert_eq!(store.add(&key, "other".into(), None).await.unwrap(), "value");
                put(&store, &key, "third").await.unwrap();
            }
            assert_eq!(server.calls("eval"), 6 * round);
            assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "OK");
        }
    }

    #[tokio::test]
    async fn a_value_and_its_lease_have_the_documented_keys() {
        let server = RedisServer::start();
        let store = Redis::new(RedisConfig::new(server.url()).prefix("p:").deadline(SOON)).unwrap();
        let (key, value) = (key(1), format!("p:{{{}}}", key(1)));
        let lease = format!("{value}:l");
        let remaining = |name: &str| server.command(&["PTTL", name]).parse::<i64>().unwrap();

        let held = acquire(&store, &key, Duration::from_secs(10), LeaseMode::IfAbsent).await.unwrap();
        assert!((1..=10_000).contains(&remaining(&lease)));
        assert!(store.extend(&key, &held, MINUTE).await.unwrap());
        assert!((10_001..=60_000).contains(&remaining(&lease)));
        assert!(store.fill(&key, held, "v".into(), MINUTE).await.unwrap());
        assert_eq!(server.command(&["GET", &value]), "v");
        assert!((1..=60_000).contains(&remaining(&value)));
        assert_eq!(remaining(&lease), -2);

        store.put(&key, "v".into(), None).await.unwrap();
        assert_eq!(remaining(&value), -1);
        store.remove(&key).await.unwrap();
        assert_eq!(server.command(&["DBSIZE"]), "0");
        assert_eq!(store.add(&key, "a".into(), None).await.unwrap(), "a");
        assert_eq!(remaining(&value), -1);
    }

    #[tokio::test]
    async fn the_longest_and_the_shortest_ttl_are_accepted() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let lease = acquire(&store, &key(1), Duration::MAX, LeaseMode::IfAbsent).await.unwrap();
        assert!(store.extend(&key(1), &lease, Duration::MAX).await.unwrap());
        assert!(store.fill(&key(1), lease, "v".into(), Duration::MAX).await.unwrap());
        store.put(&key(2), "v".into(), Some(Duration::MAX)).await.unwrap();
        assert_eq!(store.get(&[key(1), key(2)]).await.unwrap(), [Some("v".into()), Some("v".into())]);

        store.put(&key(3), "v".into(), Some(Duration::ZERO)).await.unwrap();
        let lease = acquire(&store, &key(4), Duration::ZERO, LeaseMode::IfAbsent).await.unwrap();
        eventually("both have expired", || server.command(&["DBSIZE"]) == "2").await;
        assert!(!store.extend(&key(4), &lease, MINUTE).await.unwrap());
    }

    #[tokio::test]
    async fn any_bytes_survive_a_round_trip() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let large = Bytes::from(vec![7; 3 << 20]);
        let values: [&[u8]; 8] =
            [b"", b"OK", b"QUEUED", b"nil", b"0", b"-ERR no", b"\0\xff\r\n$5\r\n", &large];
        let keys: Vec<Key> = (0..values.len()).map(key).collect();
        for (key, value) in keys.iter().zip(values) {
            store.put(key, Bytes::copy_from_slice(value), Some(MINUTE)).await.unwrap();
            assert_eq!(get(&store, key).await.unwrap().unwrap(), value);
            assert_eq!(store.add(key, "x".into(), None).await.unwrap(), value);
            let same = LeaseMode::IfUnchanged(ValueId::of(value));
            assert!(store.acquire(key, Lease::random(), MINUTE, same).await.unwrap().is_granted);
        }
        let all = store.get(&keys).await.unwrap();
        assert!(all.iter().map(|value| value.as_deref().unwrap()).eq(values));
    }

    #[tokio::test]
    async fn a_large_value_has_a_name_of_its_own_only_until_it_is_complete() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let large = Bytes::from(vec![7; 1 << 20]);
        for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
            let key = key("large");
            let lease = acquire(&store, &key, MINUTE, mode).await.unwrap();
            assert!(store.fill(&key, lease, large.clone(), MINUTE).await.unwrap());
            assert!(!store.fill(&key, lease, large.clone(), MINUTE).await.unwrap());
            assert_eq!(server.command(&["KEYS", "*"]), name_of(&key));
            let left: u64 = server.command(&["PTTL", &name_of(&key)]).parse().unwrap();
            assert!((30_001..=60_000).contains(&left), "{left}");
            assert_eq!(get(&store, &key).await.unwrap().unwrap(), large);
        }
    }

    #[tokio::test]
    async fn a_foreign_value_is_a_miss_and_can_be_replaced() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let foreign = |name: &str| {
            let key = key(name);
            assert!(!server.command(&["DEL", &name_of(&key)]).starts_with('-'));
            assert_eq!(server.command(&["RPUSH", &name_of(&key), "theirs"]), "1");
            key
        };

        let key = foreign("a");
        assert_eq!(get(&store, &key).await.unwrap(), None);
        assert_eq!(store.get(&[key.clone(), key.clone()]).await.unwrap(), [None, None]);
        for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
            let key = foreign("a");
            let lease = Lease::random();
            let acquired = store.acquire(&key, lease, MINUTE, mode).await.unwrap();
            assert_eq!((acquired.is_filled, acquired.is_granted), (false, true));
            assert!(store.fill(&key, lease, "ours".into(), MINUTE).await.unwrap());
            assert_eq!(get(&store, &key).await.unwrap(), Some("ours".into()));
        }

        let key = foreign("b");
        assert_eq!(store.add(&key, "ours".into(), None).await.unwrap(), "ours");
        assert_eq!(get(&store, &key).await.unwrap(), Some("ours".into()));

        let key = foreign("c");
        put(&store, &key, "ours").await.unwrap();
        assert_eq!(get(&store, &key).await.unwrap(), Some("ours".into()));

        let key = foreign("d");
        store.remove(&key).await.unwrap();
        assert_eq!(server.command(&["EXISTS", &name_of(&key)]), "0");
    }

    #[tokio::test]
    async fn excess_operations_wait() {
        let server = RedisServer::start();
        let config = RedisConfig::new(server.url()).deadline(SOON).max_in_flight(2);
        let store = Arc::new(Redis::new(config).unwrap());
        let mut tasks = JoinSet::new();
        for number in 0..500 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { get(&store, &key(number)).await });
        }
        while let Some(answer) = tasks.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_value_that_is_too_large_is_not_sent() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let value = Bytes::from(vec![0; (512 << 20) + 1]);
        let error = store.put(&key(1), value.clone(), None).await.unwrap_err();
        assert!(error.is_too_large());
        assert!(store.add(&key(1), value, None).await.unwrap_err().is_too_large());
        assert_eq!(get(&store, &key(1)).await.unwrap(), None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dropped_call_leaves_no_reply_for_another() {
        let server = RedisServer::start();
        let store = Arc::new(with_long_deadline(server.url()));
        for number in 0..100 {
            store.put(&key(number), number.to_string().into(), None).await.unwrap();
        }
        let mut tasks = JoinSet::new();
        for task in 0..8_u64 {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let (mut random, mut answered, mut dropped) = (task + 1, 0, 0);
                for _ in 0..1000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let number = (random >> 33) % 100;
                    let limit = Duration::from_micros((random >> 40) % 600);
                    let keys = [key(number)];
                    let work = store.get(&keys);
                    // The timers of tokio have a resolution of a millisecond: measure the limit at every poll.
                    let started = Instant::now();
                    let mut work = work;
                    let answer = std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
                        Poll::Ready(answer) => Poll::Ready(Some(answer)),
                        Poll::Pending if started.elapsed() > limit => Poll::Ready(None),
                        Poll::Pending => {
                            cx.waker().wake_by_ref();
                            Poll::Pending
                        }
                    });
                    match answer.await {
                        Some(values) => {
                            assert_eq!(values.unwrap(), [Some(Bytes::from(number.to_string()))]);
                            answered += 1;
                        }
                        None => dropped += 1,
                    }
                }
                (answered, dropped)
            });
        }
        let (mut answered, mut dropped) = (0, 0);
        while let Some(counts) = tasks.join_next().await {
            let counts = counts.unwrap();
            (answered, dropped) = (answered + counts.0, dropped + counts.1);
        }
        assert!(
            answered > 100 && dropped > 100,
            "{answered} answered, {dropped} dropped: both should happen"
        );
        assert_eq!(get(&store, &key(7)).await.unwrap(), Some("7".into()));
    }
}

mod failures {
    use super::*;

    #[tokio::test]
    async fn steady_traffic_recovers_from_a_black_hole() {
        let server = RedisServer::start();
        let proxy = Proxy::start(&server.addr());
        let store = with_short_deadline(format!("redis://{}", proxy.addr()));
        recover(&store, Duration::ZERO).await;
        for _ in 0..3 {
            proxy.black_hole();
            let errors = recover(&store, Duration::from_millis(5)).await;
            assert!(!errors.is_empty());
        }
    }

    #[tokio::test]
    async fn callers_with_shorter_timeouts_recover_from_a_black_hole() {
        let server = RedisServer::start();
        let proxy = Proxy::start(&server.addr());
        let store = with_long_deadline(format!("redis://{}", proxy.addr()));
        recover(&store, Duration::ZERO).await;
        proxy.black_hole();
        let until = Instant::now() + SOON;
        while !matches!(timeout(Duration::from_millis(10), get(&store, &key(1))).await, Ok(Ok(_))) {
            assert!(Instant::now() < until, "the black hole was not detected");
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn large_values_recover_from_a_black_hole() {
        let server = RedisServer::start();
        let proxy = Proxy::start(&server.addr());
        let store = Arc::new(with_short_deadline(format!("redis://{}", proxy.addr())));
        recover(&store, Duration::ZERO).await;
        proxy.black_hole();
        let mut writes = JoinSet::new();
        for number in 0..50 {
            let store = Arc::clone(&store);
            let value = Bytes::from(vec![b'x'; 1 << 20]);
            writes.spawn(async move { store.put(&key(number), value, None).await });
        }
        yield_now().await;
        assert!(!recover(&store, Duration::from_millis(5)).await.is_empty());
        while let Some(write) = writes.join_next().await {
            assert!(write.unwrap().is_err());
        }
        put(&store, &key("after"), "it").await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_blocked_while_writing_is_replaced() {
        // The kernel has no timeout for socket files.
        let server = RedisServer::start_on_socket();
        let store = Arc::new(with_short_deadline(server.url()));
        recover(&store, Duration::ZERO).await;
        server.stop();
        let mut writes = JoinSet::new();
        for number in 0..20 {
            let store = Arc::clone(&store);
            let value = Bytes::from(vec![b'x'; 1 << 20]);
            writes.spawn(async move { store.put(&key(number), value, None).await });
        }
        while let Some(write) = writes.join_next().await {
            assert!(write.unwrap().is_err());
        }
        let until = Instant::now() + SOON;
        while !get(&store, &key(1)).await.unwrap_err().is_unreachable() {
            assert!(Instant::now() < until, "the connection is still blocked");
        }
        server.cont();
        recover(&store, Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn a_burst_is_answered_completely() {
        let server = RedisServer::start();
        let store = Arc::new(with_long_deadline(server.url()));
        let mut tasks = JoinSet::new();
        for number in 0..5000 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { get(&store, &key(number)).await });
        }
        while let Some(answer) = tasks.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_burst_while_the_server_is_down_has_no_later_effect() {
        let mut server = RedisServer::start();
        let store = Arc::new(with_short_deadline(server.url()));
        for _ in 0..2 {
            recover(&store, Duration::ZERO).await;
            server.kill();
            let mut tasks = JoinSet::new();
            for number in 0..2000 {
                let store = Arc::clone(&store);
                tasks.spawn(async move { get(&store, &key(number)).await });
            }
            while let Some(answer) = tasks.join_next().await {
                let kind = answer.unwrap().unwrap_err().kind();
                assert!(matches!(kind, ErrorKind::Unreachable | ErrorKind::Timeout), "{kind:?}");
            }
            server.restart();
            recover(&store, Duration::from_millis(5)).await;
            for number in 0..50 {
                assert!(get(&store, &key(number)).await.is_ok());
                sleep(Duration::from_millis(1)).await;
            }
        }
    }

    #[tokio::test]
    async fn without_a_server_a_call_fails_at_once() {
        let mut server = RedisServer::start();
        let store = with_short_deadline(server.url());
        recover(&store, Duration::ZERO).await;
        server.kill();
        let until = Instant::now() + SOON;
        while get(&store, &key(1)).await.is_ok_and(|_| Instant::now() < until) {}
        sleep(Duration::from_millis(50)).await;
        let started = Instant::now();
        for _ in 0..1000 {
            assert!(get(&store, &key(1)).await.unwrap_err().is_unreachable());
            yield_now().await;
        }
        assert!(started.elapsed() < Duration::from_secs(1), "1000 calls took {:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_server_that_starts_later_is_used() {
        let mut server = RedisServer::start();
        server.kill();
        let store = with_short_deadline(server.url());
        let error = get(&store, &key(1)).await.unwrap_err();
        assert!(error.is_unreachable(), "{error:?}");
        server.restart();
        assert!(recover(&store, Duration::from_millis(5)).await.iter().all(Error::is_unreachable));
    }

    #[tokio::test]
    async fn the_first_call_of_a_program_is_a_hit() {
        let server = RedisServer::start();
        put(&with_long_deadline(server.url()), &key(1), "there").await.unwrap();
        // Concurrent first calls all wait for the connection.
        let store = Arc::new(with_long_deadline(server.url()));
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { get(&store, &key(1)).await });
        }
        while let Some(answer) = tasks.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), Some("there".into()));
        }
    }

    #[tokio::test]
    async fn a_stopped_server_costs_one_deadline_and_is_used_again() {
        let server = RedisServer::start();
        let store = with_short_deadline(server.url());
        put(&store, &key("loads the script"), "v").await.unwrap();
        for _ in 0..2 {
            recover(&store, Duration::ZERO).await;
            server.stop();
            let started = Instant::now();
            let error = get(&store, &key(1)).await.unwrap_err();
            assert!(error.is_timeout(), "{error:?}");
            assert!(started.elapsed() < Duration::from_secs(1), "it took {:?}", started.elapsed());
            let noticed = Instant::now() + SOON;
            while !get(&store, &key(1)).await.unwrap_err().is_unreachable() {
                assert!(Instant::now() < noticed, "calls still wait for the server");
            }
            server.cont();
            recover(&store, Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn scripts_meet_the_deadline() {
        let server = RedisServer::start();
        for number in 0..5 {
            let store = with_short_deadline(server.url());
            recover(&store, Duration::ZERO).await;
            let lease = acquire(&store, &key(number), MINUTE, LeaseMode::IfAbsent).await.unwrap();
            server.stop();
            let started = Instant::now();
            let error = match number {
                0 => store.acquire(&key(9), Lease::random(), MINUTE, LeaseMode::IfAbsent).await.unwrap_err(),
                1 => store.extend(&key(number), &lease, MINUTE).await.unwrap_err(),
                2 => store.fill(&key(number), lease, "v".into(), MINUTE).await.unwrap_err(),
                3 => store.release(&key(number), lease, LastAttempt::Unknown).await.unwrap_err(),
                _ => store.remove(&key(number)).await.unwrap_err(),
            };
            server.cont();
            assert!(error.is_timeout(), "{error:?}");
            assert!(started.elapsed() < Duration::from_secs(1), "it took {:?}", started.elapsed());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn traffic_recovers_when_a_killed_server_restarts() {
        let mut server = RedisServer::start();
        let store = Arc::new(with_short_deadline(server.url()));
        recover(&store, Duration::ZERO).await;
        let mut tasks = JoinSet::new();
        let end = Instant::now() + Duration::from_millis(1500);
        for number in 0..20 {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let mut longest = Duration::ZERO;
                while Instant::now() < end {
                    let started = Instant::now();
                    let _ = get(&store, &key(number)).await;
                    longest = longest.max(started.elapsed());
                    sleep(Duration::from_millis(1)).await;
                }
                longest
            });
        }
        for _ in 0..3 {
            sleep(Duration::from_millis(100)).await;
            tokio::task::block_in_place(|| server.kill());
            sleep(Duration::from_millis(100)).await;
            tokio::task::block_in_place(|| server.restart());
        }
        while let Some(longest) = tasks.join_next().await {
            assert!(longest.unwrap() < Duration::from_secs(1));
        }
        recover(&store, Duration::from_millis(5)).await;
        put(&store, &key(1), "v").await.unwrap();
    }

    #[tokio::test]
    async fn corrupt_replies_are_errors_until_they_end() {
        let server = RedisServer::start();
        let proxy = Proxy::start(&server.addr());
        let store = with_short_deadline(format!("redis://{}", proxy.addr()));
        for replies in [Replies::Corrupt(1), Replies::Truncate(2), Replies::Swallow, Replies::Corrupt(2)] {
            recover(&store, Duration::from_millis(5)).await;
            proxy.replies(replies);
            for number in 0..20 {
                assert!(get(&store, &key(number)).await.is_err());
            }
            proxy.replies(Replies::Pass);
        }
        recover(&store, Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_redis_is_an_error_at_once() {
        let other = cached_tests::server::MemcachedServer::start();
        let store = with_short_deadline(format!("redis://{}", other.addr()));
        let error = get(&store, &key(1)).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unreachable), "{error:?}");
        let started = Instant::now();
        for _ in 0..100 {
            get(&store, &key(1)).await.unwrap_err();
        }
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

mod rejections {
    use super::*;

    #[tokio::test]
    async fn a_replica_rejects_writes() {
        let primary = RedisServer::start();
        let port = primary.port().to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
        let is_rejected = |result: Result<()>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
        };
        let store = || with_long_deadline(replica.url());
        is_rejected(store().put(&key(1), "v".into(), None).await);
        is_rejected(store().acquire(&key(1), Lease::random(), MINUTE, LeaseMode::IfAbsent).await.map(drop));
        is_rejected(store().add(&key(1), "v".into(), None).await.map(drop));
        is_rejected(store().remove(&key(1)).await);
        assert_eq!(get(&store(), &key(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_primary_that_became_a_replica_is_reconnected() {
        let server = RedisServer::start();
        let proxy = Proxy::start(&server.addr());
        let store = with_long_deadline(format!("redis://{}", proxy.addr()));
        put(&store, &key(1), "v").await.unwrap();
        assert_eq!(proxy.accepted(), 1);
        assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
        assert_eq!(put(&store, &key(1), "v").await.unwrap_err().kind(), ErrorKind::Rejected);
        eventually("it connects again", || proxy.accepted() == 2).await;
        assert_eq!(server.command(&["REPLICAOF", "NO", "ONE"]), "OK");
        recover(&store, Duration::from_millis(5)).await;
        put(&store, &key(1), "v").await.unwrap();
    }

    #[tokio::test]
    async fn a_full_server_rejects_writes_and_keeps_no_lease() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let lease = acquire(&store, &key(1), MINUTE, LeaseMode::IfAbsent).await.unwrap();
        assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
        let is_rejected = |error: Error| assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
        is_rejected(store.fill(&key(1), lease, "v".into(), MINUTE).await.unwrap_err());
        is_rejected(store.put(&key(2), "v".into(), None).await.unwrap_err());
        is_rejected(store.add(&key(2), "v".into(), None).await.unwrap_err());
        is_rejected(store.acquire(&key(2), Lease::random(), MINUTE, LeaseMode::IfAbsent).await.unwrap_err());
        store.remove(&key(1)).await.unwrap();
        assert_eq!(get(&store, &key(1)).await.unwrap(), None);
        assert_eq!(server.command(&["DBSIZE"]), "0");
        assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
        put(&store, &key(1), "v").await.unwrap();
    }

    #[tokio::test]
    async fn wrong_credentials_are_rejected_and_not_printed() {
        let server = RedisServer::start_with(&["--requirepass", "r1ght"]);
        let none = format!("redis://{}", server.addr());
        let wrong = format!("redis://user:s3cret@{}", server.addr());
        for config in [
            RedisConfig::new(&wrong),
            RedisConfig::new(&none),
            RedisConfig::new(&none).credentials("", "s3cret"),
            RedisConfig::new(server.url()).credentials("nobody", "s3cret"),
        ] {
            let store = Redis::new(config.deadline(SOON)).unwrap();
            for _ in 0..20 {
                let error = get(&store, &key(1)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
                assert!(!(full_text(&error) + &format!("{store:?}")).contains("s3cret"));
            }
        }
        let config = RedisConfig::new(none).credentials("", "r1ght").deadline(SOON);
        assert_eq!(get(&Redis::new(config).unwrap(), &key(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_user_without_permission_is_rejected() {
        let server = RedisServer::start();
        assert_eq!(server.command(&["ACL", "SETUSER", "reader", "on", ">pw", "~*", "+get", "+hello"]), "OK");
        let config = RedisConfig::new(server.url()).credentials("reader", "pw").deadline(SOON);
        let store = Redis::new(config).unwrap();
        assert_eq!(get(&store, &key(1)).await.unwrap(), None);
        let error = put(&store, &key(1), "v").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
    }
}

/// Operations at the same time are one script; each has its own result.
mod batches {
    use super::*;

    const COUNT: u64 = 300;

    /// Runs an operation for each key at the same time, and returns the results in the order of the keys.
    async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        operation: impl Fn(u64) -> F,
    ) -> Vec<T> {
        let mut tasks = JoinSet::new();
        for n in 0..COUNT {
            let running = operation(n);
            tasks.spawn(async move { (n, running.await) });
        }
        let mut results = tasks.join_all().await;
        results.sort_by_key(|(n, _)| *n);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn acquire(store: &Arc<Redis>, n: u64, lease: Lease) -> impl Future<Output = Result<Acquired>> + use<> {
        let store = Arc::clone(store);
        async move { store.acquire(&key(n), lease, MINUTE, LeaseMode::IfAbsent).await }
    }

    fn fill(store: &Arc<Redis>, n: u64, lease: Lease) -> impl Future<Output = Result<bool>> + use<> {
        let store = Arc::clone(store);
        async move { store.fill(&key(n), lease, n.to_string().into(), MINUTE).await }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn are_few_scripts() {
        let server = RedisServer::start();
        let config = RedisConfig::new(server.url()).deadline(SOON).connect_timeout(SOON);
        for (n, config) in
            [config.clone(), config.prefix("other:").distrust_restarts()].into_iter().enumerate()
        {
            let store = Arc::new(Redis::new(config).unwrap());
            let scripts = || server.calls("evalsha") + server.calls("eval");
            let before = scripts();
            let lease = Lease::random();
            let acquired = at_once(|n| acquire(&store, n, lease)).await;
            assert!(acquired.into_iter().all(|acquired| acquired.unwrap().is_granted));
            let filled = at_once(|n| fill(&store, n, lease)).await;
            assert!(filled.into_iter().all(Result::unwrap));
            for n in 0..COUNT {
                assert_eq!(get(&store, &key(n)).await.unwrap(), Some(n.to_string().into()));
            }
            assert_eq!(server.command(&["DBSIZE"]), ((n as u64 + 1) * COUNT).to_string(), "no lease is left");
            let read_by_script = n as u64 * COUNT;
            let scripts = scripts() - before - read_by_script;
            assert!(scripts < COUNT / 5, "{scripts} scripts for {} operations", 2 * COUNT);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn share_their_requests_for_notifications() {
        let server = RedisServer::start();
        let store = Arc::new(with_long_deadline(server.url()));
        let watch = |n| {
            let store = Arc::clone(&store);
            async move { store.watch(&key(n)).await }
        };
        let is_pending =
            |watch: &mut Watch| Pin::new(watch).poll(&mut Context::from_waker(Waker::noop())).is_pending();
        let mut attempts = 0;
        let watches = loop {
            let before = server.calls("exists");
            let watches = at_once(watch).await.into_iter().map(|watch| watch.unwrap().unwrap());
            let mut watches: Vec<_> = watches.collect();
            let requests = server.calls("exists") - before;
            assert!(requests < COUNT / 5, "{requests} requests of {COUNT} calls");
            // The watches that were set before the event of the first connection end with it.
            if watches.iter_mut().all(is_pending) {
                break watches;
            }
            attempts += 1;
            assert!(attempts < 10, "watches end although nothing has changed");
        };
        for (n, mut watch) in (0..COUNT).zip(watches) {
            assert!(is_pending(&mut watch), "{n} has not changed");
            put(&store, &key(n), "changed").await.unwrap();
            timeout(SOON, watch).await.unwrap();
        }
    }

    /// With keys that have a value, a lease, or what is neither.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn have_a_result_each() {
        let server = RedisServer::start();
        let store = Arc::new(with_long_deadline(server.url()));
        let holder = Lease::random();
        for n in 0..COUNT {
            match n % 5 {
                0 => put(&store, &key(n), "there").await.unwrap(),
                1 => assert!(acquire(&store, n, holder).await.unwrap().is_granted),
                2 => _ = server.command(&["RPUSH", &name_of(&key(n)), "x"]),
                3 => _ = server.command(&["RPUSH", &format!("{}:l", name_of(&key(n))), "x"]),
                _ => {}
            }
        }
        let own = Lease::random();
        for (n, acquired) in at_once(|n| acquire(&store, n, own)).await.into_iter().enumerate() {
            let Acquired { is_granted, is_filled, holder, .. } = acquired.unwrap();
            assert_eq!((is_granted, is_filled, holder.is_some()), (n % 5 > 1, n % 5 == 0, n % 5 == 1), "{n}");
        }
        for (n, filled) in at_once(|n| fill(&store, n, own)).await.into_iter().enumerate() {
            assert_eq!(filled.unwrap(), n % 5 > 1, "{n}");
        }
        let extended = at_once(|n| {
            let store = Arc::clone(&store);
            async move { store.extend(&key(n), &holder, MINUTE).await }
        });
        for (n, extended) in extended.await.into_iter().enumerate() {
            assert_eq!(extended.unwrap(), n % 5 == 1, "{n}");
        }
        at_once(|n| {
            let store = Arc::clone(&store);
            async move { store.release(&key(n), holder, LastAttempt::Failed).await.unwrap() }
        })
        .await;
        for n in 0..COUNT {
            let expected =
                [Some("there".to_owned()), None, Some(n.to_string())][(n % 5).min(2) as usize].clone();
            assert_eq!(get(&store, &key(n)).await.unwrap(), expected.map(Bytes::from), "{n}");
        }
        let after = acquire(&store, 1, own).await.unwrap();
        assert_eq!((after.is_granted, after.last_attempt), (true, LastAttempt::Failed));
    }

    /// A script whose first write the server has accepted may use more memory than there is.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn store_nothing_on_a_full_server() {
        let server = RedisServer::start();
        let store = Arc::new(with_long_deadline(server.url()));
        let lease = Lease::random();
        assert!(at_once(|n| acquire(&store, n, lease)).await.into_iter().all(|acquired| acquired.is_ok()));
        assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
        for filled in at_once(|n| fill(&store, n, lease)).await {
            assert_eq!(filled.unwrap_err().kind(), ErrorKind::Rejected);
        }
        for n in 0..COUNT {
            assert_eq!(get(&store, &key(n)).await.unwrap(), None, "{n}");
        }
        for acquired in at_once(|n| acquire(&store, COUNT + n, lease)).await {
            assert_eq!(acquired.unwrap_err().kind(), ErrorKind::Rejected);
        }
        assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
        assert!(
            at_once(|n| acquire(&store, COUNT + n, lease)).await.into_iter().all(|acquired| acquired.is_ok())
        );
    }
}

mod runtimes {
    use super::*;
    use tokio::runtime::{Builder, Runtime};

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_store_outlives_the_runtimes_that_use_it() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        for _ in 0..3 {
            runtime().block_on(async {
                put(&store, &key(1), "v").await.unwrap();
                assert_eq!(get(&store, &key(1)).await.unwrap(), Some("v".into()));
            });
        }
        let before = server.command(&["CLIENT", "LIST"]).lines().count();
        assert!(before <= 2, "the connections of ended runtimes are closed");
    }

    #[test]
    fn an_idle_runtime_does_not_block_another() {
        let server = RedisServer::start();
        let store = with_long_deadline(server.url());
        let (first, second) = (runtime(), runtime());
        for _ in 0..3 {
            first.block_on(async { put(&store, &key(1), "v").await.unwrap() });
            second.block_on(async { assert_eq!(get(&store, &key(1)).await.unwrap(), Some("v".into())) });
        }
        drop(first);
        second.block_on(async { assert_eq!(get(&store, &key(1)).await.unwrap(), Some("v".into())) });
    }

    #[test]
    fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
        let store = with_short_deadline("redis://127.0.0.1:1");
        let keys = [key(1)];
        let Poll::Ready(answer) = store.get(&keys).as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("it waits");
        };
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Config);
    }

    #[tokio::test]
    async fn a_dropped_store_closes_its_connection() {
        let server = RedisServer::start();
        let proxy = Proxy::start(&server.addr());
        let store = with_long_deadline(format!("redis://{}", proxy.addr()));
        put(&store, &key(1), "v").await.unwrap();
        assert_eq!(proxy.open(), 1);
        drop(store);
        eventually("the connection is closed", || proxy.open() == 0).await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(proxy.accepted(), 1, "the store does not reconnect");
    }
}

mod cluster {
    use super::*;

    /// Starts a cluster of one node, which still rejects commands with keys of different slots.
    pub(super) async fn start() -> (RedisServer, Redis) {
        let server =
            RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]);
        let slots: Vec<_> = (0..16_384).map(|slot| slot.to_string()).collect();
        let words: Vec<_> =
            ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
        assert_eq!(server.command(&words), "OK");
        eventually("the cluster is up", || server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
            .await;
        let store = with_long_deadline(format!("redis-cluster://{}", server.addr()));
        (server, store)
    }

    #[tokio::test]
    async fn keys_of_many_slots_are_read_in_one_call() {
        let (server, store) = start().await;
        let keys: Vec<Key> = (0..50).map(key).collect();
        for (number, key) in keys.iter().enumerate().skip(1) {
            store.put(key, number.to_string().into(), Some(MINUTE)).await.unwrap();
        }
        assert_eq!(server.command(&["RPUSH", &name_of(&keys[0]), "theirs"]), "1");
        let values = store.get(&keys).await.unwrap();
        assert_eq!(values[0], None);
        for (number, value) in values.iter().enumerate().skip(1) {
            assert_eq!(value.as_deref(), Some(number.to_string().as_bytes()));
        }
        assert_eq!(get(&store, &keys[7]).await.unwrap(), Some("7".into()));
    }

    #[tokio::test]
    async fn several_keys_share_one_deadline() {
        let (server, _) = start().await;
        let store = with_short_deadline(format!("redis-cluster://{}", server.addr()));
        recover(&store, Duration::from_millis(5)).await;
        server.stop();
        let keys: Vec<Key> = (0..5).map(key).collect();
        let started = Instant::now();
        assert!(store.get(&keys).await.unwrap_err().is_timeout());
        assert!(started.elapsed() < Duration::from_secs(1));
        server.cont();
        recover(&store, Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn traffic_recovers_from_a_black_hole() {
        let (server, _) = start().await;
        let proxy = Proxy::start(&server.addr());
        // The nodes of a cluster announce their addresses.
        let port = proxy.port().to_string();
        assert_eq!(server.command(&["CONFIG", "SET", "cluster-announce-port", &port]), "OK");
        if !server.command(&["CLUSTER", "SLOTS"]).contains(&port) {
            eprintln!("skipped: this server, such as Redis 6.2, announces the port that it was started with");
            return;
        }
        let store = with_short_deadline(format!("redis-cluster://{}", proxy.addr()));
        recover(&store, Duration::from_millis(5)).await;
        for _ in 0..2 {
            proxy.black_hole();
            assert!(!recover(&store, Duration::from_millis(5)).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_single_server_is_not_accepted_as_a_cluster() {
        let server = RedisServer::start();
        let store = with_long_deadline(format!("redis-cluster://{}", server.addr()));
        let error = get(&store, &key(1)).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Rejected), "{error:?}");
    }
}
