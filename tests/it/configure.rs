//! The configuration of the named backends, and that no password is printed or logged. Each test runs in a process of
//! its own, because the configuration belongs to the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cached_runtime::{
    Config, Error, ErrorKind, Memcached, MemcachedConfig, Redis, RedisConfig, async_cached, configure,
};
use cached_tests::own_process::only;
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::task::yield_now;

use crate::servers::eventually;

/// The environment variable that gives a process its task.
const TASK: &str = "CACHED_TEST_CONFIGURE";

#[async_cached(ttl = 600, backend = "redis")]
async fn through_redis(id: u64) -> u64 {
    yield_now().await;
    id
}

#[async_cached(ttl = 600, backend = "memcached")]
async fn through_memcached(id: u64) -> u64 {
    yield_now().await;
    id
}

#[test]
fn the_environment_configures_the_servers() {
    let (redis, memcached) = (RedisServer::start(), MemcachedServer::start());
    let servers = [("CACHED_REDIS_URL", redis.url()), ("CACHED_MEMCACHED_SERVERS", memcached.addr())];
    run("both hit", &servers);
    assert_ne!(redis.command(&["DBSIZE"]), "0");
    assert_ne!(memcached.stat("curr_items"), 0);
}

#[test]
fn an_installed_configuration_overrides_the_environment() {
    let (redis, memcached) = (RedisServer::start(), MemcachedServer::start());
    let nowhere = || ("CACHED_REDIS_URL", "redis://127.0.0.1:1".to_owned());
    run("install", &[nowhere(), ("REDIS", redis.url()), ("MEMCACHED", memcached.addr())]);
}

#[test]
fn a_second_installation_is_an_error() {
    run("install twice", &[]);
}

#[test]
fn an_installation_after_the_first_use_is_an_error() {
    run("install late", &[("CACHED_REDIS_URL", "redis://127.0.0.1:1".to_owned())]);
}

#[test]
fn invalid_settings_are_reported_and_break_no_call() {
    let invalid = [("CACHED_REDIS_URL", "nowhere"), ("CACHED_MEMCACHED_SERVERS", "user:s3cret@nowhere")];
    run("use invalid settings", &invalid.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn variable_that_is_invalid_is_named_and_logged_once() {
    for (redis, memcached) in
        [("nowhere", "127.0.0.1:1"), ("redis://127.0.0.1:1", "a:1,b:2"), ("nowhere", "a:1 b:2")]
    {
        let variables = [("CACHED_REDIS_URL", redis), ("CACHED_MEMCACHED_SERVERS", memcached)];
        run("name the variable", &variables.map(|(name, value)| (name, value.to_owned())));
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let empty = [("CACHED_REDIS_URL", " "), ("CACHED_MEMCACHED_SERVERS", "")];
    run("install nothing", &empty.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn no_password_is_printed_or_logged() {
    let open = RedisServer::start_with(&["--requirepass", "s3cret"]);
    let closed = RedisServer::start_with(&["--requirepass", "another"]);
    for url in
        [open.url(), format!("redis://:s3cret@{}", closed.addr()), "redis://:s3cret@127.0.0.1:1".into()]
    {
        run("keep the password", &[("CACHED_REDIS_URL", url)]);
    }
}

/// Runs a task in a process of its own, and checks that it succeeds and prints no password.
fn run(task: &str, environment: &[(&str, String)]) {
    let output = only("configure::task_of_a_process")
        .env_remove("CACHED_REDIS_URL")
        .env_remove("CACHED_MEMCACHED_SERVERS")
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
            "both hit" => both_hit().await,
            "install" => {
                config(&variable("REDIS"), &variable("MEMCACHED")).install().unwrap();
                both_hit().await;
            }
            "install twice" => {
                config("redis://127.0.0.1", "127.0.0.1").install().unwrap();
                assert_eq!(configure().install().unwrap_err().kind(), ErrorKind::Config);
            }
            "install late" => {
                assert_eq!(through_redis(1).await, 1);
                assert_eq!(configure().install().unwrap_err().kind(), ErrorKind::Config);
            }
            "use invalid settings" => {
                assert_eq!((through_redis(1).await, through_memcached(1).await), (1, 1));
                assert!(
                    through_redis::stats().store_errors > 0 && through_memcached::stats().store_errors > 0
                );
                assert_eq!(through_redis::invalidate(1).await.unwrap_err().kind(), ErrorKind::Config);
                assert_eq!(through_memcached::invalidate(1).await.unwrap_err().kind(), ErrorKind::Config);
                assert_eq!(configure().install().unwrap_err().kind(), ErrorKind::Config);
            }
            "name the variable" => name_the_variable().await,
            "install nothing" => configure().install().unwrap(),
            "keep the password" => keep_the_password().await,
            _ => panic!("{TASK}={task}"),
        }
    });
}

fn config(redis: &str, memcached: &str) -> Config {
    configure().redis(RedisConfig::new(redis)).memcached(MemcachedConfig::new(memcached))
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

async fn both_hit() {
    // The default deadlines are short, and the machine may be busy.
    eventually("redis answers", async || {
        assert_eq!(through_redis(1).await, 1);
        through_redis::stats().shared_hits > 0
    })
    .await;
    eventually("memcached answers", async || {
        assert_eq!(through_memcached(1).await, 1);
        through_memcached::stats().shared_hits > 0
    })
    .await;
}

/// The functions whose variable is invalid compute, and say which variable it is.
async fn name_the_variable() {
    let output = Output::default();
    tracing::subscriber::set_global_default(output.clone()).unwrap();
    let is_redis_invalid = variable("CACHED_REDIS_URL") == "nowhere";
    let is_memcached_invalid = variable("CACHED_MEMCACHED_SERVERS") != "127.0.0.1:1";
    let error = configure().install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = format!("{error:?}");
    assert_eq!(error.contains("CACHED_REDIS_URL"), is_redis_invalid, "{error}");
    assert_eq!(error.contains("CACHED_MEMCACHED_SERVERS"), is_memcached_invalid, "{error}");

    for round in 1..=10 {
        assert_eq!((through_redis(round).await, through_memcached(round).await), (round, round));
    }
    for (name, is_invalid, invalidated, stats) in [
        ("CACHED_REDIS_URL", is_redis_invalid, through_redis::invalidate(1).await, through_redis::stats()),
        (
            "CACHED_MEMCACHED_SERVERS",
            is_memcached_invalid,
            through_memcached::invalidate(1).await,
            through_memcached::stats(),
        ),
    ] {
        let error = invalidated.unwrap_err();
        assert_eq!(error.kind() == ErrorKind::Config, is_invalid, "{error:?}");
        assert_eq!(error.to_string().contains(name), is_invalid, "{error:?}");
        assert!(stats.store_errors >= 10 && stats.computed == 10, "{stats:?}");
        // `note` writes an event twice.
        let output = output.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(output.matches(name).count(), 2 * usize::from(is_invalid), "{output}");
        if name == "CACHED_MEMCACHED_SERVERS" && is_invalid {
            assert!(
                output.contains("one memcached server is supported") && output.contains("host:port"),
                "{output}"
            );
        }
    }
}

/// Does everything that may print or log, and searches the output for the password.
async fn keep_the_password() {
    let output = Output::default();
    tracing::subscriber::set_global_default(output.clone()).unwrap();
    log::set_boxed_logger(Box::new(output.clone())).unwrap();
    log::set_max_level(log::LevelFilter::Trace);

    let url = variable("CACHED_REDIS_URL");
    let secret = "s3cret";
    let memcached = MemcachedConfig::new("127.0.0.1:1").credentials("user", secret);
    output.note(&(RedisConfig::new(&url), Redis::new(RedisConfig::new(&url)), &memcached));
    output.note(&Memcached::new(memcached.clone()));
    output.note(&config(&url, "127.0.0.1").memcached(memcached));
    for wrong in [format!("{url}x"), url.replace("redis://", "http://"), url.replace("://", "")] {
        output.note_error(&Redis::new(RedisConfig::new(&wrong)).unwrap_err());
        output.note(&RedisConfig::new(&wrong));
    }
    for round in 0..20 {
        through_redis(round).await;
        for error in [through_redis::invalidate(round).await, through_redis::put(round, 1).await] {
            if let Err(error) = error {
                output.note_error(&error);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    output.note(&through_redis::stats());
    output.note(&cached_runtime::caches());

    let output = output.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        output.contains("through_redis") && output.contains("connect"),
        "the logs were captured: {output}"
    );
    let leak = output.lines().find(|line| line.contains(secret)).map(|line| line.replace(secret, "PASSWORD"));
    assert_eq!(leak, None);
}

/// Everything that was printed or logged.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<String>>);

impl Output {
    fn note(&self, what: &dyn std::fmt::Debug) {
        let line = format!("{what:?} {what:#?}").replace('\n', " ");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += &(line + "\n");
    }

    fn note_error(&self, error: &Error) {
        let first: &dyn std::error::Error = error;
        std::iter::successors(Some(first), |error| error.source())
            .for_each(|error| self.note(&(error, error.to_string())));
    }
}

impl tracing::Subscriber for Output {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.note(span);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        self.note(values);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        // Its `Debug` writes every field.
        self.note(event);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

impl log::Log for Output {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.note(record.args());
    }

    fn flush(&self) {}
}
