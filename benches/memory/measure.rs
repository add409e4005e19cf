//! How a number of calls is measured.

use std::env::current_exe;
use std::process::Command;
use std::time::Duration;

use allocation_counter::measure;
use rustix::time::{ClockId, clock_gettime};

use crate::contenders::{CONTENDERS, Contender, Work};
use crate::keys::Keys;

/// What a call costs, as multiples of the floor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    pub(crate) instructions: Option<f64>,
    pub(crate) cpu: f64,
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
    let mut ratios = vec![Vec::new(); runs.len()];
    for _ in 0..ROUNDS {
        let times: Vec<f64> = runs.iter_mut().map(|(contender, keys)| cpu(contender, work, keys)).collect();
        for (ratios, time) in ratios.iter_mut().zip(&times) {
            ratios.push(time / times[0]);
        }
    }
    let allocations = runs.iter_mut().map(|(contender, keys)| {
        let measured = measure(|| (contender.run)(work, &mut keys.by_ref().take(ROUND)));
        measured.count_total as f64 / ROUND as f64
    });
    let instructions: Vec<Option<f64>> =
        CONTENDERS.iter().map(|contender| instructions(contender, work)).collect();
    ratios
        .into_iter()
        .zip(allocations)
        .zip(&instructions)
        .map(|((ratios, allocations), of_this)| Costs {
            instructions: of_this.zip(instructions[0]).map(|(of_this, floor)| of_this / floor),
            cpu: median(ratios),
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
    let before = time(ClockId::ThreadCPUTime);
    (contender.run)(work, &mut keys.by_ref().take(ROUND));
    (time(ClockId::ThreadCPUTime) - before).as_secs_f64()
}

pub(crate) fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
