//! The cost of a hit in memory: no allocation of its own, and one clone of the value.
//!
//! The allocator counts per thread. A current-thread runtime polls the hits on the thread that counts.
#![allow(clippy::unused_async, reason = "the cached bodies do not await")]
#![allow(clippy::unwrap_used, reason = "in a test it is as good as an assertion")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use cached_runtime::async_cached;

/// Returns the allocations of a future that is ready at the first poll, as a hit is.
fn allocations<F: Future>(call: impl FnOnce() -> F) -> (u64, F::Output) {
    let mut output = None;
    let measured = measure(|| {
        let mut call = pin!(call());
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ready) => output = Some(ready),
            Poll::Pending => panic!("a hit does not wait"),
        }
    });
    (measured.count_total, output.unwrap())
}

#[async_cached(ttl = 60)]
async fn price(id: u64, currency: &str) -> u64 {
    id + currency.len() as u64
}

#[async_cached(ttl = 60)]
async fn greeting(name: Option<&str>) -> u64 {
    name.map_or(0, |name| name.len() as u64)
}

#[async_cached(ttl = 60)]
async fn mixed(ids: &[u64], key: (&str, &str), owned: String) -> Result<Arc<str>, String> {
    Ok(format!("{ids:?}{key:?}{owned}").into())
}

#[async_cached(ttl = 60)]
async fn text(length: usize) -> String {
    "x".repeat(length)
}

#[async_cached(ttl = 60)]
async fn texts(length: usize) -> Vec<String> {
    vec!["x".to_owned(); length]
}

#[async_cached(ttl = 60)]
async fn counted(id: u64) -> Counted {
    let _ = id;
    Counted
}

#[async_cached(ttl = 60, max_bytes = 1_000, weigh = |_, _: &u64| 8)]
async fn weighed(name: &str) -> u64 {
    name.len() as u64
}

#[async_cached(ttl = 60, tags("price:{id}", "prices"), stale_while_revalidate = 60, refresh_ahead)]
async fn tagged(id: u64) -> u64 {
    id
}

struct Repo(u64);

impl Repo {
    #[async_cached(ttl = 60, key = (self.0, name))]
    async fn find(&self, name: &str) -> u64 {
        self.0 + name.len() as u64
    }
}

/// Counts its clones.
struct Counted;

static CLONES: AtomicU64 = AtomicU64::new(0);

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONES.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing() {
    price(1, "EUR").await;
    assert_eq!(allocations(|| price(1, "EUR")), (0, 4));
    for name in [None, Some(""), Some("a long name that would not fit into a few bytes")] {
        greeting(name).await;
        assert_eq!(allocations(|| greeting(name)).0, 0, "{name:?}");
    }
    weighed("name").await;
    assert_eq!(allocations(|| weighed("name")), (0, 4));
    tagged(1).await;
    assert_eq!(allocations(|| tagged(1)), (0, 1));
    Repo(7).find("name").await;
    assert_eq!(allocations(|| Repo::find(&Repo(7), "name")), (0, 11));
}

#[tokio::test]
async fn no_argument_is_copied_by_a_hit() {
    let call = |owned| mixed(&[1, 2, 3], ("a", "b"), owned);
    call("owned".to_owned()).await.unwrap();
    let owned = "owned".to_owned();
    assert_eq!(allocations(|| call(owned)).0, 0);
}

#[tokio::test]
async fn a_hit_allocates_only_what_cloning_its_value_does() {
    for length in [0, 1, 100, 10_000] {
        let value = text(length).await;
        let by_clone = measure(|| drop(value.clone()));
        let by_hit = measure(|| drop(allocations(|| text(length))));
        assert_eq!((by_hit.count_total, by_hit.bytes_total), (by_clone.count_total, by_clone.bytes_total));

        let value = texts(length).await;
        assert_eq!(allocations(|| texts(length)).0, measure(|| drop(value.clone())).count_total);
    }
}

#[tokio::test]
async fn a_hit_clones_its_value_once() {
    counted(1).await;
    for hits in 1..=3 {
        let before = CLONES.load(Ordering::Relaxed);
        for _ in 0..hits {
            counted(1).await;
        }
        assert_eq!(CLONES.load(Ordering::Relaxed) - before, hits);
    }
}

#[tokio::test]
async fn a_computation_clones_its_value_once_to_store_it() {
    let before = STORED.load(Ordering::Relaxed);
    stored().await;
    assert_eq!(STORED.load(Ordering::Relaxed) - before, 1);
}

static STORED: AtomicU64 = AtomicU64::new(0);

struct Stored;

impl Clone for Stored {
    fn clone(&self) -> Self {
        STORED.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

#[async_cached(ttl = 60)]
async fn stored() -> Stored {
    Stored
}

/// Shows that the zeros above are measured.
#[tokio::test]
async fn the_allocator_counts() {
    assert!(measure(|| drop(std::hint::black_box(Box::new(1_u64)))).count_total == 1);
    let (allocations, _) = allocations(|| async { std::hint::black_box(vec![1_u8]) });
    assert_eq!(allocations, 1);
}

/// What a value of a few hundred bytes announces, and does not have: 50 000 elements at each level.
struct Announced {
    levels: u64,
}

impl serde::Serialize for Announced {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;

        let mut elements = serializer.serialize_seq(Some(50_000))?;
        if let Some(levels) = self.levels.checked_sub(1) {
            elements.serialize_element(&Announced { levels })?;
        }
        elements.end()
    }
}

#[derive(serde::Deserialize)]
struct Nested(#[allow(dead_code, reason = "only its decoding matters")] Vec<Nested>);

/// Serializes as a forged value, and is deserialized as what it pretends to be.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(from = "Nested")]
struct Forged;

impl From<Nested> for Forged {
    fn from(_: Nested) -> Self {
        Self
    }
}

impl serde::Serialize for Forged {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Announced { levels: 60 }.serialize(serializer)
    }
}

static FORGED: std::sync::LazyLock<cached_tests::map_store::MapStore> =
    std::sync::LazyLock::new(Default::default);

#[async_cached(ttl = 60, backend = &*FORGED)]
async fn forged() -> Forged {
    Forged
}

#[test]
fn decoding_reserves_no_more_elements_than_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        forged().await;
        forged().await;
    });
    assert_eq!(forged::stats().undecodable, 1, "the second call has found the forged value");
    let measured = measure(|| assert!(runtime.block_on(forged::peek()).is_none()));
    assert_eq!(forged::stats().undecodable, 2);
    assert!(measured.bytes_total < 64 << 10, "{measured:?}");
}

/// Just below a power of two for each shard, whatever the number of shards: tables double when they grow.
const NUMBERS: u64 = 126_000;

#[async_cached(ttl = 60, capacity = 200_000)]
async fn number(n: u64) -> u64 {
    n
}

#[test]
fn a_number_by_number_takes_at_most_64_bytes() {
    let mut first = 0;
    allocations(|| number(0));
    let measured = measure(|| {
        for n in 0..NUMBERS {
            let mut call = pin!(number(n));
            if let Poll::Ready(number) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                first ^= number;
            }
        }
    });
    assert_eq!(number::stats().entries, NUMBERS);
    let bytes = measured.bytes_current / NUMBERS.cast_signed();
    assert!((16..=64).contains(&bytes), "{bytes} bytes");
}

/// The state of the call, and its flight, which other calls could have joined; with the feature `metrics`, which
/// the tests enable, also the labels of the duration.
#[test]
fn a_miss_of_a_number_allocates_three_times() {
    #[async_cached(ttl = 60)]
    async fn missed(n: u64) -> u64 {
        n
    }

    const WARM: u64 = 20_000;
    for n in 0..WARM {
        allocations(|| missed(n));
    }
    let most = (WARM..WARM + 1_000).map(|n| allocations(|| missed(n)).0).max();
    assert_eq!(most, Some(3));
}
