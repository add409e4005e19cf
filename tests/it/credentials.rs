//! What a client of Redis says about itself when it connects.

use std::time::Duration;

use cached_runtime::{ErrorKind, Key, Lease, LeaseMode, Redis, RedisConfig, Store as _, ValueId};
use cached_tests::server::RedisServer;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::servers::eventually;
use crate::support::acquire;

const LONG_DEADLINE: Duration = Duration::from_secs(20);

/// Returns what a store with this configuration sends first.
async fn greeting(config: impl FnOnce(String) -> RedisConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(listener.local_addr().unwrap().to_string()).deadline(Duration::from_secs(20));
    let store = Redis::new(config).unwrap();
    let read = tokio::spawn(async move { store.get(&[Key::new("any", &1).unwrap()]).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = vec![0; 1000];
    let length = stream.read(&mut bytes).await.unwrap();
    read.abort();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn empty_password_is_no_authentication() {
    for config in [
        (|server| RedisConfig::new(format!("redis://{server}"))) as fn(String) -> RedisConfig,
        |server| RedisConfig::new(format!("redis://{server}")).credentials("", ""),
        |server| RedisConfig::new(format!("redis://:@{server}")),
        |server| RedisConfig::new(format!("redis://user:@{server}")),
        |server| RedisConfig::new(format!("redis://:secret@{server}")).credentials("", ""),
    ] {
        let greeting = greeting(config).await;
        assert!(greeting.contains("HELLO") && !greeting.contains("AUTH"), "{greeting:?}");
    }
}

#[tokio::test]
async fn password_or_explicit_user_is_authenticated() {
    for (config, sent) in [
        (
            (|server| RedisConfig::new(format!("redis://:secret@{server}"))) as fn(String) -> RedisConfig,
            "AUTH default secret\r\n",
        ),
        (
            |server| RedisConfig::new(format!("redis://{server}")).credentials("", "secret"),
            "AUTH default secret\r\n",
        ),
        // A user may need no password.
        (
            |server| RedisConfig::new(format!("redis://{server}")).credentials("user", ""),
            "AUTH user \"\"\r\n",
        ),
    ] {
        let greeting = greeting(config).await;
        assert!(greeting.contains(sent), "{greeting:?}");
    }
}

#[tokio::test]
async fn password_may_contain_any_character() {
    for password in ["correct horse", "say \"it\" 'so'", "back\\slash", "p\u{e4}ss", "two\r\nlines\t"] {
        let server = RedisServer::start_with(&["--requirepass", "plain"]);
        assert_eq!(
            server.command(&["ACL", "SETUSER", "user", "on", "~*", "+@all", &format!(">{password}")]),
            "OK"
        );
        let config = RedisConfig::new(format!("redis://{}", server.addr()));
        let config =
            config.deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE).credentials("user", password);
        let store = Redis::new(config).unwrap();
        store.put(&Key::new("any", &1).unwrap(), "value".into(), None).await.unwrap();
    }
}

#[tokio::test]
async fn user_without_a_password_is_that_user() {
    let server = RedisServer::start_with(&["--requirepass", "plain"]);
    assert_eq!(server.command(&["ACL", "SETUSER", "user", "on", "nopass", "~*", "+@all"]), "OK");
    let config = RedisConfig::new(format!("redis://{}", server.addr())).deadline(LONG_DEADLINE);
    let store = Redis::new(config.credentials("user", "")).unwrap();
    store.put(&Key::new("any", &1).unwrap(), "value".into(), None).await.unwrap();
}

/// The permissions that the guide lists are enough, for either setting.
#[tokio::test]
async fn documented_permissions_suffice() {
    let guide = include_str!("../../cached-runtime/docs/guide/configuring_servers.md");
    let (_, rest) = guide.split_once("ACL SETUSER shop").unwrap();
    let (rule, _) = rest.split_once("```").unwrap();
    let words: Vec<_> = ["ACL", "SETUSER", "shop"].into_iter().chain(rule.split_whitespace()).collect();
    let server = RedisServer::start();
    assert_eq!(server.command(&words), "OK");
    let config =
        RedisConfig::new(format!("redis://{}", server.addr())).prefix("shop:").deadline(LONG_DEADLINE);
    let config = config.credentials("shop", "PASSWORD");
    for (n, config) in [config.clone(), config.distrust_restarts()].into_iter().enumerate() {
        let store = Redis::new(config).unwrap();
        let key = Key::new("permitted", &n).unwrap();
        store.put(&key, "value".into(), None).await.unwrap();
        for _ in 0..300 {
            assert_eq!(store.get(std::slice::from_ref(&key)).await.unwrap(), [Some("value".into())]);
        }
        assert_eq!(store.get(&[key.clone(), key.clone()]).await.unwrap().len(), 2);
        assert!(store.watch(&key).await.unwrap().is_some());
        assert_eq!(store.size_of(&key).await.unwrap(), 5);
        let mode = LeaseMode::IfUnchanged(ValueId::of(b"value"));
        let lease = acquire(&store, &key, LONG_DEADLINE, mode).await.unwrap();
        assert!(store.extend(&key, &lease, LONG_DEADLINE).await.unwrap());
        assert!(store.fill(&key, lease, "new".into(), LONG_DEADLINE).await.unwrap());
        store.remove(&key).await.unwrap();
    }
    let denied = server.command(&["ACL", "LOG"]);
    assert_eq!(denied, "", "nothing was denied");
    eventually("the order of replies is checked", async || server.calls("echo") > 0).await;
}

/// Without a permission an operation fails at once. The answer is not taken for the lease of another process, which would
/// be waited for.
#[tokio::test]
async fn a_missing_permission_is_an_error_of_each_operation() {
    let server = RedisServer::start();
    let rule = ["ACL", "SETUSER", "shop", "on", ">PASSWORD", "~*", "+@all"];
    for missing in ["-get", "-set", "-strlen"] {
        assert_eq!(server.command(&[&rule[..], &[missing]].concat()), "OK");
        let config = RedisConfig::new(format!("redis://{}", server.addr())).deadline(LONG_DEADLINE);
        let store = Redis::new(config.credentials("shop", "PASSWORD")).unwrap();
        let key = Key::new("not_permitted", &missing).unwrap();
        let acquired = store.acquire(&key, Lease::random(), LONG_DEADLINE, LeaseMode::IfAbsent).await;
        let error = acquired.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{missing}: {error}");
    }
}
