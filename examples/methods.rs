//! Methods: which calls share values, and how to reach the companions.
//!
//! ```text
//! $ cargo run --example methods
//! two shops, one product each: 2 computed
//! the same product again: 0 computed
//! after `invalidate` for one of the shops: 1 computed
//! two connections to one directory: 1 computed
//! a method of a trait, three calls: 1 computed
//! after `clear` by its companion: 1 computed
//! a generic type, once for each parameter: 2 computed
//! cached functions: 4
//! ```

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cached_runtime::async_cached;

/// Two shops have different prices, so the key contains what distinguishes them.
struct Shop {
    id: u64,
    rate: u64,
}

impl Shop {
    // A method with a visibility (`pub(self)` counts) has companions: see `price_cache` below.
    #[async_cached(ttl = 60, key = (self.id, product))]
    pub(crate) async fn price(&self, product: u64) -> u64 {
        work().await;
        product * self.rate
    }
}

/// Every connection reads the same directory, so `self` is not part of the key.
struct Directory;

impl Directory {
    #[async_cached(ttl = 60, skip(self))]
    pub(crate) async fn name(&self, id: u64) -> String {
        work().await;
        format!("name of {id}")
    }
}

trait Find {
    async fn find(&self, id: u64) -> String;
}

struct Users;

/// With the attribute on the impl of the trait as well, `Users` has the companions.
#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> String {
        work().await;
        format!("user {id}")
    }
}

struct Author;
struct Book;

/// `Repo<Author>` and `Repo<Book>` never share values.
struct Repo<T>(PhantomData<T>);

impl<T: Send + Sync + 'static> Repo<T> {
    #[async_cached(ttl = 60, associated)]
    pub(crate) async fn load(id: u64) -> String {
        work().await;
        format!("{} {id}", std::any::type_name::<T>())
    }
}

#[tokio::main]
async fn main() -> cached_runtime::Result<()> {
    let (here, there) = (Shop { id: 1, rate: 3 }, Shop { id: 2, rate: 5 });
    assert_eq!((here.price(7).await, there.price(7).await), (21, 35));
    show("two shops, one product each");
    here.price(7).await;
    there.price(7).await;
    show("the same product again");

    // The key has the arguments as the method takes them, with `&Self` first because `self` is in the key.
    Shop::price_cache().invalidate((&here, 7)).await?;
    here.price(7).await;
    there.price(7).await;
    show("after `invalidate` for one of the shops");

    Directory.name(1).await;
    Directory.name(1).await;
    show("two connections to one directory");
    assert_eq!(Directory::name_cache().peek(1).await.as_deref(), Some("name of 1"));
    assert_eq!(Directory::name_cache().peek(2).await, None);

    for _ in 0..3 {
        Users.find(1).await;
    }
    show("a method of a trait, three calls");
    Users::find_cache().clear().await?;
    Users.find(1).await;
    show("after `clear` by its companion");

    Repo::<Author>::load(1).await;
    Repo::<Book>::load(1).await;
    show("a generic type, once for each parameter");

    println!("cached functions: {}", cached_runtime::caches().len());
    Ok(())
}

static COMPUTED: AtomicU64 = AtomicU64::new(0);

/// Takes a moment, and counts its calls.
async fn work() {
    COMPUTED.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Prints how often a body ran since the last call of this function.
fn show(what: &str) {
    println!("{what}: {} computed", COMPUTED.swap(0, Ordering::Relaxed));
}
