//! Tests in isolation, and the store for tests: the module `test` of the crate.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cached_runtime::test::{Fault, Operation, TestStore, inherit, isolated};
use cached_runtime::{
    ErrorKind, Redis, RedisConfig, Source, async_cached, caches, contract, invalidate_tag, recompute,
};
use cached_tests::server::RedisServer;
use tokio::task::yield_now;
use tokio::time::advance;

static RUNS: AtomicU64 = AtomicU64::new(0);

#[async_cached(ttl = 60, name = "isolated.number", tags("number:{id}"))]
async fn number(id: u64) -> u64 {
    yield_now().await;
    RUNS.fetch_add(1, Ordering::Relaxed) * 1_000 + id
}

#[async_cached(ttl = 60, name = "isolated.derived", tags_from = |id: &u64| vec![format!("derived:{id}")])]
async fn derived(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn futures_in_isolation_share_nothing() {
    let outside = number(1).await;
    let test = async || {
        assert_eq!(number::stats().entries, 0);
        let value = number(1).await;
        yield_now().await;
        assert_eq!(number(1).await, value);
        assert_eq!(number::lookup(1).await.source, Source::Memory);
        assert_eq!((number::stats().computed, number::stats().hits), (1, 2));
        value
    };
    let (one, other) = tokio::join!(isolated(test()), isolated(test()));
    assert!(outside != one && one != other);
    assert_eq!(number(1).await, outside);
}

#[async_cached(ttl = 60, name = "isolated.changed")]
async fn changed(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn companions_are_about_the_caches_of_the_isolation() {
    changed(1).await;
    isolated(async {
        assert_eq!(changed::peek(1).await, None);
        changed::put(1, 5).await.unwrap();
        assert_eq!(changed(1).await, 5);
        changed::invalidate(1).await.unwrap();
        assert_eq!(changed::lookup(1).await.source, Source::Computed);
        changed::set_enabled(false);
        changed(2).await;
        assert_eq!(changed::stats().bypassed, 1);

        let listed = caches().into_iter().find(|cache| cache.name() == "isolated.changed").unwrap();
        assert_eq!(listed.stats(), changed::stats());
        listed.clear().await.unwrap();
        assert_eq!(changed::stats().entries, 0);
        assert_ne!(changed::key(1).unwrap(), "isolated.changed");
    })
    .await;
    assert_eq!(changed::lookup(1).await.source, Source::Memory);
    assert_eq!((changed::stats().computed, changed::stats().bypassed), (1, 0));
}

#[tokio::test]
async fn tags_do_not_cross() {
    let inside = isolated(async {
        number(2).await;
        derived(2).await;
        yield_now().await;
        (number::peek(2).await.is_some(), derived::peek(2).await.is_some())
    });
    number(2).await;
    derived(2).await;
    isolated(async {
        number(2).await;
        invalidate_tag("number:2").await.unwrap();
        invalidate_tag("derived:2").await.unwrap();
        assert_eq!(number::peek(2).await, None);
    })
    .await;
    assert!(number::peek(2).await.is_some() && derived::peek(2).await.is_some());
    let outside = async {
        invalidate_tag("number:2").await.unwrap();
        invalidate_tag("derived:2").await.unwrap();
    };
    let (found, ()) = tokio::join!(inside, outside);
    assert_eq!(found, (true, true));
    assert!(number::peek(2).await.is_none() && derived::peek(2).await.is_none());
}

#[async_cached(ttl = 60, stale_while_revalidate = 60, name = "isolated.stale")]
async fn stale(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 60, detached, name = "isolated.detached")]
async fn in_a_task(id: u64) -> u64 {
    number(id).await
}

#[tokio::test]
async fn tasks_of_the_cache_are_inside_and_others_if_they_inherit() {
    isolated(async {
        stale(1).await;
        stale::expire(1).await.unwrap();
        stale(1).await;
        while stale::stats().background_refreshes == 0 {
            yield_now().await;
        }
        in_a_task(7).await;
        assert_eq!(number::stats().computed, 1);
        tokio::spawn(inherit(number(8))).await.unwrap();
        assert_eq!(number::stats().computed, 2);
        tokio::spawn(changed(77)).await.unwrap();
        assert_eq!(changed::stats().computed, 0);
        recompute(number(8)).await;
        assert_eq!(number::stats().computed, 3);
        isolated(async { assert_eq!(number::stats().computed, 0) }).await;
        assert_eq!(number::stats().computed, 3);
    })
    .await;
    assert_eq!(changed::lookup(77).await.source, Source::Memory);
}

#[async_cached(ttl = 60, name = "isolated.held", skip(value))]
async fn held(value: Arc<u64>) -> Arc<u64> {
    value
}

#[tokio::test]
async fn values_are_dropped_however_the_future_ends() {
    let value = Arc::new(1);
    isolated(held(Arc::clone(&value))).await;
    assert_eq!(Arc::strong_count(&value), 1, "it ended");

    let dropped = Arc::clone(&value);
    let mut pending = Box::pin(isolated(async {
        held(dropped).await;
        std::future::pending::<()>().await;
    }));
    assert!(futures_poll(&mut pending).await);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(pending);
    assert_eq!(Arc::strong_count(&value), 1, "it was dropped");

    let panics = Arc::clone(&value);
    let panicked = tokio::spawn(
        AssertUnwindSafe(isolated(async {
            held(panics).await;
            panic!("a failed assertion");
        }))
        .0,
    );
    assert!(panicked.await.is_err());
    assert_eq!(Arc::strong_count(&value), 1, "it panicked");
}

/// Polls a future some times; returns `true` if it is pending.
async fn futures_poll(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    for _ in 0..10 {
        tokio::select! {
            biased;
            () = &mut *future => return false,
            () = yield_now() => {}
        }
    }
    true
}

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

fn redis() -> Redis {
    let soon = Duration::from_secs(5);
    Redis::new(RedisConfig::new(SERVER.url()).deadline(soon).connect_timeout(soon)).unwrap()
}

#[async_cached(ttl = 60, backend = Arc::new(redis()), name = "isolated.redis", tags("redis:{id}"))]
async fn in_redis(id: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed) * 1_000 + id
}

#[tokio::test]
async fn a_shared_store_is_left_as_it_was() {
    let outside = in_redis(1).await;
    let test = async || {
        let value = in_redis(1).await;
        assert_ne!(value, outside);
        assert_eq!(in_redis::lookup(1).await.source, Source::Shared);
        let key = in_redis::key(1).unwrap();
        assert!(key.starts_with("cached:{test-"), "{key}");
        assert_eq!(SERVER.command(&["EXISTS", &key]), "1");
        invalidate_tag("redis:1").await.unwrap();
        assert_eq!(in_redis::peek(1).await, None);
        in_redis(2).await;
        in_redis::clear().await.unwrap();
        in_redis::put(3, 3).await.unwrap();
        value
    };
    let (one, other) = tokio::join!(isolated(test()), isolated(test()));
    assert_ne!(one, other);
    assert_eq!(SERVER.command(&["KEYS", "*test-*"]), "");
    assert_eq!(in_redis(1).await, outside);
}

#[async_cached(ttl = 60, backend = Arc::new(redis()), name = "isolated.derived.redis", tags_from = |id: &u64| vec![format!("derived:{id}")])]
async fn derived_in_redis(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn derived_tags_in_a_shared_store_do_not_cross() {
    derived_in_redis(1).await;
    isolated(async {
        derived_in_redis(1).await;
        assert_eq!(derived_in_redis::lookup(1).await.source, Source::Shared);
        invalidate_tag("derived:1").await.unwrap();
        assert_eq!(derived_in_redis::peek(1).await, None);
    })
    .await;
    assert_eq!(derived_in_redis::lookup(1).await.source, Source::Shared);
    assert_eq!(SERVER.command(&["KEYS", "*test-*"]), "");
}

static STORE: LazyLock<TestStore> = LazyLock::new(TestStore::new);
static ORIGIN_FAILS: AtomicBool = AtomicBool::new(false);

#[async_cached(ttl = "1h", stale_if_error = "1h", jitter = 0.0, backend = &*STORE, name = "isolated.stored")]
async fn stored(id: u64) -> Result<u64, String> {
    if ORIGIN_FAILS.load(Ordering::Relaxed) { Err("down".to_owned()) } else { Ok(id) }
}

#[tokio::test(start_paused = true)]
async fn the_paused_clock_moves_lifetimes_in_the_store_for_tests() {
    stored(1).await.unwrap();
    advance(Duration::from_secs(3_599)).await;
    assert_eq!(stored::lookup(1).await.source, Source::Shared);
    assert!(stored::lookup(1).await.age >= Duration::from_secs(3_598));
    ORIGIN_FAILS.store(true, Ordering::Relaxed);
    advance(Duration::from_secs(2)).await;
    let lookup = stored::lookup(1).await;
    assert_eq!((lookup.value, lookup.source), (Ok(1), Source::Stale));
    advance(Duration::from_secs(3_600)).await;
    stored(1).await.unwrap_err();
    ORIGIN_FAILS.store(false, Ordering::Relaxed);
}

#[tokio::test(start_paused = true)]
async fn the_store_for_tests_passes_the_contract() {
    contract::check(&TestStore::new()).await;
}

static FAULTY: LazyLock<TestStore> = LazyLock::new(TestStore::new);

#[async_cached(ttl = 60, backend = &*FAULTY, name = "isolated.faulty")]
async fn faulty(id: u64) -> u64 {
    id
}

#[tokio::test(start_paused = true)]
async fn faults_are_what_they_say() {
    faulty(1).await;
    FAULTY.inject(Fault::error(ErrorKind::Rejected).on(Operation::Remove));
    assert_eq!(faulty::invalidate(1).await.unwrap_err().kind(), ErrorKind::Rejected);
    FAULTY.heal();
    faulty::invalidate(1).await.unwrap();

    FAULTY.inject(Fault::dropped_write().on(Operation::Fill).times(1));
    faulty(1).await;
    assert_eq!(faulty::lookup(1).await.source, Source::Computed, "the fill was dropped");
    assert_eq!(faulty::lookup(1).await.source, Source::Shared, "once");

    FAULTY.inject(Fault::delay(Duration::from_millis(900)));
    let before = tokio::time::Instant::now();
    assert_eq!(faulty::lookup(1).await.source, Source::Shared);
    assert!(before.elapsed() >= Duration::from_millis(900));
    FAULTY.heal();

    FAULTY.inject(Fault::lost_answer().on(Operation::Get));
    assert_eq!(faulty::lookup(1).await.source, Source::Computed);
    FAULTY.heal();
    let last = FAULTY.requests().into_iter().rfind(|request| request.operation == Operation::Get).unwrap();
    assert!(last.went_wrong && last.keys.len() > 1, "{last:?}");
}

#[tokio::test]
async fn random_faults_depend_on_the_seed() {
    let outcomes = async |seed| {
        let store = TestStore::with_seed(seed);
        store.inject(Fault::error(ErrorKind::Timeout).probability(0.3));
        let key = cached_runtime::Key::new("random", "key").unwrap();
        let mut outcomes = Vec::new();
        for _ in 0..1_000 {
            outcomes.push(cached_runtime::Store::remove(&store, &key).await.is_ok());
        }
        outcomes
    };
    let one = outcomes(1).await;
    assert_eq!(one, outcomes(1).await);
    assert_ne!(one, outcomes(2).await);
    let failed = one.iter().filter(|is_ok| !**is_ok).count();
    assert!((200..400).contains(&failed), "{failed}");
}
