//! How a number of calls is measured.

use std::env::current_exe;
use std::process::Command;

use allocation_counter::measure;
use cached_benches::clock::cpu_of_thread;
use cached_benches::rounds::{Value, ratios};

use crate::contenders::{CONTENDERS, Contender, Work};
use crate::keys::Keys;

/// What a call costs, as multiples of the floor.
#[derive(Debug, Clone)]
pub(crate) struct Costs {
    pub(crate) instructions: Option<f64>,
    pub(crate) cpu: Option<Value>,
    /// The number, not a multiple.
    pub(crate) allocations: f64,
}

/// Calls before a measurement, until the entries are there.
const WARM_UP: usize = 120_000;
/// Calls of one contender in one round.
const ROUND: usize = 20_000;
const ROUNDS: usize = 41;

/// Measures all contenders, which take turns.
pub(crate) fn costs(work: Work, keys: fn() -> Keys) -> Vec<Costs> {
    let mut runs: Vec<(&Contender, Keys)> = CONTENDERS.iter().map(|contender| (contender, keys())).collect();
    for (contender, keys) in &mut runs {
        (contender.run)(work, &mut keys.by_ref().take(WARM_UP));
    }
    let cpu = ratios(ROUNDS, &mut runs, |(contender, keys)| Some(cpu(contender, work, keys)));
    let allocations = runs.iter_mut().map(|(contender, keys)| {
        let measured = measure(|| (contender.run)(work, &mut keys.by_ref().take(ROUND)));
        measured.count_total as f64 / ROUND as f64
    });
    let instructions: Vec<Option<f64>> =
        CONTENDERS.iter().map(|contender| instructions(contender, work)).collect();
    cpu.into_iter()
        .zip(allocations)
        .zip(&instructions)
        .map(|((cpu, allocations), of_this)| Costs {
            instructions: of_this.zip(instructions[0]).map(|(of_this, floor)| of_this / floor),
            cpu,
            allocations,
        })
        .collect()
}

/// Returns the instructions of a call, by callgrind: the difference of two runs with different numbers of calls. `None`
/// without valgrind.
fn instructions(contender: &Contender, work: Work) -> Option<f64> {
    const FEW: u64 = 130_000;
    const MANY: u64 = 180_000;
    let count = |calls: u64| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(current_exe().ok()?)
            .args(["count", contender.name, &format!("{work:?}"), &calls.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        text.rsplit_once("Collected : ")?.1.lines().next()?.trim().parse::<f64>().ok()
    };
    Some((count(MANY)? - count(FEW)?) / (MANY - FEW) as f64)
}

fn cpu(contender: &Contender, work: Work, keys: &mut Keys) -> f64 {
    let before = cpu_of_thread();
    (contender.run)(work, &mut keys.by_ref().take(ROUND));
    cpu_of_thread() - before
}
