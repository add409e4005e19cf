//! User types whose `Clone`, `Drop`, `Hash`, `Eq` and `weigh` call back into the cache, block, or panic, in every
//! operation: none of them runs under a lock.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use cached_runtime::{async_cached, invalidate_tag};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::support::{Body, SOON, until};

/// A place where the crate calls user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Place {
    CloneKey = 1,
    DropKey,
    HashKey,
    EqKey,
    CloneValue,
    DropValue,
    Weigh,
}

const PLACES: [Place; 7] = [
    Place::CloneKey,
    Place::DropKey,
    Place::HashKey,
    Place::EqKey,
    Place::CloneValue,
    Place::DropValue,
    Place::Weigh,
];

/// What user code does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Deed {
    /// Uses the cache, with the same key and with others.
    CallBack = 1,
    /// Waits for another thread that uses the cache in the same way.
    Block,
    /// Panics, in a `Drop` unless the thread is panicking already: anything else does not run then, or the process would
    /// be aborted.
    Panic,
}

/// One test at a time: they share what follows.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static PLACE: AtomicU8 = AtomicU8::new(0);
static DEED: AtomicU8 = AtomicU8::new(0);
static DEEDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether user code runs already on this thread; what it uses is well-behaved.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn user_code(place: Place) {
    if PLACE.load(SeqCst) != place as u8 || IS_INSIDE.replace(true) {
        return;
    }
    DEEDS.fetch_add(1, SeqCst);
    match DEED.load(SeqCst) {
        deed if deed == Deed::CallBack as u8 => use_the_cache(),
        deed if deed == Deed::Block as u8 => {
            let other = thread::spawn(|| {
                IS_INSIDE.set(true);
                use_the_cache();
            });
            other.join().unwrap();
        }
        _ => {
            IS_INSIDE.set(false);
            let is_drop = matches!(place, Place::DropKey | Place::DropValue);
            assert!(is_drop && thread::panicking(), "user code");
            return;
        }
    }
    IS_INSIDE.set(false);
}

/// Uses the key of the operation that runs this, and others.
fn use_the_cache() {
    // Not with the runtime of this thread, which may be polling.
    for key in [0, 1, 1_000] {
        now(load::peek(key_of(key)));
        now(load::invalidate(key_of(key))).transpose().unwrap();
        now(load::put(key_of(key), Value::new())).transpose().unwrap();
        now(load::expire(key_of(key))).transpose().unwrap();
        // Not unwrapped: it also asks the shared stores of other tests of this process, without a runtime.
        let _ = now(invalidate_tag(format!("user code {key}")));
    }
    // A key that nothing else uses, so that this call waits for no other.
    now(load(key_of(2_000), Body::open()));
    now(load(key_of(2_000), Body::open()));
    now(load::clear()).transpose().unwrap();
}

/// Polls a future once: in memory every operation is ready then.
fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[derive(Debug)]
struct Key(u64);

fn key_of(n: u64) -> Key {
    Key(n)
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        user_code(Place::CloneKey);
        Self(self.0)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        user_code(Place::DropKey);
    }
}

#[allow(clippy::derived_hash_with_manual_eq, reason = "it agrees with `Hash`")]
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        user_code(Place::EqKey);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        user_code(Place::HashKey);
        self.0.hash(state);
    }
}

#[derive(Debug)]
struct Value;

impl Value {
    fn new() -> Self {
        Self
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        user_code(Place::CloneValue);
        Self
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        user_code(Place::DropValue);
    }
}

#[async_cached(
    ttl = Duration::from_millis(200), tags("user code {key}"), skip(body), max_bytes = 4,
    weigh = |_, _: &Value| { user_code(Place::Weigh); 1 }
)]
async fn load(key: Key, body: Arc<Body>) -> Value {
    body.run().await;
    drop(key);
    Value::new()
}

/// Lets the computations through when an operation ends, also by a panic.
struct OpenedOnDrop(Arc<Body>);

impl Drop for OpenedOnDrop {
    fn drop(&mut self) {
        self.0.let_all_through();
    }
}

/// An operation and its name.
type Named<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// Each operation, with the code of a user that misbehaves in it.
#[allow(clippy::too_many_lines, reason = "one entry for each operation")]
fn operations(runtime: &Runtime) -> Vec<Named<'_>> {
    let open = Body::open();
    let call = move |key| load(key_of(key), Arc::clone(&open));
    let (hit, evict, refreshed, swept) = (call.clone(), call.clone(), call.clone(), call.clone());
    vec![
        ("miss", Box::new(move || drop(runtime.block_on(call(0))))),
        (
            "hit",
            Box::new(move || {
                for _ in 0..2 {
                    drop(runtime.block_on(hit(0)));
                }
            }),
        ),
        (
            "evict",
            Box::new(move || {
                for key in 0..20 {
                    drop(runtime.block_on(evict(key)));
                }
            }),
        ),
        (
            "replace",
            Box::new(move || {
                drop(runtime.block_on(refreshed(0)));
                drop(runtime.block_on(load::refresh(key_of(0), Body::open())));
                runtime.block_on(load::put(key_of(0), Value::new())).unwrap();
            }),
        ),
        (
            "expire",
            Box::new(|| {
                runtime.block_on(load::put(key_of(0), Value::new())).unwrap();
                runtime.block_on(load::expire(key_of(0))).unwrap();
                drop(runtime.block_on(load(key_of(0), Body::open())));
            }),
        ),
        (
            "peek",
            Box::new(|| {
                runtime.block_on(load::put(key_of(0), Value::new())).unwrap();
                drop(runtime.block_on(load::peek(key_of(0))));
            }),
        ),
        (
            "invalidate",
            Box::new(|| {
                runtime.block_on(load::put(key_of(0), Value::new())).unwrap();
                runtime.block_on(load::invalidate(key_of(0))).unwrap();
            }),
        ),
        (
            "invalidate_tag",
            Box::new(|| {
                runtime.block_on(load::put(key_of(0), Value::new())).unwrap();
                let _ = runtime.block_on(invalidate_tag("user code 0"));
                drop(runtime.block_on(load(key_of(0), Body::open())));
            }),
        ),
        (
            "clear",
            Box::new(|| {
                runtime.block_on(load::put(key_of(0), Value::new())).unwrap();
                runtime.block_on(load::clear()).unwrap();
            }),
        ),
        (
            "follow",
            Box::new(|| {
                let body = Body::held();
                let _opened = OpenedOnDrop(Arc::clone(&body));
                runtime.block_on(async {
                    let calls: Vec<_> =
                        (0..3).map(|_| tokio::spawn(load(key_of(0), Arc::clone(&body)))).collect();
                    let is_over = || calls.iter().all(JoinHandle::is_finished);
                    until("a computation begins", || body.begun() > 0 || is_over()).await;
                    tokio::task::yield_now().await;
                    body.let_all_through();
                    for call in calls {
                        drop(call.await);
                    }
                });
            }),
        ),
        (
            "discard",
            Box::new(|| {
                let body = Body::held();
                let _opened = OpenedOnDrop(Arc::clone(&body));
                runtime.block_on(async {
                    let call = tokio::spawn(load(key_of(0), Arc::clone(&body)));
                    until("it begins", || body.begun() > 0 || call.is_finished()).await;
                    load::invalidate(key_of(0)).await.unwrap();
                    body.let_all_through();
                    drop(call.await);
                });
            }),
        ),
        (
            "sweep",
            Box::new(move || {
                drop(runtime.block_on(swept(0)));
                runtime.block_on(async { tokio::time::sleep(Duration::from_millis(700)).await });
            }),
        ),
    ]
}

/// Runs each operation, with user code that misbehaves at each place; then the cache still works.
fn all_operations(deed: Deed) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for place in PLACES {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            for (name, operation) in operations(&runtime) {
                let _ = done.send(Some(name));
                DEED.store(deed as u8, SeqCst);
                PLACE.store(place as u8, SeqCst);
                let result = catch_unwind(AssertUnwindSafe(&operation));
                PLACE.store(0, SeqCst);
                if deed != Deed::Panic {
                    result.unwrap();
                }
                drop(runtime.block_on(load(key_of(0), Body::open())));
                runtime.block_on(load::invalidate(key_of(0))).unwrap();
            }
            let _ = done.send(None);
        });
        let mut last = "";
        loop {
            match is_done.recv_timeout(SOON) {
                Ok(Some(name)) => last = name,
                Ok(None) => break,
                Err(error) => {
                    PLACE.store(0, SeqCst);
                    panic!("{deed:?} in {place:?} during {last}: {error}");
                }
            }
        }
    }
    assert!(DEEDS.load(SeqCst) > PLACES.len(), "user code ran");
}

#[test]
fn user_code_may_call_back_into_the_cache() {
    all_operations(Deed::CallBack);
}

#[test]
fn user_code_may_wait_for_another_thread_that_uses_the_cache() {
    all_operations(Deed::Block);
}

#[test]
fn user_code_may_panic() {
    all_operations(Deed::Panic);
}

mod weight {
    use super::*;

    /// A value whose weight changes after it was stored.
    #[derive(Debug, Clone)]
    struct Growing(Arc<AtomicUsize>);

    #[async_cached(ttl = 600, max_bytes = 100, weigh = |_, value: &Growing| value.0.load(SeqCst) as u64)]
    async fn load(n: u64) -> Growing {
        let _ = n;
        Growing(Arc::new(AtomicUsize::new(1)))
    }

    /// The weight is that of the time when the value was stored: 100 values of weight 1 stay whatever became of others.
    #[tokio::test]
    async fn a_value_that_grows_does_not_ruin_the_bound() {
        for n in 0..100 {
            load(n).await.0.store(1 << 40, SeqCst);
        }
        for n in 1_000..1_100 {
            load(n).await;
        }
        let kept = load::stats().entries;
        assert!(kept >= 90, "{kept} of 100 entries are kept");
    }
}

mod unwinding {
    use cached_runtime::Source;

    use super::*;

    /// A key whose `Hash` would abort the process if it ran while a panic unwinds.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Fragile(u64);

    impl Hash for Fragile {
        fn hash<H: Hasher>(&self, state: &mut H) {
            assert!(!thread::panicking(), "hashed during a panic");
            self.0.hash(state);
        }
    }

    #[async_cached(ttl = 600, stale_while_revalidate = 600)]
    async fn fails(key: Fragile) -> u64 {
        assert!(key.0 > 0, "the body panics");
        key.0
    }

    #[tokio::test]
    async fn a_panic_of_the_body_hashes_no_key() {
        assert!(tokio::spawn(fails(Fragile(0))).await.unwrap_err().is_panic());
        fails::put(Fragile(0), 7).await.unwrap();
        fails::expire(Fragile(0)).await.unwrap();
        assert_eq!(fails::lookup(Fragile(0)).await.source, Source::Stale);
        until("the refresh has panicked", || fails::stats().panics == 2).await;
    }
}
