//! The option `readable`: entries whose names contain the arguments.

use cached_runtime::{Source, async_cached};

use crate::support::{MEMCACHED, REDIS, memcached, redis};

#[async_cached(ttl = 600, readable, name = "readable.redis", backend = redis())]
async fn in_redis(id: u64, lang: &str) -> String {
    format!("{id} in {lang}")
}

#[async_cached(ttl = 600, readable, name = "readable.memcached", backend = memcached())]
async fn in_memcached(id: u64, lang: &str) -> String {
    format!("{id} in {lang}")
}

#[async_cached(ttl = 600, readable, name = "readable.shared", backend = "shared")]
async fn wherever(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 600, readable, name = "users", version = 2, backend = redis())]
async fn user(id: u64) -> u64 {
    id
}

/// The page "operating" of the guide contains it.
#[tokio::test]
async fn the_name_in_the_guide_is_that_of_the_entry() {
    assert_eq!(user::key(42).unwrap(), "cached:{users.v2:42:6c85be50589660639df0a02b90858c08}");
    assert_eq!(user(42).await, 42);
    assert_eq!(REDIS.command(&["UNLINK", &user::key(42).unwrap()]), "1");
}

#[tokio::test]
async fn an_entry_is_found_by_its_arguments_in_redis() {
    in_redis(42, "en {us}").await;
    let pattern = "cached:{readable.redis.v1:42,en__us_:*}";
    let found = REDIS.command(&["KEYS", pattern]);
    assert_eq!(found, in_redis::key(42, "en {us}").unwrap());
    assert_eq!(in_redis::lookup(42, "en {us}").await.source, Source::Shared);

    assert_eq!(REDIS.command(&["DEL", &found]), "1");
    assert_eq!(in_redis::lookup(42, "en {us}").await.source, Source::Computed);
    in_redis::invalidate(42, "en {us}").await.unwrap();
    assert_eq!(REDIS.command(&["KEYS", pattern]), "");
}

#[tokio::test]
async fn an_entry_has_its_arguments_in_its_name_in_memcached() {
    in_memcached(42, "en\r\nget x").await;
    let key = in_memcached::key(42, "en\r\nget x").unwrap();
    assert!(key.starts_with("cached:readable.memcached.v1:42,en__get_x:"), "{key}");
    assert!(MEMCACHED.command(&format!("mg {key} s")).starts_with("HD s"));
    assert_eq!(in_memcached::lookup(42, "en\r\nget x").await.source, Source::Shared);
}

#[tokio::test]
async fn a_name_of_any_length_fits() {
    for lang in ["", "e", &"long ".repeat(5_000)] {
        in_memcached(7, lang).await;
        assert_eq!(in_memcached::lookup(7, lang).await.source, Source::Shared);
        assert!(in_memcached::key(7, lang).unwrap().len() <= 250);
    }
    assert_eq!(wherever(1).await, 1);
}
