//! `backend = "shared"` and named stores: where values are is the configuration's choice. Each task runs in a process of its
//! own, because the configuration belongs to the process.

use std::sync::Arc;

use cached_runtime::{Error, ErrorKind, async_cached, configure};
use cached_tests::map_store::MapStore;
use cached_tests::own_process::only;
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::task::yield_now;

use crate::servers::eventually;

/// The environment variable that gives a process its task.
const TASK: &str = "CACHED_TEST_SHARED_BACKEND";

// Options of memory and options of shared stores stand beside each other.
#[async_cached(ttl = 600, backend = "shared", capacity = 1_000, codec = "json", version = 2, jitter = 0.2)]
async fn chosen(id: u64) -> u64 {
    yield_now().await;
    id
}

#[async_cached(ttl = 600, backend = "shared", max_bytes = "1MiB", weigh = |_, value| value.len() as u64)]
async fn weighed(n: usize) -> String {
    "x".repeat(n)
}

#[async_cached(ttl = 600, backend = cached_runtime::store("sessions"))]
async fn session(id: u64) -> u64 {
    yield_now().await;
    id
}

#[async_cached(ttl = 600, backend = cached_runtime::store("nobody's"))]
async fn of_an_unknown_store(id: u64) -> u64 {
    id
}

#[test]
fn values_are_in_memory_without_a_configuration() {
    run("hit in memory", &[]);
    run("hit in memory", &[("CACHED_SHARED_URL", " memory:// ".to_owned())]);
}

#[test]
fn one_variable_moves_the_values_to_redis_or_memcached() {
    let redis = RedisServer::start();
    run("hit in a store", &[("CACHED_SHARED_URL", redis.url())]);
    assert!(redis.command(&["KEYS", "*weighed.v1:*"]).contains("weighed"));

    let memcached = MemcachedServer::start();
    run("hit in a store", &[("CACHED_SHARED_URL", format!("memcached://{}", memcached.addr()))]);
    assert_ne!(memcached.stat("curr_items"), 0);
}

#[cfg(feature = "moved-clock")]
#[test]
fn tests_in_isolation_leave_any_backend_as_it_was() {
    run("isolated", &[]);
    let redis = RedisServer::start();
    run("isolated", &[("CACHED_SHARED_URL", redis.url())]);
    assert_eq!(redis.command(&["KEYS", "*test-*"]), "");
    let memcached = MemcachedServer::start();
    run("isolated", &[("CACHED_SHARED_URL", format!("memcached://{}", memcached.addr()))]);
}

#[test]
fn off_computes_each_time_and_companions_succeed() {
    run("off", &[("CACHED_SHARED_URL", "off://".to_owned())]);
}

#[test]
fn a_url_that_is_invalid_is_an_error_that_names_the_variable() {
    for url in ["redis", "http://u:s3cret@a", "memcached://a,b", "redis://localhost:123456"] {
        run("name the variable", &[("CACHED_SHARED_URL", url.to_owned())]);
    }
}

#[test]
fn code_overrides_the_environment() {
    run("a store of one's own", &[("CACHED_SHARED_URL", "redis://127.0.0.1:1".to_owned())]);
}

#[test]
fn a_store_has_a_name() {
    let redis = RedisServer::start();
    run("named", &[("REDIS", redis.url())]);
    assert!(redis.command(&["KEYS", "*session*"]).contains("session"));
}

#[test]
fn a_name_that_nobody_configured_is_an_error() {
    run("unknown name", &[]);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    run("mistakes", &[("CACHED_REDIS_URL", "nowhere".to_owned())]);
}

/// Runs a task in a process of its own, and checks that it succeeds and prints no password.
fn run(task: &str, environment: &[(&str, String)]) {
    let output = only("shared_backend::task_of_a_process")
        .env_remove("CACHED_SHARED_URL")
        .env_remove("CACHED_REDIS_URL")
        .env(TASK, task)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(output.status.success() && printed.contains("1 passed"), "{task}: {printed}");
    assert!(!printed.contains("s3cret"), "{task}: {printed}");
}

/// The entry point of the processes of the tests above.
#[test]
fn task_of_a_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match task.as_str() {
            "hit in memory" => hit_in_memory().await,
            "hit in a store" => hit_in_a_store().await,
            #[cfg(feature = "moved-clock")]
            "isolated" => in_isolation().await,
            "off" => off().await,
            "name the variable" => name_the_variable().await,
            "a store of one's own" => {
                configure().shared("off://").shared(Arc::new(MapStore::default())).install().unwrap();
                hit_in_a_store().await;
            }
            "named" => named().await,
            "unknown name" => unknown_name().await,
            "mistakes" => mistakes(),
            _ => panic!("{TASK}={task}"),
        }
    });
}

async fn hit_in_memory() {
    for _ in 0..3 {
        assert_eq!((chosen(1).await, weighed(2).await), (1, "xx".to_owned()));
    }
    let stats = chosen::stats();
    assert_eq!((stats.computed, stats.hits, stats.entries), (1, 2, 1));
    assert!(weighed(2 << 20).await.len() == 2 << 20 && weighed::stats().entries <= 1, "`max_bytes` applies");
    chosen::invalidate(1).await.unwrap();
    assert_eq!(chosen::peek(1).await, None);
}

async fn hit_in_a_store() {
    // The default deadlines are short, and the machine may be busy.
    eventually("the store answers", async || {
        assert_eq!((chosen(1).await, weighed(2).await), (1, "xx".to_owned()));
        chosen::stats().shared_hits > 0 && weighed::stats().shared_hits > 0
    })
    .await;
    assert_eq!((chosen::stats().hits, chosen::stats().entries), (0, 0));
    eventually("the store confirms", async || chosen::invalidate(1).await.is_ok()).await;
}

#[cfg(feature = "moved-clock")]
async fn in_isolation() {
    use cached_runtime::Source;
    use cached_runtime::test::isolated;

    let is_stored = async || {
        assert_eq!(chosen(1).await, 1);
        chosen::lookup(1).await.source != Source::Computed
    };
    eventually("the value is stored", is_stored).await;
    let test = async |value| {
        assert_eq!(chosen::peek(1).await, None, "of the other test, or from outside");
        eventually("the value is put", async || chosen::put(1, value).await.is_ok()).await;
        yield_now().await;
        eventually("the value is read", async || chosen::peek(1).await == Some(value)).await;
        eventually("the value is removed", async || chosen::clear().await.is_ok()).await;
    };
    tokio::join!(isolated(test(5)), isolated(test(6)));
    eventually("the value is as before", async || chosen::peek(1).await == Some(1)).await;
}

async fn off() {
    for _ in 0..3 {
        assert_eq!(chosen(1).await, 1);
    }
    chosen::put(1, 5).await.unwrap();
    assert_eq!((chosen::peek(1).await, chosen(1).await, chosen::refresh(1).await), (None, 1, 1));
    chosen::invalidate(1).await.unwrap();
    chosen::expire(1).await.unwrap();
    chosen::clear().await.unwrap();
    cached_runtime::set_enabled(true);
    chosen::set_enabled(true);
    let stats = chosen::stats();
    assert_eq!((stats.bypassed + stats.computed, stats.hits, stats.entries), (5, 0, 0), "{stats:?}");
    chosen(1).await;
    assert_eq!((chosen(1).await, chosen::stats().hits), (1, 0), "no switch turns it on");
}

async fn name_the_variable() {
    let error = configure().install().unwrap_err();
    assert!(
        error.kind() == ErrorKind::Config && error.to_string().contains("CACHED_SHARED_URL"),
        "{error:?}"
    );
    assert_eq!((chosen(1).await, chosen(1).await), (1, 1));
    assert!(chosen::stats().store_errors > 0 && chosen::stats().computed == 2);
    assert!(chosen::invalidate(1).await.unwrap_err().to_string().contains("CACHED_SHARED_URL"));
}

async fn named() {
    let url = std::env::var("REDIS").unwrap();
    configure().store("sessions", url).install().unwrap();
    eventually("the store answers", async || {
        assert_eq!((session(1).await, chosen(1).await), (1, 1));
        session::stats().shared_hits > 0 && chosen::stats().hits > 0
    })
    .await;
}

async fn unknown_name() {
    assert_eq!((of_an_unknown_store(1).await, of_an_unknown_store(1).await), (1, 1));
    assert!(of_an_unknown_store::stats().store_errors > 0);
    let error = of_an_unknown_store::invalidate(1).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && all_of(&error).contains("nobody\\'s"), "{error:?}");
}

fn mistakes() {
    let error = configure().shared("http://s3cret").store("sessions", "memcached://").install().unwrap_err();
    let text = all_of(&error);
    for mistake in ["shared: the scheme", "sessions: ", "CACHED_REDIS_URL"] {
        assert!(text.contains(mistake), "{mistake}: {text}");
    }
    // A configuration that was not installed has no effect.
    configure().redis(cached_runtime::RedisConfig::new("redis://127.0.0.1:1")).install().unwrap();
}

/// Returns the text of an error with its causes.
fn all_of(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
