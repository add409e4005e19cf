//! A put whose future was dropped goes on in the background. It undoes no change that began later in the process, and
//! yields to no other.
//!
//! The request of the put for its lease waits at a gate, so that the server executes it after the later change.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch,
    async_cached, expire_tag, invalidate_tag,
};
use cached_tests::map_store::MapStore;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{SOON, settle};

/// A place where an operation waits for the test.
#[derive(Debug)]
struct Gate {
    is_closed: AtomicBool,
    reached: Semaphore,
    opened: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { is_closed: AtomicBool::new(false), reached: Semaphore::new(0), opened: Semaphore::new(0) }
    }
}

impl Gate {
    /// Holds the next operation.
    fn close(&self) {
        self.is_closed.store(true, SeqCst);
    }

    /// Lets the operation through that waits.
    fn open(&self) {
        self.opened.add_permits(1);
    }

    /// Waits until an operation waits.
    async fn is_reached(&self) {
        timeout(SOON, self.reached.acquire()).await.unwrap().unwrap().forget();
    }

    /// Waits, if the gate is closed; returns `true` if it was.
    async fn pass(&self) -> bool {
        let is_held = self.is_closed.swap(false, SeqCst);
        if is_held {
            self.reached.add_permits(1);
            self.opened.acquire().await.unwrap().forget();
        }
        is_held
    }
}

/// A store that holds operations of a put.
#[derive(Debug)]
struct Gated {
    map: MapStore,
    /// Holds a read of generations, or the creation of one.
    read: Gate,
    /// Holds the request of a put for its lease.
    acquire: Gate,
    /// Holds the removal of the key whose put waits for its lease.
    remove: Gate,
    /// Whether the removal that was held fails.
    fails_to_remove: AtomicBool,
    /// The key of the put that was held, and the lease that it was granted.
    held: Mutex<Option<(Key, Lease)>>,
    /// One for each operation by which the put that was held ends.
    ends: Semaphore,
}

impl Default for Gated {
    fn default() -> Self {
        Self {
            map: MapStore::default(),
            read: Gate::default(),
            acquire: Gate::default(),
            remove: Gate::default(),
            fails_to_remove: AtomicBool::new(false),
            held: Mutex::new(None),
            ends: Semaphore::new(0),
        }
    }
}

impl Gated {
    /// Polls a put until its request for the lease waits at the gate, and drops it.
    async fn drop_at_gate(&self, put: impl Future<Output = Result<()>>) {
        self.acquire.close();
        tokio::select! {
            biased;
            _ = put => panic!("the put did not reach the gate"),
            () = self.acquire.is_reached() => {}
        }
    }

    /// Executes the request of the put that was held, and waits for the operation by which the put ends.
    async fn let_put_through(&self) {
        self.acquire.open();
        timeout(SOON, self.ends.acquire()).await.unwrap().unwrap().forget();
        settle().await;
    }

    fn is_of_put(&self, key: &Key) -> bool {
        self.held.lock().unwrap().as_ref().is_some_and(|(held, _)| held == key)
    }

    fn ended(&self, lease: Lease) {
        if self.held.lock().unwrap().as_ref().is_some_and(|(_, held)| *held == lease) {
            self.ends.add_permits(1);
        }
    }
}

impl Store for Gated {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(async move {
            // Another test may invalidate its tag in every store, which reads one key.
            if keys.len() > 1 {
                self.read.pass().await;
            }
            self.map.get(keys).await
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        Box::pin(async move {
            if mode == LeaseMode::TakeOver && self.acquire.is_closed.load(SeqCst) {
                *self.held.lock().unwrap() = Some((key.clone(), lease));
                self.acquire.pass().await;
            }
            self.map.acquire(key, lease, term, mode).await
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.map.extend(key, lease, term)
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let filled = self.map.fill(key, lease, value, ttl).await;
            self.ended(lease);
            filled
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let released = self.map.release(key, lease, attempt).await;
            self.ended(lease);
            released
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.map.put(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            self.read.pass().await;
            self.map.add(key, value, ttl).await
        })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.is_of_put(key) && self.remove.pass().await && self.fails_to_remove.swap(false, SeqCst) {
                return Err(Error::new(ErrorKind::Unreachable, "a test"));
            }
            self.map.remove(key).await
        })
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.map.watch(key)
    }
}

/// A store and functions of one test.
macro_rules! functions {
    ($store:ident: $($options:tt)*) => {
        static $store: LazyLock<Gated> = LazyLock::new(Gated::default);

        #[async_cached(ttl = 600, backend = &*$store, $($options)*)]
        async fn text(key: u64) -> String {
            format!("computed {key}")
        }
    };
}

#[tokio::test]
async fn an_invalidation_is_final_for_a_put_that_was_dropped() {
    functions! { STORE: }
    for older in [None, Some("older")] {
        if let Some(older) = older {
            text::put(1, older.to_owned()).await.unwrap();
        }
        STORE.drop_at_gate(text::put(1, "dropped".to_owned())).await;
        text::invalidate(1).await.unwrap();
        STORE.let_put_through().await;
        assert_eq!(text::peek(1).await, None);
        assert_eq!(text(1).await, "computed 1");
    }
}

#[tokio::test]
async fn a_put_is_final_for_a_put_that_was_dropped() {
    functions! { STORE: }
    STORE.drop_at_gate(text::put(1, "dropped".to_owned())).await;
    text::put(1, "new".to_owned()).await.unwrap();
    STORE.let_put_through().await;
    assert_eq!(text::peek(1).await.as_deref(), Some("new"));
    assert_eq!(text(1).await, "new");
}

#[tokio::test]
async fn a_put_of_another_runtime_is_final_for_a_put_that_was_dropped() {
    functions! { STORE: }
    STORE.drop_at_gate(text::put(1, "dropped".to_owned())).await;
    let put = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(text::put(1, "new".to_owned()))
    };
    tokio::task::spawn_blocking(put).await.unwrap().unwrap();
    STORE.let_put_through().await;
    assert_eq!(text::peek(1).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn the_last_of_several_puts_is_final() {
    functions! { STORE: }
    STORE.drop_at_gate(text::put(1, "dropped".to_owned())).await;
    text::invalidate(1).await.unwrap();
    text::put(1, "new".to_owned()).await.unwrap();
    text::put(1, "newer".to_owned()).await.unwrap();
    STORE.let_put_through().await;
    assert_eq!(text::peek(1).await.as_deref(), Some("newer"));
}

#[tokio::test]
async fn an_expiration_is_final_for_a_put_that_was_dropped() {
    functions! { STORE: stale_while_revalidate = "1h" }
    text::put(1, "older".to_owned()).await.unwrap();
    STORE.drop_at_gate(text::put(1, "dropped".to_owned())).await;
    text::expire(1).await.unwrap();
    STORE.let_put_through().await;
    // A put may return `Ok` after it has yielded, and then nothing older than its value may be left.
    assert_eq!(text::lookup(1).await.source, cached_runtime::Source::Computed);
}

/// The generations are read after the later change, so that the value would be current.
macro_rules! change_is_final {
    ($($name:ident: $change:expr, $($option:ident $value:tt)*;)*) => {$(
        #[tokio::test]
        async fn $name() {
            functions! { STORE: $($option $value)* }
            text::put(1, "older".to_owned()).await.unwrap();
            STORE.read.close();
            let put = tokio::spawn(text::put(1, "put".to_owned()));
            STORE.read.is_reached().await;
            $change.await.unwrap();
            STORE.read.open();
            timeout(SOON, put).await.unwrap().unwrap().unwrap();
            assert_eq!(text::peek(1).await, None);
            // A later put is stored again.
            text::put(1, "later".to_owned()).await.unwrap();
            assert_eq!(text::peek(1).await.as_deref(), Some("later"));
        }
    )*};
}

change_is_final! {
    a_clear_is_final: text::clear(),;
    a_clear_is_final_with_tags: text::clear(), tags ("dropped_puts.cleared");
    invalidating_a_static_tag_is_final: invalidate_tag("dropped_puts.static"), tags ("dropped_puts.static");
    expiring_a_static_tag_is_final: expire_tag("dropped_puts.expired"), tags ("dropped_puts.expired");
}

/// The tag of a value: itself.
async fn derived(text: &str) -> Result<()> {
    invalidate_tag(format!("dropped_puts.{text}")).await
}

/// The older value does not have the tag that is invalidated.
#[tokio::test]
async fn invalidating_a_derived_tag_is_final() {
    static STORE: LazyLock<Gated> = LazyLock::new(Gated::default);

    #[async_cached(
        ttl = 600,
        cache_err = 600,
        backend = &*STORE,
        tags_from = |text: &String| vec![format!("dropped_puts.{text}")]
    )]
    async fn text(key: u64) -> std::result::Result<String, String> {
        Err(format!("computed {key}"))
    }

    // An error may have any tag.
    for (put, tag) in [(Ok("put".to_owned()), "put"), (Err("put".to_owned()), "unknown")] {
        text::put(1, Ok("older".to_owned())).await.unwrap();
        STORE.read.close();
        let put = tokio::spawn(text::put(1, put));
        STORE.read.is_reached().await;
        derived(tag).await.unwrap();
        STORE.read.open();
        timeout(SOON, put).await.unwrap().unwrap().unwrap();
        assert_eq!(text::peek(1).await, None);
    }
}

#[tokio::test]
async fn changes_of_other_keys_and_tags_leave_a_put_alone() {
    static STORE: LazyLock<Gated> = LazyLock::new(Gated::default);

    #[async_cached(ttl = 600, backend = &*STORE, tags("dropped_puts.alone.{key}"))]
    async fn text(key: u64) -> String {
        format!("computed {key}")
    }

    STORE.drop_at_gate(text::put(1, "dropped".to_owned())).await;
    text::put(2, "other".to_owned()).await.unwrap();
    text::invalidate(3).await.unwrap();
    text::expire(4).await.unwrap();
    invalidate_tag("dropped_puts.alone.2").await.unwrap();
    expire_tag("dropped_puts.alone.3").await.unwrap();
    STORE.let_put_through().await;
    assert_eq!(text::peek(1).await.as_deref(), Some("dropped"));
    assert_eq!(text::peek(2).await, None);
}

/// Until the later change is executed, the value that the put replaces is still there.
#[tokio::test]
async fn a_put_that_gives_way_returns_after_the_later_change() {
    functions! { STORE: }
    for is_confirmed in [true, false] {
        text::put(1, "older".to_owned()).await.unwrap();
        STORE.acquire.close();
        let put = tokio::spawn(text::put(1, "put".to_owned()));
        STORE.acquire.is_reached().await;
        STORE.remove.close();
        STORE.fails_to_remove.store(!is_confirmed, SeqCst);
        let invalidation = tokio::spawn(text::invalidate(1));
        STORE.remove.is_reached().await;
        STORE.let_put_through().await;
        assert!(!put.is_finished());
        STORE.remove.open();
        timeout(SOON, put).await.unwrap().unwrap().unwrap();
        assert_eq!(timeout(SOON, invalidation).await.unwrap().unwrap().is_ok(), is_confirmed);
        assert_eq!(text::peek(1).await, None);
    }
}

/// Puts that wait for each other would not return.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_at_the_same_time_all_return() {
    functions! { STORE: }
    let mut puts = JoinSet::new();
    for n in 0..200 {
        puts.spawn(text::put(1, n.to_string()));
    }
    while let Some(put) = timeout(SOON, puts.join_next()).await.unwrap() {
        put.unwrap().unwrap();
    }
    text::put(1, "last".to_owned()).await.unwrap();
    assert_eq!(text::peek(1).await.as_deref(), Some("last"));
}
