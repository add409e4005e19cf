//! The cost of a hit in Redis and in Memcached, beside the same read written by hand: CPU time, allocations, and commands.
//!
//! `cargo bench -p cached-benches --bench shared` prints all sections and compares them with what is recorded; a word after
//! `--` selects one (`redis`, `memcached`, `large`, `fill`, `allocations`, `commands`, `system_calls`, `load`, `outage`), and
//! `record` writes all of them to `docs/benchmarks`. `profile CONTENDER TASKS` makes hits for a profiler. It starts servers of its
//! own.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run ends")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints a table")]
#![allow(clippy::unused_async, reason = "the cached bodies do not await")]

mod clients;
mod load;
mod measure;
mod setting;

use std::process::ExitCode;

use cached_benches::report::{Report, Row, Section};
use cached_benches::rounds::{Value, ratios};
use tokio::runtime::Builder;

use crate::clients::{Cached, CachedOnOneThread, InMemcached, InRedis, WithoutServer};
use crate::measure::{
    Contender, ROUND, Work, allocations, commands_per_hit, contender, cpu_per_call, system_calls_per_hit,
};
use crate::setting::{Clients, SETTING};

const REPORT: Report = Report {
    name: "shared",
    head: "\
# Shared stores

Written by `cargo bench -p cached-benches --bench shared -- record` on a shared machine with two cores. CPU time of the process (the
median of interleaved rounds, and its quartiles) is a multiple of `by hand`: one client of fred, and a socket to Memcached whose task
writes each request as it comes. `generation` reads by one command of fred what a value that can be invalidated for all processes takes: the
value and a generation, within a deadline. `batched` reads those of all tasks that wait by one `MGET`, without bounds and
deadlines, or writes all requests that are queued to Memcached at once; async-memcached has eight connections, each of
which serves one call at a time. The tasks call in a loop, with 10 000 keys; a value has 128 bytes in msgpack, if nothing else is said. A
miss with fill is a read and a write; ours also runs once in all processes. Allocations, commands, keys read and system calls (counted by
strace) are for one hit. With `async_cached`, the generation of the function is a second key, which a batch reads once.
",
    caption: "CPU time of each work, as multiples of the client by hand",
    contenders: &[
        "by hand",
        "async_cached",
        "by hand, generation",
        "redis-rs",
        "cached",
        "by hand, batched",
        "async-memcached",
    ],
};

const SECTIONS: [Section; 9] = [
    ("redis", || cpu("hit in Redis", Work::User, &TASKS, in_redis())),
    ("memcached", || cpu("hit in Memcached", Work::User, &TASKS, in_memcached())),
    ("large", || {
        let in_redis = cpu("100 KiB in Redis", Work::Text, &[1, 8], in_redis());
        [in_redis, cpu("100 KiB in Memcached", Work::Text, &[1, 8], in_memcached())].concat()
    }),
    ("fill", || {
        let in_redis = cpu("miss with fill in Redis", Work::Fill, &[1, 64], in_redis());
        [in_redis, cpu("miss with fill in Memcached", Work::Fill, &[1, 64], in_memcached())].concat()
    }),
    ("allocations", count_allocations),
    ("commands", || {
        let in_redis = count_commands("hit in Redis", "commands", &in_redis());
        [in_redis, count_commands("hit in Memcached", "keys read", &in_memcached())].concat()
    }),
    ("system_calls", count_system_calls),
    ("load", load::rows),
    ("outage", outage),
];

/// The numbers of tasks that call in a loop.
const TASKS: [usize; 4] = [1, 64, 512, 5_000];

const ROUNDS: usize = 9;

/// How far the ratio of CPU times may be above the recorded one: other processes affect it by more than the code does.
const TOLERANCE: Option<f64> = Some(1.3);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let code = match words[..] {
        ["profile", name, tasks] => profile(&named(name), tasks.parse().unwrap()),
        ["hits", name, tasks, rounds] => {
            println!("{}", hits(&named(name), tasks.parse().unwrap(), rounds.parse().unwrap()));
            ExitCode::SUCCESS
        }
        _ => REPORT.run(&SECTIONS, &words),
    };
    SETTING.stop();
    code
}

/// Makes hits for a profiler, such as `perf record`, and prints their CPU time.
fn profile(contender: &Contender, tasks: usize) -> ExitCode {
    for _ in 0..3_000 / ROUND.as_millis() {
        println!("{:.2} µs of CPU a hit", 1e6 * cpu_per_call(contender, Work::User, tasks));
    }
    ExitCode::SUCCESS
}

/// Makes hits for a tool that counts what this process does, such as strace; returns their number.
fn hits(contender: &Contender, tasks: usize, rounds: usize) -> u64 {
    (0..rounds).map(|_| contender(Work::User, tasks)).sum()
}

/// Returns the contender with this name, one of [`IN_REDIS`] and [`IN_MEMCACHED`].
fn named(name: &str) -> Contender {
    let clients = &SETTING.clients;
    match name {
        "fred" => contender(&clients.fred),
        "redis" => contender(&InRedis),
        "generation" => contender(&clients.with_generation),
        "one-mget" => contender(&clients.batched),
        "redis-rs" => contender(&clients.redis_rs),
        "cached" => contender(&Cached),
        "socket" => contender(&clients.single),
        "memcached" => contender(&InMemcached),
        "batched" => contender(&clients.combined),
        "async-memcached" => contender(&clients.async_memcached),
        _ => panic!("{name} is no contender"),
    }
}

/// The names of the contenders, in the order of the columns.
const IN_REDIS: [Option<&str>; CONTENDERS] = [
    Some("fred"),
    Some("redis"),
    Some("generation"),
    Some("redis-rs"),
    Some("cached"),
    Some("one-mget"),
    None,
];
const IN_MEMCACHED: [Option<&str>; CONTENDERS] =
    [Some("socket"), Some("memcached"), None, None, None, Some("batched"), Some("async-memcached")];
const CONTENDERS: usize = REPORT.contenders.len();

fn in_redis() -> Vec<Option<Contender>> {
    IN_REDIS.map(|name| name.map(named)).into()
}

fn in_memcached() -> Vec<Option<Contender>> {
    IN_MEMCACHED.map(|name| name.map(named)).into()
}

/// Returns a row for each number of tasks.
fn cpu(name: &str, work: Work, tasks: &[usize], mut contenders: Vec<Option<Contender>>) -> Vec<Row> {
    let row = |&tasks: &usize| Row {
        work: format!("{name}, {}", tasks_in_words(tasks)),
        figure: "CPU",
        values: ratios(ROUNDS, &mut contenders, |contender| {
            Some(cpu_per_call(contender.as_ref()?, work, tasks))
        }),
        tolerance: TOLERANCE,
    };
    tasks.iter().map(row).collect()
}

fn tasks_in_words(tasks: usize) -> String {
    if tasks == 1 { "1 task".into() } else { format!("{tasks} tasks") }
}

/// The allocations of a hit, all of whose work is on one thread.
fn count_allocations() -> Vec<Row> {
    let one_thread = Builder::new_current_thread().enable_all().build().unwrap();
    let Clients { fred, with_generation, batched, redis_rs, single, combined, async_memcached } =
        one_thread.block_on(SETTING.connect());
    let row = |store: &str, tasks: usize, values: [Option<f64>; CONTENDERS]| Row {
        work: format!("hit in {store}, {}", tasks_in_words(tasks)),
        figure: "allocations",
        values: values.map(|value| value.map(Value::from)).into(),
        tolerance: Some(1.05),
    };
    let rows = |tasks| {
        let in_redis = [
            Some(allocations(&one_thread, &fred, tasks)),
            Some(allocations(&one_thread, &InRedis, tasks)),
            Some(allocations(&one_thread, &with_generation, tasks)),
            Some(allocations(&one_thread, &redis_rs, tasks)),
            Some(allocations(&one_thread, &CachedOnOneThread, tasks)),
            Some(allocations(&one_thread, &batched, tasks)),
            None,
        ];
        let in_memcached = [
            Some(allocations(&one_thread, &single, tasks)),
            Some(allocations(&one_thread, &InMemcached, tasks)),
            None,
            None,
            None,
            Some(allocations(&one_thread, &combined, tasks)),
            Some(allocations(&one_thread, &async_memcached, tasks)),
        ];
        [row("Redis", tasks, in_redis), row("Memcached", tasks, in_memcached)]
    };
    [1, 64].map(rows).concat()
}

/// The commands of a hit, as Redis counts them, and the keys that it reads, which is what Memcached counts.
fn count_commands(name: &str, figure: &'static str, contenders: &[Option<Contender>]) -> Vec<Row> {
    let row = |tasks| Row {
        work: format!("{name}, {}", tasks_in_words(tasks)),
        figure,
        values: contenders
            .iter()
            .map(|contender| Some(commands_per_hit(contender.as_ref()?, tasks).into()))
            .collect(),
        tolerance: Some(1.05),
    };
    [1, 64].map(row).into()
}

/// The system calls of a hit, of all threads of the process.
fn count_system_calls() -> Vec<Row> {
    let row = |store: &str, names: [Option<&str>; CONTENDERS], tasks| Row {
        work: format!("hit in {store}, {}", tasks_in_words(tasks)),
        figure: "system calls",
        values: names.iter().map(|name| Some(system_calls_per_hit((*name)?, tasks)?.into())).collect(),
        tolerance: TOLERANCE,
    };
    let rows = |tasks| [row("Redis", IN_REDIS, tasks), row("Memcached", IN_MEMCACHED, tasks)];
    [1, 64].map(rows).concat()
}

/// What a call costs while the connection is known to be down.
fn outage() -> Vec<Row> {
    let mut contenders = [contender(&SETTING.clients.fred), contender(&WithoutServer)];
    let values = ratios(ROUNDS, &mut contenders, |contender| Some(cpu_per_call(contender, Work::User, 1)));
    let percent = |value: Value| Value {
        median: 100.0 * value.median,
        quartiles: value.quartiles.map(|(first, third)| (100.0 * first, 100.0 * third)),
    };
    vec![Row {
        work: "no connection, 1 task".into(),
        figure: "CPU, % of a hit by hand",
        values: values.into_iter().map(|value| value.map(percent)).collect(),
        tolerance: TOLERANCE,
    }]
}
