//! Futures of cached functions: `Send` if their parts are, and hardly larger than that of the body.

use std::future::{Future, poll_fn};
use std::mem::size_of_val;
use std::sync::Arc;
use std::task::Poll;

use cached_runtime::async_cached;

fn is_send<T: Send>(value: T) -> T {
    value
}

#[derive(Debug, Clone)]
struct Failed;

#[async_cached(ttl = 60)]
async fn memory(id: u64, name: &str) -> Result<u64, Failed> {
    tokio::task::yield_now().await;
    Ok(id + name.len() as u64)
}

#[async_cached(ttl = 60, detached)]
async fn detached(id: u64, name: String) -> Result<u64, Failed> {
    tokio::task::yield_now().await;
    Ok(id + name.len() as u64)
}

#[async_cached(ttl = 60)]
async fn generic<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(id: T) -> T {
    id
}

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self))]
    pub async fn find(&self, id: u64, name: &str) -> Option<u64> {
        tokio::task::yield_now().await;
        Some(id + name.len() as u64)
    }

    #[async_cached(ttl = 60, skip(self), detached)]
    pub async fn detached(self: Arc<Self>, id: u64) -> u64 {
        id
    }
}

trait Find {
    fn find_one(&self, id: u64) -> impl Future<Output = u64> + Send;
}

impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find_one(&self, id: u64) -> u64 {
        tokio::task::yield_now().await;
        id
    }
}

#[test]
fn every_future_is_send_when_its_parts_are() {
    drop(is_send(memory(1, "a")));
    drop(is_send(memory::uncached(1, "a")));
    drop(is_send(memory::refresh(1, "a")));
    drop(is_send(memory::invalidate(1, "a")));
    drop(is_send(memory::put(1, "a", 2)));
    drop(is_send(memory::peek(1, "a")));
    drop(is_send(memory::clear()));
    drop(is_send(detached(1, String::new())));
    drop(is_send(detached::refresh(1, String::new())));
    drop(is_send(generic(1)));
    drop(is_send(Users.find(1, "a")));
    drop(is_send(Users.find_refresh(1, "a")));
    drop(is_send(Users::find_cache().invalidate((1, "a"))));
    drop(is_send(Users::find_cache().put((1, "a"), 2)));
    drop(is_send(Users::find_cache().peek((1, "a"))));
    drop(is_send(Users::find_cache().clear()));
    drop(is_send(Arc::new(Users).detached(1)));
    drop(is_send(Users.find_one(1)));
}

#[cfg(feature = "store")]
#[test]
fn so_is_every_future_of_a_shared_store() {
    use cached_ui::STORE;

    #[async_cached(ttl = 60, backend = STORE)]
    async fn shared(id: u64, name: &str) -> Option<u64> {
        tokio::task::yield_now().await;
        Some(id + name.len() as u64)
    }

    #[async_cached(ttl = 60, backend = STORE, detached)]
    async fn shared_detached(id: u64) -> u64 {
        id
    }

    drop(is_send(shared(1, "a")));
    drop(is_send(shared::refresh(1, "a")));
    drop(is_send(shared::invalidate(1, "a")));
    drop(is_send(shared::put(1, "a", 2)));
    drop(is_send(shared::peek(1, "a")));
    drop(is_send(shared::clear()));
    drop(is_send(shared_detached(1)));
}

#[async_cached(ttl = 60)]
async fn large(id: u64) -> u64 {
    let page = [id; 1_000];
    poll_fn(|_| Poll::Ready(())).await;
    page.iter().sum()
}

#[async_cached(ttl = 60)]
async fn small(id: u64) -> u64 {
    poll_fn(|_| Poll::Ready(())).await;
    id
}

struct Large;

trait Sum {
    async fn sum(&self, id: u64) -> u64;
}

impl Large {
    #[async_cached(ttl = 60, skip(self))]
    pub async fn large(&self, id: u64) -> u64 {
        let page = [id; 1_000];
        poll_fn(|_| Poll::Ready(())).await;
        page.iter().sum()
    }
}

impl Sum for Large {
    #[async_cached(ttl = 60, skip(self))]
    async fn sum(&self, id: u64) -> u64 {
        let page = [id; 1_000];
        poll_fn(|_| Poll::Ready(())).await;
        page.iter().sum()
    }
}

/// The number of bytes that caching adds to the future of the body.
const SURPLUS: usize = 160;

#[test]
fn a_body_is_stored_once() {
    let body = size_of_val(&large::uncached(1));
    assert!(body >= 8_000);
    let sizes = [
        ("fn", size_of_val(&large(1)), body),
        ("refresh", size_of_val(&large::refresh(1)), body),
        ("small fn", size_of_val(&small(1)), size_of_val(&small::uncached(1))),
        ("method", size_of_val(&Large.large(1)), size_of_val(&Large.large_uncached(1))),
        ("trait", size_of_val(&Large.sum(1)), size_of_val(&Large.large_uncached(1))),
    ];
    for (what, size, body) in sizes {
        assert!(size <= body + SURPLUS, "{what}: {size} bytes around {body}; of {sizes:?}");
    }
}
