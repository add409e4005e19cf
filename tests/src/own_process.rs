//! Tests in a process of their own, and processes that a test starts.
//!
//! Nextest runs every test in a process of its own; `cargo test` runs all tests of a binary in one process. What a
//! process has only once is then shared by them: the configuration, the list of functions, the stores that
//! [`invalidate_tag`](cached_runtime::invalidate_tag) reaches, the tags in memory, the limit of background refreshes.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::find;

/// Runs the rest of the test in a process that runs nothing else.
///
/// It is the first line of a test that needs for itself what a process has only once, for example one that stops a
/// server that every `invalidate_tag` of its process has to reach. In the process of all tests it runs the test
/// again, as the only test of another process, and returns. A test that shares nothing does not need it: servers,
/// functions, keys and tags of its own are enough.
///
/// # Panics
///
/// If the test fails in the other process.
#[macro_export]
macro_rules! in_own_process {
    () => {
        let is_in_own_process = {
            fn here() {}
            $crate::own_process::is_in_own_process(::std::any::type_name_of_val(&here))
        };
        if !is_in_own_process {
            return;
        }
    };
}

/// In this variable a process finds the name of the only test that it runs.
const ONLY_TEST: &str = "CACHED_TESTS_ONLY_TEST";

/// Whether this process runs only the test of the function that the type name is from; else runs the test in one.
#[doc(hidden)]
#[must_use]
pub fn is_in_own_process(type_name_of_function_in_test: &str) -> bool {
    let test = test_of(type_name_of_function_in_test);
    let is_each = env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    if is_each || env::var(ONLY_TEST).is_ok_and(|only| only == test) {
        return true;
    }
    let output = only(test).env(ONLY_TEST, test).output().expect("the test binary should start");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} failed in a process of its own:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "{test} is not the name of a test:\n{stdout}");
    print!("{stdout}");
    false
}

/// `a::test` for `it::a::test::{{closure}}::here`.
fn test_of(type_name: &str) -> &str {
    let (_, path) = type_name.split_once("::").expect("a path begins with its crate");
    let (function, _) = path.rsplit_once("::").expect("the function is in that of the test");
    function.trim_end_matches("::{{closure}}")
}

/// A process of this binary that runs only this test, and that ends when the thread that has started it ends.
///
/// The thread matters on Linux only, where `setpriv` is installed.
#[must_use]
pub fn only(test: &str) -> Command {
    let this = env::current_exe().expect("the test binary should have a path");
    let mut command = ends_with_its_parent(&this);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
    command
}

/// A command that the kernel kills when the thread that has spawned it ends, where `setpriv` is installed.
pub(crate) fn ends_with_its_parent(program: &Path) -> Command {
    let Some(setpriv) = find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
