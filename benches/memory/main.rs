//! The cost of values in memory: of hits, misses, expiry and memory, beside a cache written by hand and two libraries.
//!
//! `cargo bench -p cached-benches --bench memory` prints all sections and compares them with what is recorded; a word
//! after `--` selects one (`hits`, `misses`, `zipf`, `threads`, `stampede`, `expiry`, `size`), and `record` writes all of
//! them to `docs/benchmarks`. The contenders take turns, so that the ratios hold also on a busy machine.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run ends")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints a table")]
#![allow(clippy::unused_async, reason = "cached bodies do not all await")]

mod contenders;
mod crowd;
mod expiry;
mod keys;
mod measure;
mod size;

use std::process::ExitCode;

use cached_benches::report::{Report, Row, Section};
use cached_benches::rounds::Value;

use crate::contenders::{CONTENDERS, Work};
use crate::keys::Keys;

const REPORT: Report = Report {
    name: "memory",
    head: "\
# Memory

Written by `cargo bench -p cached-benches --bench memory -- record` on a shared machine with two cores. Instructions (callgrind) and
CPU time (the median of interleaved rounds, and its quartiles) are multiples of `by hand`: quick_cache with a hand-written expiry.
",
    caption: "CPU time of each work, as multiples of the cache by hand",
    contenders: &["by hand", "async_cached", "cached", "moka"],
};

const SECTIONS: [Section; 7] = [
    ("hits", || {
        let mut rows = costs("hit, u64 → u64", Work::Number, || Keys::Thousand(0));
        rows.extend(costs("hit, (u64, &str) → Result<User>", Work::User, || Keys::Thousand(0)));
        rows
    }),
    ("misses", || costs("miss, u64 → u64", Work::Miss, || Keys::New(0))),
    ("zipf", || costs("80 % hits by Zipf, u64 → u64", Work::Zipf, || Keys::Zipf(0))),
    ("threads", crowd::threads),
    ("stampede", crowd::stampede),
    ("expiry", expiry::rows),
    ("size", size::rows),
];

fn costs(name: &str, work: Work, keys: fn() -> Keys) -> Vec<Row> {
    let costs = measure::costs(work, keys);
    let row = |figure, tolerance, value: fn(&measure::Costs) -> Option<Value>| Row {
        work: name.into(),
        figure,
        values: costs.iter().map(value).collect(),
        tolerance: Some(tolerance),
    };
    vec![
        row("instructions", 1.03, |costs| costs.instructions.map(Value::from)),
        row("CPU", 1.3, |costs| costs.cpu),
        row("allocations", 1.0, |costs| Some(costs.allocations.into())),
    ]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["count", contender, work, calls] => count(contender, work, calls.parse().unwrap()),
        ["size", contender] => size::print(contender),
        _ => return REPORT.run(&SECTIONS, &words),
    }
    ExitCode::SUCCESS
}

/// Performs calls of one contender, for callgrind.
fn count(contender: &str, work: &str, calls: u64) {
    let contender = CONTENDERS.iter().find(|candidate| candidate.name == contender).unwrap();
    let (work, keys) = match work {
        "Number" => (Work::Number, Keys::Thousand(0)),
        "User" => (Work::User, Keys::Thousand(0)),
        "Miss" => (Work::Miss, Keys::New(0)),
        _ => (Work::Zipf, Keys::Zipf(0)),
    };
    (contender.run)(work, &mut keys.take(usize::try_from(calls).unwrap()));
}
