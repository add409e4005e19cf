//! Tests that run in a process of their own, and processes that a test starts.
//!
//! Nextest runs every test in a process of its own; `cargo test` runs all tests of a binary in one process. These tests
//! then share the state of the process: the configuration, the list of functions, the stores that
//! [`invalidate_tag`](cached_runtime::invalidate_tag) reaches, the tags in memory, the limit of background refreshes.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::find;

/// Runs the rest of the test in a process that runs nothing else.
///
/// The first line of a test that needs the state of the process for itself, for example one that stops a server that
/// every `invalidate_tag` of its process has to reach. In the process of all tests it runs the test again, as the only
/// test of another process, and returns. A test with servers, functions, keys and tags of its own does not need it.
///
/// # Panics
///
/// Panics if the test fails in the other process.
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

/// The environment variable with the name of the only test that a process runs.
const ONLY_TEST: &str = "CACHED_TESTS_ONLY_TEST";

/// Returns `true` if this process runs only the test that contains the function of this type name. Otherwise runs that
/// test in such a process.
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

/// Returns the name of a test: `a::test` for `it::a::test::{{closure}}::here`.
fn test_of(type_name: &str) -> &str {
    let (_, path) = type_name.split_once("::").expect("a path begins with its crate");
    let (function, _) = path.rsplit_once("::").expect("the function is inside the test");
    function.trim_end_matches("::{{closure}}")
}

/// Returns a command that runs only this test of this binary. The process is killed when the thread that spawned it ends.
///
/// It is killed only on Linux, where `setpriv` is installed.
#[must_use]
pub fn only(test: &str) -> Command {
    let this = env::current_exe().expect("the test binary should have a path");
    let mut command = ends_with_its_parent(&this);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
    command
}

/// Returns a command whose process the kernel kills when the thread that spawned it ends, where `setpriv` is installed.
pub(crate) fn ends_with_its_parent(program: &Path) -> Command {
    let Some(setpriv) = find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
