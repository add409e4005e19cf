//! Forked processes: copies of a process that go on from where it was, as the workers of a pre-forking server do.

use std::io::{Read as _, Write as _, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;

use fork::{Fork, fork, waitpid};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a function in a copy of this process, and returns the text that it returns.
///
/// The copy has only the calling thread. So the test runs `in_own_process`, and what its other threads may hold, such
/// as a runtime, is not used in the function.
///
/// # Panics
///
/// If the function panics.
pub fn forked(run: impl FnOnce() -> String) -> String {
    let (mut reader, mut writer) = pipe().expect("a pipe should be made");
    match fork().expect("the process should be copied") {
        Fork::Child => {
            drop(reader);
            let text = catch_unwind(AssertUnwindSafe(run));
            if text.is_ok_and(|text| writer.write_all(text.as_bytes()).is_ok()) {
                drop(writer);
                // Neither destructors nor the harness of the tests run in a copy.
                let _ = kill_process(rustix::process::getpid(), Signal::KILL);
            }
            abort();
        }
        Fork::Parent(pid) => {
            drop(writer);
            let mut text = String::new();
            let read = reader.read_to_string(&mut text);
            let status = waitpid(pid).expect("the copy should end");
            let is_done = status & 0x7f == Signal::KILL.as_raw();
            assert!(read.is_ok() && is_done, "the copy of the process {:?} panicked", Pid::from_raw(pid));
            text
        }
    }
}
