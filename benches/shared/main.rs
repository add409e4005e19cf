//! The cost of a hit in Redis and in Memcached, beside the same read written by hand: CPU time and allocations.
//!
//! `cargo bench -p cached-benches --bench shared` prints all sections and compares them with what is recorded; a word after
//! `--` selects one (`redis`, `memcached`, `large`, `fill`, `allocations`, `load`, `outage`), and `record` writes all of
//! them to `docs/benchmarks`. `profile CONTENDER TASKS` makes hits for a profiler. It starts servers of its own.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run ends")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints a table")]
#![allow(clippy::unused_async, reason = "the cached bodies do not await")]

mod by_hand;
mod load;
mod measure;
mod ours;
mod setting;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cached_benches::report::{Report, Row, Section};
use tokio::runtime::Builder;

use crate::measure::{Contender, ROUND, allocations, contender, median_of, ratios};
use crate::setting::{Clients, KEYS, REGION, SETTING, User};

const REPORT: Report = Report {
    name: "shared",
    head: "\
# Shared stores

Written by `cargo bench -p cached-benches --bench shared -- record` on a shared machine with two cores. CPU time of the process (the
median of interleaved rounds) is a multiple of `by hand`: one `GET` by fred, and a socket to Memcached with a task that writes each
request as it comes. The other socket writes all requests that are queued at once. A value has 128 bytes in msgpack.
",
    caption: "CPU time of each work, as multiples of the client by hand",
    contenders: &["by hand", "async_cached", "redis-rs by hand", "by hand, queued requests at once"],
};

const SECTIONS: [Section; 7] = [
    ("redis", redis),
    ("memcached", memcached),
    ("large", large),
    ("fill", fill),
    ("allocations", count_allocations),
    ("load", load::rows),
    ("outage", outage),
];

/// The numbers of tasks that call in a loop.
const TASKS: [usize; 4] = [1, 64, 512, 5_000];

/// How far the ratio of CPU times may be above the recorded one: other processes affect it by more than the code does.
const TOLERANCE: Option<f64> = Some(1.3);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    SETTING.prepare();
    match words[..] {
        ["profile", name, tasks] => profile(name, tasks.parse().unwrap()),
        _ => REPORT.run(&SECTIONS, &words),
    }
}

/// Makes hits for a profiler, such as `perf record`, and prints their CPU time.
fn profile(name: &str, tasks: usize) -> ExitCode {
    let named: [(&str, Contender); 6] = [
        ("fred", users_by_fred()),
        ("redis", users_in_redis()),
        ("redis-rs", users_by_redis_rs()),
        ("single", users_by_single_writes()),
        ("combined", users_by_combined_writes()),
        ("memcached", users_in_memcached()),
    ];
    let Some((_, contender)) = named.into_iter().find(|(known, _)| *known == name) else {
        println!("unknown contender");
        return ExitCode::FAILURE;
    };
    for _ in 0..3_000 / ROUND.as_millis() {
        println!("{:.2} µs of CPU a hit", contender(tasks));
    }
    ExitCode::SUCCESS
}

fn users_by_fred() -> Contender {
    let fred = SETTING.clients.fred.clone();
    contender(move |id| {
        let fred = fred.clone();
        async move { drop(fred.user(id, REGION).await) }
    })
}

fn users_by_redis_rs() -> Contender {
    let redis_rs = SETTING.clients.redis_rs.clone();
    contender(move |id| {
        let redis_rs = redis_rs.clone();
        async move { drop(redis_rs.user(id, REGION).await) }
    })
}

fn users_by_single_writes() -> Contender {
    users_by_socket(&SETTING.clients.single)
}

fn users_by_combined_writes() -> Contender {
    users_by_socket(&SETTING.clients.combined)
}

fn users_by_socket(socket: &by_hand::Socket) -> Contender {
    let socket = socket.clone();
    contender(move |id| {
        let socket = socket.clone();
        async move { drop(socket.user(id, REGION).await) }
    })
}

fn users_in_redis() -> Contender {
    contender(|id| async move { drop(ours::redis::user(id, REGION).await.unwrap()) })
}

fn users_in_memcached() -> Contender {
    contender(|id| async move { drop(ours::memcached::user(id, REGION).await.unwrap()) })
}

/// Returns a row for each number of tasks.
fn rows(work: &str, tasks: &[usize], contenders: &[Option<Contender>]) -> Vec<Row> {
    let row = |&tasks: &usize| {
        let plural = if tasks == 1 { "" } else { "s" };
        Row {
            work: format!("{work}, {tasks} task{plural}"),
            figure: "CPU",
            values: ratios(tasks, contenders),
            tolerance: TOLERANCE,
        }
    };
    tasks.iter().map(row).collect()
}

fn redis() -> Vec<Row> {
    rows("hit in Redis", &TASKS, &[Some(users_by_fred()), Some(users_in_redis()), Some(users_by_redis_rs())])
}

fn memcached() -> Vec<Row> {
    let contenders =
        [Some(users_by_single_writes()), Some(users_in_memcached()), None, Some(users_by_combined_writes())];
    rows("hit in Memcached", &TASKS, &contenders)
}

/// Hits of 100 KiB.
fn large() -> Vec<Row> {
    let Clients { fred, combined, .. } = SETTING.clients.clone();
    let by_fred = contender(move |id| {
        let fred = fred.clone();
        async move { drop(fred.text(id).await) }
    });
    let by_socket = contender(move |id| {
        let combined = combined.clone();
        async move { drop(combined.text(id).await) }
    });
    let in_redis = contender(|id| async move { drop(ours::redis::text(id).await) });
    let in_memcached = contender(|id| async move { drop(ours::memcached::text(id).await) });
    let mut large = rows("100 KiB in Redis", &[1, 8], &[Some(by_fred), Some(in_redis)]);
    large.extend(rows("100 KiB in Memcached", &[1, 8], &[Some(by_socket), Some(in_memcached)]));
    large
}

/// Misses that store their value: by hand a read and a write; ours are computed once in all processes.
fn fill() -> Vec<Row> {
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
    let fred = SETTING.clients.fred.clone();
    let by_fred = contender(move |_| {
        let fred = fred.clone();
        async move { _ = fred.fill(NEXT.fetch_add(1, Relaxed)).await }
    });
    let in_redis = contender(|_| async { _ = ours::redis::number(NEXT.fetch_add(1, Relaxed)).await });
    rows("miss with fill in Redis", &[1, 64], &[Some(by_fred), Some(in_redis)])
}

/// The allocations of a hit, all of whose work is on one thread.
fn count_allocations() -> Vec<Row> {
    let one_thread = Builder::new_current_thread().enable_all().build().unwrap();
    let Clients { fred, redis_rs, combined, .. } = one_thread.block_on(SETTING.connect());
    let row = |store: &str, tasks: usize, values: Vec<Option<f64>>| Row {
        work: format!("hit in {store}, {tasks} at a time"),
        figure: "allocations",
        values,
        tolerance: Some(1.05),
    };
    let count = |tasks: usize| {
        [
            row(
                "Redis",
                tasks,
                vec![
                    Some(allocations(&one_thread, tasks, async |id| drop(fred.user(id, REGION).await))),
                    Some(allocations(&one_thread, tasks, async |id| {
                        drop(ours::redis::user(id, REGION).await);
                    })),
                    Some(allocations(&one_thread, tasks, async |id| drop(redis_rs.user(id, REGION).await))),
                ],
            ),
            row(
                "Memcached",
                tasks,
                vec![
                    Some(allocations(&one_thread, tasks, async |id| drop(combined.user(id, REGION).await))),
                    Some(allocations(&one_thread, tasks, async |id| {
                        drop(ours::memcached::user(id, REGION).await);
                    })),
                ],
            ),
        ]
    };
    [1, 64].into_iter().flat_map(count).collect()
}

/// What a call costs while the connection is known to be down.
fn outage() -> Vec<Row> {
    let cached = contender(|id| async move { drop(ours::user_without_server(id, REGION).await) });
    let direct = contender(|id| async move { drop(std::hint::black_box(User::new(id % KEYS, REGION))) });
    cached(1); // Notices that there is no connection.
    vec![Row {
        work: "connection down".into(),
        figure: "added to a call, µs of CPU",
        values: vec![None, median_of(|| cached(1) - direct(1))],
        tolerance: TOLERANCE,
    }]
}
