//! `health` and `connect`: what a process knows of its servers, and reaching them before the first request.

use std::time::Duration;

use cached_runtime::{
    ErrorKind, RedisConfig, ServerHealth, ServerState, async_cached, configure, connect, health,
};
use cached_tests::in_own_process;
use cached_tests::server::{MemcachedServer, RedisServer};

use crate::servers::eventually;
use crate::support::SOON;

#[async_cached(ttl = 600, backend = cached_runtime::store("first"), tags("tag"))]
async fn first(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 600, backend = cached_runtime::store("unknown"))]
async fn of_an_unknown_store(id: u64) -> u64 {
    id
}

fn of(name: &str) -> ServerHealth {
    health().into_iter().find(|server| server.name == name).unwrap()
}

/// Returns the message of an error with that of its source.
fn text(error: &cached_runtime::Error) -> String {
    format!("{error}: {}", std::error::Error::source(error).unwrap())
}

#[tokio::test]
async fn health_follows_an_outage() {
    in_own_process!();
    let (mut server, memcached) = (RedisServer::start(), MemcachedServer::start());
    let url = format!("memcached://{}", memcached.addr());
    let unreachable = RedisConfig::new(server.url()).deadline(Duration::from_millis(200));
    configure().store("first", unreachable).store("second", url).install().unwrap();
    assert_eq!((of("first").state, of("first").latency), (ServerState::Unused, None));

    // The deadlines are short, and the machine may be busy.
    eventually("both servers are reached", async || connect().await.is_ok()).await;
    let (first_server, second_server) = (of("first"), of("second"));
    assert_eq!((first_server.state, second_server.state), (ServerState::Up, ServerState::Up));
    assert!(first_server.latency.is_some() && first_server.pending_invalidations == 0);
    first(1).await;

    server.kill();
    eventually("an invalidation fails", async || first::invalidate(1).await.is_err()).await;
    let down = of("first");
    assert_eq!((down.state, down.pending_invalidations), (ServerState::Down, 1));
    assert!(down.last_error.is_some());
    assert_eq!(of("second").state, ServerState::Up);

    server.restart();
    eventually("the invalidation is confirmed", async || {
        let first_server = of("first");
        first_server.state == ServerState::Up && first_server.pending_invalidations == 0
    })
    .await;
    assert!(of("first").last_error.is_some() && of("first").since < down.since + Duration::from_secs(60));
}

#[tokio::test]
async fn connect_says_which_server_it_does_not_reach() {
    in_own_process!();
    let (server, stopped) = (RedisServer::start(), RedisServer::start_with(&["--requirepass", "another"]));
    configure()
        .shared(RedisConfig::new(server.url()).connect_timeout(SOON).deadline(SOON))
        .store("first", format!("redis://:s3cret@{}", stopped.addr()))
        .store("in memory", "memory://")
        .install()
        .unwrap();
    of_an_unknown_store(1).await;
    let error = connect().await.unwrap_err();
    let text = text(&error);
    assert!(text.contains("first: ") && text.contains("unknown: "), "{text}");
    assert!(!text.contains("shared: ") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn store_that_a_function_names_itself_is_listed() {
    #[async_cached(ttl = 600, backend = crate::support::redis())]
    async fn through_an_expression(id: u64) -> u64 {
        id
    }
    through_an_expression(1).await;
    assert!(
        health().iter().any(|server| server.name.starts_with("Redis") && server.state == ServerState::Up)
    );
}

#[test]
fn connect_needs_a_runtime() {
    in_own_process!();
    configure().shared("redis://127.0.0.1:1").install().unwrap();
    let mut connecting = Box::pin(connect());
    let waker = std::task::Waker::noop();
    match connecting.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}

/// Nobody has configured it, and no server may listen at its address.
#[tokio::test]
async fn a_default_server_that_a_function_uses_is_listed_by_its_name() {
    #[async_cached(ttl = 600, backend = "redis")]
    async fn in_the_default_server(id: u64) -> u64 {
        id
    }

    in_own_process!();
    assert!(health().is_empty());
    in_the_default_server(1).await;
    assert_eq!(health().iter().map(|server| &*server.name).collect::<Vec<_>>(), ["redis"]);
    assert_ne!(of("redis").state, ServerState::Unused);
}
