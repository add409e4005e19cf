//! CPU time, in seconds.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// Returns the CPU time of this thread.
#[must_use]
pub fn cpu_of_thread() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// Returns the CPU time of all threads of this process.
#[must_use]
pub fn cpu_of_process() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// Returns the CPU time of the processes that this one has waited for, to 10 ms. `None` where there is no `/proc`.
#[must_use]
pub fn cpu_of_children() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name of the program, in parentheses; see proc_pid_stat(5).
    let (_, from_third) = status.rsplit_once(") ")?;
    let ticks = from_third.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<Option<f64>>().map(|ticks| ticks / 100.0)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
