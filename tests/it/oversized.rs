//! Values and arguments that are too large cost their own call something, and no other call.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{ErrorKind, Key, Lease, LeaseMode, Memcached, MemcachedConfig, Store, async_cached};
use cached_tests::runs::Runs;
use cached_tests::server::MemcachedServer;
use tokio::task::{JoinSet, yield_now};

use crate::support::{memcached, redis};

const LONG_DEADLINE: Duration = Duration::from_secs(20);
const TERM: Duration = Duration::from_secs(10);

fn config(server: &MemcachedServer) -> MemcachedConfig {
    MemcachedConfig::new(server.addr()).deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE)
}

fn key(name: impl serde::Serialize) -> Key {
    Key::new("oversized", &name).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_reads_go_on_beside_values_above_the_limit() {
    let server = MemcachedServer::start_with(&["-I", "8m"]);
    let writer = Memcached::new(config(&server).max_value_bytes(4 << 20)).unwrap();
    writer.put(&key("large"), vec![b'V'; 3 << 20].into(), None).await.unwrap();
    writer.put(&key("small"), "value".into(), None).await.unwrap();

    let reader = Arc::new(Memcached::new(config(&server)).unwrap());
    let mut reads = JoinSet::new();
    for n in 0..5_050 {
        let reader = Arc::clone(&reader);
        reads.spawn(async move {
            if n % 101 == 0 {
                let keys = [key("small"), key("large"), key("small")];
                assert_eq!(
                    reader.get(&keys).await.unwrap(),
                    [Some("value".into()), None, Some("value".into())]
                );
            } else {
                assert_eq!(reader.get(&[key("small")]).await.unwrap(), [Some(Bytes::from("value"))]);
            }
        });
    }
    while let Some(read) = reads.join_next().await {
        read.unwrap();
    }
    // One for each store, and those of this harness.
    assert!(server.stat("total_connections") < 10);

    // It counts as no value, and can be replaced.
    let large = key("large");
    let lease = Lease::random();
    let acquired = reader.acquire(&large, lease, TERM, LeaseMode::IfAbsent).await.unwrap();
    assert_eq!((acquired.is_filled, acquired.is_granted), (false, true));
    assert!(reader.fill(&large, lease, "filled".into(), LONG_DEADLINE).await.unwrap());
    assert_eq!(reader.get(std::slice::from_ref(&large)).await.unwrap(), [Some("filled".into())]);

    writer.put(&large, vec![b'V'; 3 << 20].into(), None).await.unwrap();
    assert_eq!(reader.add(&large, "added".into(), None).await.unwrap(), "added");
    assert_eq!(reader.get(&[large]).await.unwrap(), [Some("added".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_that_memcached_refuses_is_sent_once() {
    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
    static RUNS: Runs = Runs::new();
    const LENGTH: u64 = 700_000;

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn zeros(length: usize) -> Vec<u8> {
        yield_now().await;
        RUNS.next();
        vec![0; length]
    }

    let mut server = MemcachedServer::start_with(&["-I", "512k"]);
    STORE.get_or_init(|| Arc::new(Memcached::new(config(&server)).unwrap()));
    for calls in 1..=20 {
        assert_eq!(zeros(700_000).await.len(), 700_000);
        assert_eq!((RUNS.count(), zeros::stats().store_errors), (calls, calls));
    }
    let received = server.stat("bytes_read");
    assert!((LENGTH..2 * LENGTH).contains(&received), "{received} bytes were sent");
    assert_eq!(zeros(1_000).await.len(), 1_000);
    assert_eq!(zeros(1_000).await.len(), 1_000);
    assert_eq!(zeros::stats().shared_hits, 1);

    // The next server may have another limit.
    server.restart();
    crate::servers::eventually("it is sent again", async || {
        zeros(700_000).await;
        server.stat("bytes_read") > LENGTH
    })
    .await;
}

macro_rules! arguments_above_one_mebibyte {
    ($name:ident, $store:expr) => {
        #[tokio::test]
        async fn $name() {
            static RUNS: Runs = Runs::new();

            #[async_cached(ttl = 600, backend = $store)]
            async fn length(text: &str, bytes: &[u8]) -> usize {
                yield_now().await;
                RUNS.next();
                text.len() + bytes.len()
            }

            let warnings = Warnings::default();
            let _guard = tracing::subscriber::set_default(warnings.clone());
            let (text, bytes) = ("x".repeat(10 << 20), vec![200; 10 << 20]);
            for calls in 1..=5 {
                assert_eq!(length(&text, &[]).await, 10 << 20);
                assert_eq!(length("", &bytes).await, 10 << 20);
                let stats = length::stats();
                assert_eq!((RUNS.count(), stats.computed), (2 * calls, 2 * calls));
                assert!(stats.store_errors >= 2 * calls, "{stats:?}");
            }
            assert_eq!(warnings.0.load(SeqCst), 1, "it is reported once");
            let error = length::invalidate(&text, &[]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);

            let text = "x".repeat((1 << 20) - 100);
            for _ in 0..2 {
                assert_eq!(length(&text, &[]).await, text.len());
            }
            assert_eq!(length::stats().shared_hits, 1);
        }
    };
}

mod arguments_above_one_mebibyte_are_not_cached {
    use super::*;

    arguments_above_one_mebibyte!(in_redis, redis());
    arguments_above_one_mebibyte!(in_memcached, memcached());
}

/// Counts the warnings of one thread.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
