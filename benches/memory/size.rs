//! The memory of an entry.

use std::env::current_exe;
use std::fs;
use std::process::Command;

use cached_benches::report::Row;
use cached_benches::rounds::Value;

use crate::contenders::{CONTENDERS, Work};

const ENTRIES: u64 = 1_000_000;

/// The resident memory of a million entries from `u64` to `u64`, in a process of its own for each contender.
pub(crate) fn rows() -> Vec<Row> {
    let bytes = |name: &str| {
        let output = Command::new(current_exe().ok()?).args(["size", name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<f64>().ok().map(Value::from)
    };
    let values = CONTENDERS.iter().map(|contender| bytes(contender.name)).collect();
    let work = "a million entries, u64 → u64".into();
    vec![Row { work, figure: "bytes an entry, with key and value", values, tolerance: Some(1.02) }]
}

/// Prints the bytes of an entry of one contender.
pub(crate) fn print(contender: &str) {
    let contender = CONTENDERS.iter().find(|candidate| candidate.name == contender).unwrap();
    // What the first call allocates is not of an entry.
    (contender.run)(Work::Million, &mut std::iter::once(0));
    let before = resident();
    (contender.run)(Work::Million, &mut (1..=ENTRIES));
    println!("{:.1}", (resident() - before) / ENTRIES as f64);
}

/// The resident memory of this process in bytes.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096.0
}
