//! Expressions for a custom store.

use std::sync::{Arc, LazyLock};

use cached_runtime::{Store, async_cached};
use cached_ui::{Nowhere, STORE};

static SHARED: LazyLock<Arc<Nowhere>> = LazyLock::new(|| Arc::new(Nowhere));
static OBJECT: LazyLock<Arc<dyn Store>> = LazyLock::new(|| Arc::new(Nowhere));

fn store() -> &'static Nowhere {
    &STORE
}

/// Neither `Clone` nor a pointer.
fn owned() -> Nowhere {
    Nowhere
}

fn object() -> Arc<dyn Store> {
    Arc::clone(&OBJECT)
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct User(u64);

#[async_cached(ttl = 60, backend = STORE)]
async fn a_static(id: u64, name: &str) -> Result<User, std::fmt::Error> {
    let _ = name;
    Ok(User(id))
}

#[async_cached(ttl = 60, backend = cached_runtime::store("users"))]
async fn a_name(id: u64) -> User {
    User(id)
}

// Options of memory and of shared stores together.
#[async_cached(
    ttl = 60,
    backend = "shared",
    max_bytes = "1MiB",
    weigh = |key, value| (key.0.len() + value.len()) as u64,
    codec = "msgpack",
    version = 2,
    jitter = 0.2,
    single_flight = "fleet"
)]
async fn chosen(name: &str, id: u64) -> String {
    format!("{name} {id}")
}

#[async_cached(ttl = 60, backend = store())]
async fn a_function(id: Option<&str>) -> usize {
    id.map_or(0, str::len)
}

#[async_cached(ttl = 60, backend = owned())]
async fn an_owned_store(id: u64) -> User {
    User(id)
}

#[async_cached(ttl = 60, backend = object(), detached)]
async fn an_object(id: u64) -> User {
    User(id)
}

#[async_cached(ttl = 60, backend = Arc::clone(&SHARED))]
async fn an_arc(id: Vec<u64>) -> Option<User> {
    id.first().map(|id| User(*id))
}

#[async_cached(ttl = 60, backend = cached_ui::Nowhere, skip(show))]
async fn a_value<T: Clone + Eq + std::hash::Hash + serde::Serialize + Send + Sync + 'static>(
    id: T,
    show: impl Fn(T) -> u64,
) -> User {
    User(show(id))
}

struct Users;

impl Users {
    #[async_cached(ttl = 60, backend = STORE, skip(self), cache_none = "5s")]
    pub async fn find(&self, id: &[u64]) -> Result<Option<User>, String> {
        Ok(id.first().map(|id| User(*id)))
    }
}

trait Find {
    async fn find_one(&self, id: u64) -> User;
}

impl Find for Users {
    #[async_cached(ttl = 60, backend = STORE, skip(self))]
    async fn find_one(&self, id: u64) -> User {
        User(id)
    }
}

#[tokio::test]
async fn any_expression_can_be_a_store() {
    assert_eq!(a_static(1, "a").await, Ok(User(1)));
    a_static::put(1, "a", User(2)).await.unwrap();
    a_static::invalidate(1, "a").await.unwrap();
    assert_eq!(chosen("a", 1).await, "a 1");
    assert_eq!(chosen::peek("a", 1).await.as_deref(), Some("a 1"));
    assert_eq!(a_name(1).await, User(1));
    assert_eq!(a_function(Some("a")).await, 1);
    assert_eq!(an_owned_store(1).await, User(1));
    assert_eq!(a_function::peek(Some("a")).await, None);
    assert_eq!(an_object(1).await, User(1));
    assert_eq!(an_arc(vec![1]).await, Some(User(1)));
    assert_eq!(a_value(1_u64, |id| id).await, User(1));
    assert_eq!(Users.find(&[1]).await, Ok(Some(User(1))));
    Users::find_cache().invalidate(&[1]).await.unwrap();
    assert_eq!(Users.find_one(1).await, User(1));
}
