//! What is bounded under traffic while a store fails: tasks, log lines, and what is not stored.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use cached_runtime::{Store, async_cached};
use cached_tests::server::RedisServer;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::support::{LONG_DEADLINE, redis_at, until};

/// A Redis that rejects writes, because it replicates another.
struct Replica {
    _primary: RedisServer,
    server: RedisServer,
}

impl Replica {
    fn start() -> Self {
        let (primary, server) = (RedisServer::start(), RedisServer::start());
        assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]), "OK");
        Self { _primary: primary, server }
    }

    async fn has_synchronized(&self) {
        until("the replica has synchronized", || {
            self.server.command(&["INFO", "replication"]).contains("master_link_status:up")
        })
        .await;
    }
}

mod pending_invalidation {
    use super::*;

    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn load(key: u64) -> u64 {
        key
    }

    /// 200 tasks that call while an invalidation is pending: one task retries it, not one for each call.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_task_retries_under_traffic() {
        let replica = Replica::start();
        replica.has_synchronized().await;
        let _ = STORE.set(Arc::new(redis_at(&replica.server.url(), LONG_DEADLINE)));
        load(0).await;
        load::invalidate(0).await.unwrap_err();
        let before = Handle::current().metrics().num_alive_tasks();
        let callers = (0..200).map(|caller| {
            tokio::spawn(async move {
                for n in 0..50 {
                    load(1_000 * caller + n).await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        let after = Handle::current().metrics().num_alive_tasks();
        assert!(after <= before + 10, "{before} tasks before the calls, {after} after them");
    }
}

mod log_lines {
    use super::*;

    /// The warnings of this crate on one thread, each with its fields.
    #[derive(Debug, Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Warnings {
        fn lines(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("cached_runtime")
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    const CALLS: u64 = 10_000;

    macro_rules! each_failure {
        ($($name:ident: $server:expr, $spoil:expr, [$($operation:literal),+], $cause:literal;)*) => {$(
            mod $name {
                use super::*;

                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn load(key: u64) -> u64 {
                    key
                }

                #[tokio::test]
                async fn log_few_lines_for_many_calls() {
                    let server = $server;
                    let spoil: fn(&RedisServer) = $spoil;
                    let _ = STORE.set(Arc::new(redis_at(&server.url(), LONG_DEADLINE)));
                    load(0).await;
                    spoil(&server);
                    let warnings = Warnings::default();
                    let _subscriber = tracing::subscriber::set_default(warnings.clone());
                    let start = Instant::now();
                    let mut callers = JoinSet::new();
                    for caller in 1..=50 {
                        callers.spawn(async move {
                            for n in 0..CALLS / 50 {
                                assert_eq!(load(caller * CALLS + n).await, caller * CALLS + n);
                            }
                        });
                    }
                    while let Some(ended) = callers.join_next().await {
                        ended.unwrap();
                    }
                    let lines = warnings.lines();
                    assert!(load::stats().store_errors >= CALLS, "every failure is counted");
                    // Four classes of operations, each with one line in ten seconds.
                    let tens = usize::try_from(start.elapsed().as_secs() / 10).unwrap();
                    let most = 4 * (1 + tens);
                    assert!(!lines.is_empty() && lines.len() <= most, "{} lines: {:#?}", lines.len(), &lines[..lines.len().min(20)]);
                    for operation in [$($operation),+] {
                        let is_named = |line: &String| line.contains(&format!("operation: {operation:?}")) && line.contains($cause);
                        assert!(lines.iter().any(is_named), "{operation} and {}: {lines:#?}", $cause);
                    }
                }
            }
        )*};
    }

    each_failure! {
        out_of_memory: RedisServer::start(), |server| {
            assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "100kb"]), "OK");
        }, ["acquire"], "out of memory";
        without_permission: RedisServer::start(), |server| {
            assert_eq!(server.command(&["ACL", "SETUSER", "default", "-evalsha", "-eval"]), "OK");
        }, ["acquire"], "evalsha";
        read_only: RedisServer::start(), |server| {
            assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
            assert_eq!(server.command(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]), "OK");
        }, ["acquire"], "read-only replica";
    }

    #[async_cached(ttl = 600, backend = crate::support::memcached())]
    async fn too_large(key: u64) -> Vec<u8> {
        vec![7; 2 << 20 | usize::try_from(key).unwrap()]
    }

    /// A value that the store does not accept says nothing about the store.
    #[tokio::test]
    async fn a_value_that_is_too_large_is_reported_once_and_not_as_a_failure() {
        let warnings = Warnings::default();
        let _subscriber = tracing::subscriber::set_default(warnings.clone());
        for key in 0..10 {
            too_large(key).await;
        }
        let lines = warnings.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("cannot be stored"), "{lines:#?}");
    }
}

mod cold_calls {
    use super::*;

    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn load(key: u64) -> u64 {
        key
    }

    /// 10 000 calls of distinct keys at once: each result is stored, or counted with the reason why it is not.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_result_is_stored_or_counted() {
        let server = RedisServer::start();
        // The default deadline, which a burst exceeds.
        let _ = STORE.set(Arc::new(redis_at(&server.url(), Duration::from_millis(50))));
        let mut calls = JoinSet::new();
        for key in 0..10_000 {
            calls.spawn(async move { assert_eq!(load(key).await, key) });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
        let keys = server.command(&["KEYS", "*"]);
        let is_value = |key: &&str| !key.ends_with(":l") && !key.contains("generation");
        let stored = keys.lines().filter(is_value).count() as u64;
        let stats = load::stats();
        println!("{stored} stored: {stats:?}");
        assert_eq!(stats.computed, 10_000);
        let counted = stats.store_errors + stats.overloaded + stats.rejected_fills;
        assert!(stored + counted >= stats.computed, "{stored}: {stats:?}");
    }
}
