//! How calls of a client are measured.

use std::env::current_exe;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use cached_benches::clock::cpu_of_process;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::clients::Client;
use crate::setting::{SETTING, TEXTS, USERS};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reads 128 bytes.
    User,
    /// Reads 100 KiB.
    Text,
    /// Finds nothing, and stores a number.
    Fill,
}

/// Calls in a loop from so many tasks for one round; returns the number of calls.
pub(crate) type Contender = Box<dyn Fn(Work, usize) -> u64>;

/// How long the calls of one round last.
pub(crate) const ROUND: Duration = Duration::from_millis(150);

/// Returns the contender that calls a client. What its hits read is stored before.
pub(crate) fn contender<C: Client>(client: &C) -> Contender {
    let client = client.clone();
    SETTING.threads.block_on(store(&client));
    Box::new(move |work, tasks| SETTING.threads.block_on(calls(&client, work, tasks)))
}

/// Stores what hits read, 64 at a time.
async fn store(client: &impl Client) {
    let mut tasks = JoinSet::new();
    for task in 0..TEXTS {
        let client = client.clone();
        tasks.spawn(async move {
            client.text(task).await;
            for id in (task..USERS).step_by(64) {
                client.user(id).await;
            }
        });
    }
    tasks.join_all().await;
}

async fn calls<C: Client>(client: &C, work: Work, tasks: usize) -> u64 {
    let end = Instant::now() + ROUND;
    let looping: Vec<_> = (0..tasks as u64)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                let (mut calls, mut state) = (0, task.wrapping_mul(7_919) + 1);
                while Instant::now() < end {
                    // Knuth's generator for MMIX.
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    call(&client, work, state >> 33).await;
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
    calls
}

async fn call(client: &impl Client, work: Work, random: u64) {
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
    match work {
        Work::User => drop(client.user(random % USERS).await),
        Work::Text => drop(client.text(random % TEXTS).await),
        Work::Fill => _ = client.number(NEXT.fetch_add(1, Relaxed)).await,
    }
}

/// Returns the CPU time of this process for one call, in seconds.
pub(crate) fn cpu_per_call(contender: &Contender, work: Work, tasks: usize) -> f64 {
    let before = cpu_of_process();
    let calls = contender(work, tasks);
    (cpu_of_process() - before) / calls as f64
}

/// Returns the commands that the servers receive for one hit.
pub(crate) fn commands_per_hit(contender: &Contender, tasks: usize) -> f64 {
    let before = SETTING.reads();
    let calls = contender(Work::User, tasks);
    (SETTING.reads() - before) as f64 / calls as f64
}

/// Returns the system calls of a hit of the contender with this name, by strace: the difference of two runs with different
/// numbers of hits. `None` if strace is not installed. It slows the process down, so more calls than usual share a batch.
pub(crate) fn system_calls_per_hit(name: &str, tasks: usize) -> Option<f64> {
    let run = |rounds: usize| {
        let output = Command::new("strace")
            // The servers, which the process starts, are not followed.
            .args(["-f", "-c", "-b", "execve"])
            .arg(current_exe().ok()?)
            .args(["hits", name, &tasks.to_string(), &rounds.to_string()])
            .output()
            .ok()?;
        let (counts, hits) = (String::from_utf8(output.stderr).ok()?, String::from_utf8(output.stdout).ok()?);
        let total = counts.lines().rfind(|line| line.ends_with("total"))?;
        let calls: f64 = total.split_whitespace().nth(3)?.parse().ok()?;
        Some((calls, hits.trim().parse::<f64>().ok()?))
    };
    let ((few, few_hits), (many, many_hits)) = (run(2)?, run(12)?);
    Some((many - few) / (many_hits - few_hits))
}

/// Returns the allocations of a hit, all of whose work is on one thread.
pub(crate) fn allocations(one_thread: &Runtime, client: &impl Client, tasks: usize) -> f64 {
    const CALLS: u64 = 150;
    let looping = async || {
        let calls: Vec<_> = (0..tasks as u64)
            .map(|task| {
                Box::pin(async move {
                    for id in 0..CALLS {
                        client.user((task * CALLS + id) % USERS).await;
                    }
                })
            })
            .collect();
        all(calls).await;
    };
    // The first calls store the values. A store that is busy may drop some; the second calls store those.
    one_thread.block_on(looping());
    one_thread.block_on(looping());
    let counted = allocation_counter::measure(|| one_thread.block_on(looping()));
    counted.count_total as f64 / (CALLS * tasks as u64) as f64
}

/// Polls all futures to their ends, in one task.
async fn all<F: Future>(futures: Vec<Pin<Box<F>>>) {
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
