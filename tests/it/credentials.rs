//! What a client of Redis says about itself when it connects.

use std::time::Duration;

use cached_runtime::{Key, Redis, RedisConfig, Store as _};
use cached_tests::server::RedisServer;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

const PATIENT: Duration = Duration::from_secs(20);

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
        let config = config.deadline(PATIENT).connect_timeout(PATIENT).credentials("user", password);
        let store = Redis::new(config).unwrap();
        store.put(&Key::new("any", &1).unwrap(), "value".into(), None).await.unwrap();
    }
}

#[tokio::test]
async fn user_without_a_password_is_that_user() {
    let server = RedisServer::start_with(&["--requirepass", "plain"]);
    assert_eq!(server.command(&["ACL", "SETUSER", "user", "on", "nopass", "~*", "+@all"]), "OK");
    let config = RedisConfig::new(format!("redis://{}", server.addr())).deadline(PATIENT);
    let store = Redis::new(config.credentials("user", "")).unwrap();
    store.put(&Key::new("any", &1).unwrap(), "value".into(), None).await.unwrap();
}
