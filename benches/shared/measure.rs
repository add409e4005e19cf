//! CPU time by rounds in which the contenders take turns, so that the ratios hold also on a busy machine; and allocations.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::by_hand::all;
use crate::setting::{KEYS, SETTING};

const ROUNDS: usize = 9;
pub(crate) const ROUND: Duration = Duration::from_millis(150);

/// Measures a contender with so many tasks for one round: microseconds of CPU a call.
pub(crate) type Contender = Box<dyn Fn(usize) -> f64>;

/// Returns the contender that makes these calls.
pub(crate) fn contender<F>(call: impl Fn(u64) -> F + Clone + Send + 'static) -> Contender
where
    F: Future<Output = ()> + Send,
{
    Box::new(move |tasks| SETTING.threads.block_on(cpu_per_call(tasks, call.clone())))
}

/// Returns the CPU time of each contender as a multiple of that of the first: the median of all rounds.
pub(crate) fn ratios(tasks: usize, contenders: &[Option<Contender>]) -> Vec<Option<f64>> {
    let mut rounds = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        let mut floor = None;
        for (ratios, contender) in rounds.iter_mut().zip(contenders) {
            let Some(contender) = contender else { continue };
            let cpu = contender(tasks);
            ratios.push(cpu / *floor.get_or_insert(cpu));
        }
    }
    rounds.into_iter().map(median).collect()
}

/// Returns the median of all rounds of a figure.
pub(crate) fn median_of(figure: impl Fn() -> f64) -> Option<f64> {
    median((0..ROUNDS).map(|_| figure()).collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Calls in a loop from so many tasks; returns the CPU time of this process for one call, in microseconds.
pub(crate) async fn cpu_per_call<F>(tasks: usize, call: impl Fn(u64) -> F + Clone + Send + 'static) -> f64
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

/// Returns the allocations of a call, all of whose work is on one thread.
pub(crate) fn allocations(one_thread: &Runtime, tasks: usize, call: impl AsyncFn(u64)) -> f64 {
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
        all(calls).await;
    };
    one_thread.block_on(looping());
    let counted = allocation_counter::measure(|| one_thread.block_on(looping()));
    counted.count_total as f64 / (CALLS * tasks as u64) as f64
}
