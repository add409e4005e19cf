//! Bytes in a shared store that are not the value of their key are a miss, and are replaced by a computed value.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cached_runtime::Memcached;
use cached_runtime::{BoxFuture, Key, MemcachedConfig, Stats, Store, async_cached};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::task::yield_now;

use crate::servers::{Server, eventually};

/// Expands each case to one test per kind of server, with a store of its own.
///
/// Each function counts its computations and returns their number in its own way.
macro_rules! cases {
    ($($case:ident)*) => {$(
        mod $case {
            use super::*;

            cases!(of $case: redis, RedisServer);
            cases!(of $case: memcached, MemcachedServer);
        }
    )*};
    (of $case:ident: $kind:ident, $server:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $kind() {
            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
            static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

            fn store() -> Arc<dyn Store> {
                Arc::clone(STORE.get().unwrap())
            }

            #[async_cached(ttl = 600, backend = store(), name = "same")]
            async fn number(id: u64) -> u64 {
                let _ = id;
                COMPUTATIONS.fetch_add(1, Relaxed)
            }

            #[async_cached(ttl = 600, backend = store(), name = "same")]
            async fn text(id: u64) -> String {
                let _ = id;
                COMPUTATIONS.fetch_add(1, Relaxed).to_string()
            }

            #[async_cached(ttl = 600, backend = store(), name = "same", codec = "json")]
            async fn json(id: u64) -> u64 {
                let _ = id;
                COMPUTATIONS.fetch_add(1, Relaxed)
            }

            #[async_cached(ttl = 600, backend = store(), name = "same", version = 2)]
            async fn next(id: u64) -> String {
                let _ = id;
                COMPUTATIONS.fetch_add(1, Relaxed).to_string()
            }

            // Long enough for a server that is busy with other tests.
            let server = <$server as Server>::start();
            let deadline = std::time::Duration::from_secs(10);
            let store = STORE.get_or_init(|| <$server>::store_at(&server.address(), deadline));
            super::$case(&server, &Subject {
                store: &**store,
                computations: &COMPUTATIONS,
                number: Function { call: |id| Box::pin(number(id)), stats: number::stats },
                text: Function {
                    call: |id| Box::pin(async move { text(id).await.parse().unwrap() }),
                    stats: text::stats,
                },
                json: Function { call: |id| Box::pin(json(id)), stats: json::stats },
                next: Function {
                    call: |id| Box::pin(async move { next(id).await.parse().unwrap() }),
                    stats: next::stats,
                },
            })
            .await;
        }
    };
}

cases! {
    a_truncated_value
    a_flipped_bit
    foreign_bytes
    a_value_of_another_key
    a_foreign_generation
    a_value_of_another_type
    a_value_of_another_codec
    a_value_of_another_version
}

async fn a_truncated_value(_: &impl Server, subject: &Subject<'_>) {
    let good = subject.good_value().await;
    for length in [1, 3, 4, 36, 44, good.len() - 9, good.len() - 8, good.len() - 1] {
        subject.is_replaced(good.slice(..length), &format!("cut to {length}")).await;
    }
}

async fn a_flipped_bit(_: &impl Server, subject: &Subject<'_>) {
    let good = subject.good_value().await;
    for at in 0..good.len() {
        let mut flipped = good.to_vec();
        flipped[at] ^= 1 << (at % 8);
        subject.is_replaced(flipped.into(), &format!("a bit of byte {at}")).await;
    }
}

async fn foreign_bytes(_: &impl Server, subject: &Subject<'_>) {
    // In a namespace that was never used every value counts as cleared and is not decoded.
    subject.good_value().await;
    for foreign in [
        &b"hello"[..],
        b"0",
        b"\0",
        b"null",
        b"\r\nEND\r\n",
        b"\x07",
        &[0xc1; 52],
        &[0xff; 4096],
        // A header that claims a length of 4 GiB.
        b"\xc1\x01\x01\x01\xdd\xff\xff\xff\xff\xc6\xff\xff\xff\xff\xdb\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        subject.is_replaced(Bytes::from_static(foreign), &format!("{foreign:?}")).await;
    }
}

async fn a_value_of_another_key(_: &impl Server, subject: &Subject<'_>) {
    let good = subject.good_value().await;
    let another = subject.number.call(2).await;
    let moved = subject.get(2).await;
    assert_ne!(good, moved);
    subject.is_replaced(moved, "moved from another key").await;
    assert_eq!(subject.number.call(2).await, another, "the other key keeps its value");
}

async fn a_foreign_generation(server: &impl Server, subject: &Subject<'_>) {
    for foreign in ["hello", "12345678", "\0"] {
        let before = subject.number.call(1).await;
        assert_eq!(subject.number.call(1).await, before);
        let generation = || server.keys().into_iter().find(|key| key.contains(".generation:"));
        // Memcached lists new items with a delay, and may leave one out that it lists at other times.
        let listed = OnceLock::new();
        eventually("there is a generation", async || generation().is_some_and(|key| listed.set(key).is_ok()))
            .await;
        server.write(listed.get().expect("the generation was listed"), foreign);

        let after = subject.number.call(1).await;
        assert_ne!(after, before, "the values of the namespace are invalid: {foreign:?}");
        assert_eq!(subject.number.call(1).await, after);
    }
}

async fn a_value_of_another_type(_: &impl Server, subject: &Subject<'_>) {
    subject.does_not_read_values_of(&subject.text).await;
}

async fn a_value_of_another_codec(_: &impl Server, subject: &Subject<'_>) {
    subject.does_not_read_values_of(&subject.json).await;
}

async fn a_value_of_another_version(_: &impl Server, subject: &Subject<'_>) {
    let old = subject.number.call(1).await;
    let new = subject.next.call(1).await;
    assert_ne!(new, old);
    // During a deploy both versions are in use; neither invalidates the values of the other.
    assert_eq!((subject.number.call(1).await, subject.next.call(1).await), (old, new));
    assert_eq!((subject.number.stats().undecodable, subject.next.stats().undecodable), (0, 0));
}

/// A list under the key: reading it as a value is an error of Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_in_redis() {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

    #[async_cached(ttl = 600, backend = SERVER.get().unwrap().store(), name = "list")]
    async fn number() -> u64 {
        yield_now().await;
        COMPUTATIONS.fetch_add(1, Relaxed)
    }

    let server = SERVER.get_or_init(RedisServer::start);
    for kind in ["RPUSH", "SADD"] {
        let before = number().await;
        let name = format!("cached:{{{}}}", Key::new("list.v1", &()).unwrap());
        assert_eq!(server.command(&["DEL", &name]), "1");
        assert_eq!(server.command(&[kind, &name, "x"]), "1");
        let after = number().await;
        assert_ne!(after, before);
        assert_eq!(number().await, after, "it is replaced");
    }
    assert_eq!(number::stats().store_errors, 0);
}

/// What another program wrote where a lease belongs never ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_lease_in_redis() {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

    #[async_cached(ttl = 600, backend = SERVER.get().unwrap().store(), name = "lease")]
    async fn number() -> u64 {
        yield_now().await;
        COMPUTATIONS.fetch_add(1, Relaxed)
    }

    let server = SERVER.get_or_init(RedisServer::start);
    let name = format!("cached:{{{}}}", Key::new("lease.v1", &()).unwrap());
    let lease = format!("{name}:l");
    let long = "x".repeat(40);
    for foreign in [["RPUSH", &lease, "x"], ["SET", &lease, "foreign"], ["SET", &lease, &long]] {
        for command in [&["DEL", &name, &lease], &foreign] {
            let _ = server.command(command);
        }
        let call = tokio::time::timeout(std::time::Duration::from_secs(15), number());
        let value = call.await.unwrap_or_else(|_| panic!("{foreign:?} delays the call"));
        assert_eq!(number().await, value, "it is stored: {foreign:?}");
    }
    assert_eq!((COMPUTATIONS.load(Relaxed), number::stats().store_errors), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_too_large_for_memcached() {
    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
    static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn zeros(length: usize) -> Vec<u8> {
        yield_now().await;
        COMPUTATIONS.fetch_add(1, Relaxed);
        vec![0; length]
    }

    let server = MemcachedServer::start();
    STORE.get_or_init(|| MemcachedServer::store_at(&server.addr(), std::time::Duration::from_secs(10)));
    // The envelope has 56 bytes, and the msgpack header of the bytes has 5.
    let largest = (1 << 20) - (1 << 10) - 56 - 5;
    for length in [largest, largest] {
        assert_eq!(zeros(length).await.len(), length);
    }
    assert_eq!((COMPUTATIONS.load(Relaxed), zeros::stats().shared_hits), (1, 1));
    assert_eq!(zeros::stats().store_errors, 0);

    for errors in 1..=2 {
        assert_eq!(zeros(largest + 1).await.len(), largest + 1, "the caller gets the value");
        assert_eq!((COMPUTATIONS.load(Relaxed), zeros::stats().store_errors), (1 + errors, errors));
    }
    assert_eq!(zeros(largest).await.len(), largest);
    assert_eq!(zeros::stats().shared_hits, 2, "the other value is still stored");

    zeros::put(1, vec![0; 10 << 20]).await.unwrap_err();
    // A failed `put` removes the old value; reads that overlap the removal are not used.
    eventually("the other value is still stored", async || zeros::peek(largest).await.is_some()).await;
}

/// The item limit of the server is lower than that of the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_memcached_itself_rejects() {
    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
    static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn zeros(length: usize) -> Vec<u8> {
        yield_now().await;
        COMPUTATIONS.fetch_add(1, Relaxed);
        vec![0; length]
    }

    let server = MemcachedServer::start_with(&["-I", "512k"]);
    let config = MemcachedConfig::new(server.addr()).deadline(std::time::Duration::from_secs(10));
    STORE.get_or_init(|| Arc::new(Memcached::new(config).unwrap()));
    for errors in 1..=2 {
        assert_eq!(zeros(700_000).await.len(), 700_000);
        assert_eq!((COMPUTATIONS.load(Relaxed), zeros::stats().store_errors), (errors, errors));
    }
    assert_eq!(zeros(1_000).await.len(), 1_000);
    assert_eq!(zeros(1_000).await.len(), 1_000);
    assert_eq!(zeros::stats().shared_hits, 1);
}

/// Functions that share a namespace, and their store.
struct Subject<'a> {
    store: &'a dyn Store,
    computations: &'a AtomicU64,
    number: Function,
    text: Function,
    json: Function,
    next: Function,
}

struct Function {
    call: fn(u64) -> BoxFuture<'static, u64>,
    stats: fn() -> Stats,
}

impl Function {
    async fn call(&self, id: u64) -> u64 {
        (self.call)(id).await
    }

    fn stats(&self) -> Stats {
        (self.stats)()
    }
}

impl Subject<'_> {
    fn key(id: u64) -> Key {
        Key::new("same.v1", &(id,)).unwrap()
    }

    async fn get(&self, id: u64) -> Bytes {
        self.store.get(&[Self::key(id)]).await.unwrap().remove(0).expect("the key has a value")
    }

    /// Computes and returns the stored value of the key 1.
    async fn good_value(&self) -> Bytes {
        self.number.call(1).await;
        self.get(1).await
    }

    /// Stores these bytes under the key 1, and expects a miss that replaces them and counts as undecodable.
    async fn is_replaced(&self, bytes: Bytes, what: &str) {
        self.store.put(&Self::key(1), bytes.clone(), None).await.unwrap();
        let (next, before) = (self.computations.load(Relaxed), self.number.stats());
        assert_eq!(self.number.call(1).await, next, "it is computed: {what}");
        assert_ne!(self.get(1).await, bytes, "it is replaced: {what}");
        assert_eq!(self.number.call(1).await, next, "by the computed value: {what}");
        let after = self.number.stats();
        assert_eq!(after.undecodable, before.undecodable + 1, "{what}");
        assert_eq!(after.shared_hits, before.shared_hits + 1, "{what}");
        assert_eq!(after.store_errors, 0, "{what}");
    }

    /// Expects that two functions with one key keep separate values.
    async fn does_not_read_values_of(&self, other: &Function) {
        let first = self.number.call(1).await;
        let second = other.call(1).await;
        assert_ne!(second, first, "it is computed");
        assert_eq!(other.call(1).await, second, "and stored");
        assert_eq!(self.number.call(1).await, first, "the first value is kept");
        assert_eq!((other.stats().computed, other.stats().shared_hits), (1, 1));
        assert_eq!((self.number.stats().computed, self.number.stats().store_errors), (1, 0));
    }
}
