//! Invalidation is final: a call that starts after a change has returned sees no older value, whatever operations run
//! at the same time.
//!
//! Each run performs many concurrent operations, records when each began and ended, and checks the history. A failure
//! prints the seed; `CACHED_TEST_SEED` repeats it.
//!
//! Each run has a process of its own: `invalidate_tag` reaches every store of its process, also one whose server another
//! test has killed.

mod flawed;
mod model;
mod origin;
mod processes;
mod random;
mod runner;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store};
use cached_tests::in_own_process;
use cached_tests::server::{MemcachedServer, RedisServer};

use self::flawed::{Flaw, Flawed};
use self::model::{Event, Operation, Violation, check};
use self::origin::{Dir, Origin};
use self::runner::{Function, Value, World, functions};

/// The longest time that a run may take.
const BOUND: Duration = Duration::from_secs(300);
const TASKS: u64 = 48;
const KEYS: u64 = 2;

functions! { memory {
    plain(ttl = 60),
    brief(ttl = "5ms"),
    narrow(ttl = 60, capacity = 1),
    detached[tags](ttl = 60, detached),
    errors[tags](ttl = 60, cache_err = "60s"),
    partial(ttl = 60, cache_if = |value| value.version % 2 == 0),
    off[tags](ttl = 60, single_flight = "off"),
    tagged[tags](ttl = 60),
    derived(ttl = 60, tags_from = Value::tags),
} }

/// The functions of a shared store, each with the store that its test has set.
macro_rules! shared {
    ($module:ident, $store:ident) => {
        static $store: OnceLock<Arc<dyn Store>> = OnceLock::new();

        functions! { $module {
            plain(ttl = 60, backend = Arc::clone($store.get().unwrap())),
            brief(ttl = "20ms", backend = Arc::clone($store.get().unwrap())),
            detached(ttl = 60, detached, backend = Arc::clone($store.get().unwrap())),
            errors[tags](ttl = 60, cache_err = "60s", backend = Arc::clone($store.get().unwrap())),
            partial(
                ttl = 60,
                cache_if = |value| value.version % 2 == 0,
                backend = Arc::clone($store.get().unwrap())
            ),
            off(ttl = 60, single_flight = "off", backend = Arc::clone($store.get().unwrap())),
            tagged[tags](ttl = 60, backend = Arc::clone($store.get().unwrap())),
            derived(ttl = 60, tags_from = Value::tags, backend = Arc::clone($store.get().unwrap())),
            process(ttl = 60, single_flight = "process", backend = Arc::clone($store.get().unwrap())),
        } }
    };
}
shared!(redis, REDIS);
shared!(memcached, MEMCACHED);

static FLAWED: OnceLock<Arc<dyn Store>> = OnceLock::new();
functions! { flawed_store {
    plain(ttl = 60, backend = Arc::clone(FLAWED.get().unwrap())),
    tagged[tags](ttl = 60, backend = Arc::clone(FLAWED.get().unwrap())),
    derived(ttl = 60, tags_from = Value::tags, backend = Arc::clone(FLAWED.get().unwrap())),
} }
/// The indices of these functions.
const PLAIN: usize = 0;
const TAGGED: usize = 1;
const DERIVED: usize = 2;

#[test]
fn in_redis_among_processes() {
    let server = RedisServer::start();
    processes::holds("redis", &server.url(), among_processes(redis::ALL), 24_000);
}

#[test]
fn in_memcached_among_processes() {
    let server = MemcachedServer::start();
    processes::holds("memcached", &server.addr(), among_processes(memcached::ALL), 24_000);
}

/// The entry point of the processes of the tests above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_process() {
    let Some(worker) = processes::WorkerProcess::from_environment() else { return };
    if worker.store == "redis" {
        set(&REDIS, redis_store(&worker.address));
        worker.run(among_processes(redis::ALL)).await;
    } else {
        set(&MEMCACHED, memcached_store(&worker.address));
        worker.run(among_processes(memcached::ALL)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    in_own_process!();
    holds(memory::ALL, 100_000, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis() {
    in_own_process!();
    let server = RedisServer::start();
    set(&REDIS, redis_store(&server.url()));
    holds(redis::ALL, 100_000, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memcached() {
    in_own_process!();
    let server = MemcachedServer::start();
    set(&MEMCACHED, memcached_store(&server.addr()));
    holds(memcached::ALL, 100_000, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_redis_that_is_killed_and_restarted() {
    in_own_process!();
    let mut server = RedisServer::start();
    set(&REDIS, redis_store(&server.url()));
    let beside = async |world| restart_after(world, move || server.restart()).await;
    holds(redis::ALL, 20_000, beside).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_memcached_that_is_killed_and_restarted() {
    in_own_process!();
    let mut server = MemcachedServer::start();
    set(&MEMCACHED, memcached_store(&server.addr()));
    let beside = async |world| restart_after(world, move || server.restart()).await;
    holds(memcached::ALL, 20_000, beside).await;
}

/// Kills and restarts a server several times.
async fn restart_after(world: Arc<World>, mut restart: impl FnMut() + Send + 'static) {
    for operations in [4_000, 8_000, 12_000, 16_000] {
        while world.done.load(Ordering::Relaxed) < operations {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        restart = tokio::task::spawn_blocking(move || {
            restart();
            restart
        })
        .await
        .unwrap();
    }
    // `restart` owns the server, which is kept until the run ends.
    while world.done.load(Ordering::Relaxed) < 20_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_slow_store() {
    in_own_process!();
    set(&FLAWED, Flawed::new(Flaw::None, random::seed()));
    holds(flawed_store::ALL, 10_000, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_without_a_lease_is_detected() {
    in_own_process!();
    is_detected(Flaw::FillsWithoutLease, PLAIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remove_that_keeps_the_lease_is_detected() {
    in_own_process!();
    is_detected(Flaw::RemovesOnlyTheValue, PLAIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remove_that_keeps_the_generation_of_a_tag_is_detected() {
    in_own_process!();
    is_detected(Flaw::KeepsTags, TAGGED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_keeps_the_epoch_of_all_tags_is_detected() {
    in_own_process!();
    is_detected(Flaw::KeepsEpoch, DERIVED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_of_an_old_generation_is_detected() {
    in_own_process!();
    is_detected(Flaw::ReadsOldGenerations, TAGGED).await;
}

/// Runs the function that a flaw affects until the checker finds a violation.
async fn is_detected(flaw: Flaw, function: usize) {
    const ROUNDS: u64 = 100;
    // With fewer concurrent invalidations more computations are stored.
    const FEW: u64 = 8;
    let (dir, seed) = (Dir::new(), random::seed());
    println!("CACHED_TEST_SEED={seed}");
    set(&FLAWED, Flawed::new(flaw, seed));
    let functions = &flawed_store::ALL[function..=function];
    let world = World::new(0, functions, KEYS, Origin::open(&dir.0, functions.len(), KEYS));
    for round in 1..=ROUNDS {
        let run = world.run(seed + round, FEW, round * 1_000);
        tokio::time::timeout(BOUND, run).await.expect("the run should end");
        let history = world.history.lock().unwrap();
        let violations = check(&history);
        if !violations.is_empty() {
            return println!("{flaw:?}: found after {} operations", operations_before(&history, &violations));
        }
    }
    panic!("{flaw:?} was not detected");
}

/// The functions whose invalidation is final across processes: all but the last, whose single flight is limited to its
/// process.
fn among_processes(functions: &'static [Function]) -> &'static [Function] {
    functions.split_last().unwrap().1
}

fn redis_store(url: &str) -> Redis {
    Redis::new(RedisConfig::new(url).deadline(Duration::from_millis(900))).unwrap()
}

fn memcached_store(address: &str) -> Memcached {
    Memcached::new(MemcachedConfig::new(address).deadline(Duration::from_millis(900))).unwrap()
}

fn set(place: &OnceLock<Arc<dyn Store>>, store: impl Store) {
    assert!(place.set(Arc::new(store)).is_ok(), "one test, one store");
}

/// Runs operations in this process, concurrently with `beside`, and checks their history.
async fn holds(functions: &'static [Function], operations: u64, beside: impl AsyncFnOnce(Arc<World>)) {
    judge(functions, &history(functions, operations, beside).await);
}

/// Runs operations in this process, concurrently with `beside`, and returns their history.
async fn history(
    functions: &'static [Function],
    operations: u64,
    beside: impl AsyncFnOnce(Arc<World>),
) -> Vec<Event> {
    let (dir, seed, started) = (Dir::new(), random::seed(), Instant::now());
    println!("CACHED_TEST_SEED={seed}");
    let world = World::new(0, functions, KEYS, Origin::open(&dir.0, functions.len(), KEYS));
    let run = async { tokio::join!(world.run(seed, TASKS, operations), beside(Arc::clone(&world))) };
    tokio::time::timeout(BOUND, run).await.expect("the run should end");
    println!("{} operations in {:?}", world.done.load(Ordering::Relaxed), started.elapsed());
    std::mem::take(&mut *world.history.lock().unwrap())
}

/// Prints the shortest history of each sort of violation, and fails if there is any.
fn judge(functions: &[Function], history: &[Event]) {
    let calls = history.iter().filter(|event| event.operation == Operation::Call).count();
    println!("{} events, {calls} calls that returned", history.len());
    let mut sorts: BTreeMap<String, Vec<Violation>> = BTreeMap::new();
    for violation in check(history) {
        let name = functions[usize::try_from(violation.read.function).unwrap()].name;
        sorts.entry(format!("{name}: {}", violation.sort())).or_default().push(violation);
    }
    for (sort, violations) in &sorts {
        let shortest = violations.iter().min_by_key(|violation| violation.length()).unwrap();
        let before = operations_before(history, violations);
        println!("{} times {sort}, first after {before} operations, as here:\n{shortest}", violations.len());
    }
    assert!(sorts.is_empty(), "values older than a change that had returned: {:#?}", sorts.keys());
}

/// Returns the number of operations that had ended before the first violation.
fn operations_before(history: &[Event], violations: &[Violation]) -> usize {
    let first = violations.iter().map(|violation| violation.read.begin).min();
    history.iter().filter(|event| !event.operation.is_computation() && Some(event.end) < first).count()
}
