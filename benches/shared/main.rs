//! The cost of a hit in Redis and in Memcached, beside the same read written by hand: CPU time and allocations.
//!
//! Starts servers of its own. The contenders take turns in one run, so that the ratios hold also on a busy machine.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run ends")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints a table")]
#![allow(clippy::unused_async, reason = "the cached bodies do not await")]

mod by_hand;
mod load;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use by_hand::{Fred, Grouping, Socket};
use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store, async_cached};
use cached_tests::server::{MemcachedServer, RedisServer};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

/// The value that is cached: 128 bytes in msgpack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    id: u64,
    name: String,
    email: String,
    city: String,
    region: String,
}

impl User {
    fn new(id: u64, region: &str) -> Self {
        Self {
            id,
            name: "Ada Lovelace of London".into(),
            email: "ada.lovelace@example.org".into(),
            city: "London, United Kingdom".into(),
            region: region.into(),
        }
    }
}

const KEYS: u64 = 64;
const REGION: &str = "eu-central-1";
const TEXT_BYTES: usize = 100 * 1024;

static REDIS: OnceLock<Arc<dyn Store>> = OnceLock::new();
static MEMCACHED: OnceLock<Arc<dyn Store>> = OnceLock::new();
static DOWN: OnceLock<Arc<dyn Store>> = OnceLock::new();

fn store(of: &OnceLock<Arc<dyn Store>>) -> Arc<dyn Store> {
    Arc::clone(of.get().unwrap())
}

macro_rules! functions {
    ($backend:ident, $store:expr) => {
        mod $backend {
            use super::*;

            #[async_cached(ttl = 3_600, backend = store(&$store))]
            pub(super) async fn user(id: u64, region: &str) -> Result<User, String> {
                Ok(User::new(id, region))
            }

            #[async_cached(ttl = 3_600, backend = store(&$store))]
            pub(super) async fn number(key: u64) -> u64 {
                key
            }

            #[async_cached(ttl = 3_600, backend = store(&$store))]
            pub(super) async fn text(id: u64) -> String {
                "x".repeat(TEXT_BYTES + usize::from(id == 0))
            }
        }
    };
}
functions!(redis, REDIS);
functions!(memcached, MEMCACHED);

/// Without a server.
#[async_cached(ttl = 3_600, backend = store(&DOWN))]
async fn user_without_server(id: u64, region: &str) -> Result<User, String> {
    Ok(User::new(id, region))
}

fn main() {
    let (redis_server, memcached_server) = (RedisServer::start(), MemcachedServer::start());
    let redis_url = redis_server.url();
    let _ = REDIS.set(Arc::new(Redis::new(RedisConfig::new(&redis_url)).unwrap()));
    let _ = MEMCACHED.set(Arc::new(Memcached::new(MemcachedConfig::new(memcached_server.addr())).unwrap()));
    let _ = DOWN.set(Arc::new(Redis::new(RedisConfig::new("redis://127.0.0.1:1")).unwrap()));

    let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (fred, socket, simple_socket) = threads.block_on(async {
        let fred = Fred::connect(&redis_url).await;
        let socket = Socket::connect(&memcached_server.addr(), Grouping::Combined).await;
        let simple_socket = Socket::connect(&memcached_server.addr(), Grouping::Single).await;
        prepare(&fred, &socket).await;
        (fred, socket, simple_socket)
    });
    if let [.., backend, tasks] = &*std::env::args().collect::<Vec<_>>()
        && let Ok(tasks) = tasks.parse()
    {
        return profile(&threads, backend, tasks, &fred, &socket);
    }
    println!(
        "CPU time of a hit, by hand in µs, and ours × by hand: the median of {ROUNDS} rounds (the quartiles)\n"
    );
    println!("| hit | tasks | by hand | ours | |\n|---|--:|--:|--:|---|");
    for tasks in [1, 2, 8, 64, 512, 5_000] {
        let fred = fred.clone();
        let by_hand = move |id| {
            let fred = fred.clone();
            async move { drop(fred.user(id, REGION).await) }
        };
        compare(&threads, "Redis, 128 bytes", tasks, by_hand, |id| async move {
            redis::user(id, REGION).await.unwrap();
        });
    }
    let sockets = [
        ("Memcached, 128 bytes; by hand, a write for each read", simple_socket),
        ("Memcached, 128 bytes; by hand, a write for all that are queued", socket.clone()),
    ];
    for (hit, socket) in sockets {
        for tasks in [1, 2, 8, 64, 512, 5_000] {
            let socket = socket.clone();
            let by_hand = move |id| {
                let socket = socket.clone();
                async move { drop(socket.user(id, REGION).await) }
            };
            compare(&threads, hit, tasks, by_hand, |id| async move {
                memcached::user(id, REGION).await.unwrap();
            });
        }
    }
    for tasks in [1, 8] {
        let (fred, socket) = (fred.clone(), socket.clone());
        let by_hand = move |id| {
            let fred = fred.clone();
            async move { drop(fred.text(id).await) }
        };
        compare(&threads, "Redis, 100 KiB", tasks, by_hand, |id| async move { drop(redis::text(id).await) });
        let by_hand = move |id| {
            let socket = socket.clone();
            async move { drop(socket.text(id).await) }
        };
        compare(&threads, "Memcached, 100 KiB", tasks, by_hand, |id| async move {
            drop(memcached::text(id).await);
        });
    }
    count_allocations(&redis_url, &memcached_server.addr());
    measure_outage(&threads);
    println!(
        "\n| load, with the default settings | tasks in a loop: hits of calls | burst: hits of calls | cold: stored of calls |"
    );
    println!("|---|--:|--:|--:|");
    threads.block_on(load::run("Redis", redis::number, redis::number::stats));
    threads.block_on(load::run("Memcached", memcached::number, memcached::number::stats));
    let stats =
        [redis::user::stats(), memcached::user::stats(), redis::text::stats(), memcached::text::stats()];
    for stats in stats {
        println!(
            "computed {}, hits {}, overloaded {}, errors {}",
            stats.computed, stats.shared_hits, stats.overloaded, stats.store_errors
        );
    }
}

/// Hits for a profiler, such as `perf record`: of `redis` or `memcached`, or by hand of `fred` or `socket`, from so many
/// tasks.
fn profile(threads: &Runtime, backend: &str, tasks: usize, fred: &Fred, socket: &Socket) {
    for _ in 0..3_000 / ROUND.as_millis() {
        let (fred, socket) = (fred.clone(), socket.clone());
        let cpu = threads.block_on(async {
            match backend {
                "redis" => cpu_per_call(tasks, |id| async move { drop(redis::user(id, REGION).await) }).await,
                "fred" => {
                    let by_hand = move |id| {
                        let fred = fred.clone();
                        async move { drop(fred.user(id, REGION).await) }
                    };
                    cpu_per_call(tasks, by_hand).await
                }
                "socket" => {
                    let by_hand = move |id| {
                        let socket = socket.clone();
                        async move { drop(socket.user(id, REGION).await) }
                    };
                    cpu_per_call(tasks, by_hand).await
                }
                _ => cpu_per_call(tasks, |id| async move { drop(memcached::user(id, REGION).await) }).await,
            }
        });
        println!("{cpu:.2} µs of CPU a hit");
    }
}

async fn prepare(fred: &Fred, socket: &Socket) {
    for id in 0..KEYS {
        let (user, text) = (User::new(id, REGION), "x".repeat(TEXT_BYTES));
        fred.store(id, REGION, &user, &text).await;
        socket.store(id, REGION, &user, &text).await;
        redis::user(id, REGION).await.unwrap();
        memcached::user(id, REGION).await.unwrap();
        redis::text(id).await;
        memcached::text(id).await;
    }
}

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(150);

fn compare<A, B>(
    threads: &Runtime,
    hit: &str,
    tasks: usize,
    by_hand: impl Fn(u64) -> A + Clone + Send + 'static,
    ours: impl Fn(u64) -> B + Clone + Send + 'static,
) where
    A: Future<Output = ()> + Send,
    B: Future<Output = ()> + Send,
{
    let (mut floor, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let by_hand = threads.block_on(cpu_per_call(tasks, by_hand.clone()));
        let ours = threads.block_on(cpu_per_call(tasks, ours.clone()));
        floor.push(by_hand);
        ratios.push(ours / by_hand);
    }
    floor.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    let quartile = |of: usize| ratios[of * (ROUNDS - 1) / 4];
    println!(
        "| {hit} | {tasks} | {:.2} | **{:.2}** | ({:.2}–{:.2}) |",
        floor[ROUNDS / 2],
        quartile(2),
        quartile(1),
        quartile(3)
    );
}

/// Calls in a loop from so many tasks; returns the CPU time of this process for one call, in microseconds.
async fn cpu_per_call<F>(tasks: usize, call: impl Fn(u64) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send,
{
    let (before, end) = (cpu_micros(), Instant::now() + ROUND);
    let looping: Vec<_> = (0..tasks as u64)
        .map(|task| {
            let call = call.clone();
            tokio::spawn(async move {
                let (mut calls, mut state) = (0_u64, task.wrapping_mul(7_919) + 1);
                while Instant::now() < end {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    call((state >> 33) % KEYS).await;
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let mut calls = 0;
    for task in looping {
        calls += task.await.unwrap();
    }
    (cpu_micros() - before) / calls as f64
}

fn cpu_micros() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Prints the allocations of a hit, all of whose work is on one thread.
fn count_allocations(redis_url: &str, memcached_addr: &str) {
    let one_thread = Builder::new_current_thread().enable_all().build().unwrap();
    let (fred, socket) = one_thread.block_on(async {
        (Fred::connect(redis_url).await, Socket::connect(memcached_addr, Grouping::Combined).await)
    });
    println!("\n| allocations of a hit | 1 task | 64 tasks |\n|---|--:|--:|");
    let row = |name: &str, of: &dyn Fn(usize) -> f64| println!("| {name} | {:.1} | {:.1} |", of(1), of(64));
    row("Redis, by hand", &|tasks| {
        allocations(&one_thread, tasks, async |id| drop(fred.user(id, REGION).await))
    });
    row("Redis, ours", &|tasks| {
        allocations(&one_thread, tasks, async |id| drop(redis::user(id, REGION).await))
    });
    row("Memcached, by hand", &|tasks| {
        allocations(&one_thread, tasks, async |id| drop(socket.user(id, REGION).await))
    });
    row("Memcached, ours", &|tasks| {
        allocations(&one_thread, tasks, async |id| drop(memcached::user(id, REGION).await))
    });
    row("decoding alone", &|tasks| {
        let bytes = rmp_serde::to_vec_named(&User::new(1, REGION)).unwrap();
        allocations(&one_thread, tasks, async |_| drop(rmp_serde::from_slice::<User>(&bytes).unwrap()))
    });
}

fn allocations(one_thread: &Runtime, tasks: usize, call: impl AsyncFn(u64)) -> f64 {
    const CALLS: u64 = 200;
    let looping = async || {
        let calls: Vec<_> = (0..tasks as u64)
            .map(|task| {
                let call = &call;
                Box::pin(async move {
                    for id in 0..CALLS {
                        call((id + task) % KEYS).await;
                    }
                })
            })
            .collect();
        by_hand::all(calls).await;
    };
    one_thread.block_on(looping());
    let counted = allocation_counter::measure(|| one_thread.block_on(looping()));
    counted.count_total as f64 / (CALLS * tasks as u64) as f64
}

/// Prints what a call costs while the connection is known to be down.
fn measure_outage(threads: &Runtime) {
    let call = |id| async move { drop(user_without_server(id, REGION).await) };
    threads.block_on(cpu_per_call(1, call)); // Notices that there is no connection.
    let direct = |id| async move { drop(std::hint::black_box(User::new(id, REGION))) };
    let mut added: Vec<f64> = (0..ROUNDS)
        .map(|_| threads.block_on(cpu_per_call(1, call)) - threads.block_on(cpu_per_call(1, direct)))
        .collect();
    added.sort_by(f64::total_cmp);
    println!("\nconnection down, added to a call: {:.2} µs", added[ROUNDS / 2]);
}
