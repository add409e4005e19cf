//! A run of many processes: this test binary again, several times, each with its part of the operations.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Instant;

use cached_tests::own_process::only;

use super::model::Event;
use super::origin::{Dir, Origin};
use super::random;
use super::runner::{Function, World};
use super::{BOUND, KEYS, judge};

const MEMBERS: u64 = 3;
const TASKS: u64 = 16;

/// What the members of a fleet are told.
const MEMBER: &str = "CACHED_TEST_HISTORY_MEMBER";

/// Runs operations in several processes on one store and checks what came of it.
pub(super) fn holds(store: &str, address: &str, functions: &[Function], operations: u64) {
    judge(functions, &history(store, address, operations));
}

/// What happened in several processes on one store.
pub(super) fn history(store: &str, address: &str, operations: u64) -> Vec<Event> {
    let (dir, seed, started) = (Dir::new(), random::seed(), Instant::now());
    println!("CACHED_TEST_SEED={seed}");
    let member = |process| Member {
        store: store.into(),
        address: address.into(),
        dir: dir.0.clone(),
        process,
        seed,
        operations: operations / MEMBERS,
    };
    let members: Vec<_> = (1..=MEMBERS).map(|process| (member(process).start(), member(process))).collect();
    let history = members.into_iter().flat_map(|(process, member)| {
        process.wait();
        let lines = fs::read_to_string(member.file()).expect("a member writes what it has seen");
        lines.lines().map(|line| Event::from_line(line).unwrap()).collect::<Vec<_>>()
    });
    let history = history.collect();
    println!("{operations} operations in {MEMBERS} processes in {:?}", started.elapsed());
    history
}

/// One process of a run.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) store: String,
    pub(super) address: String,
    dir: PathBuf,
    process: u64,
    seed: u64,
    operations: u64,
}

impl Member {
    /// What this process was started for, if it was started by a test.
    pub(super) fn from_environment() -> Option<Self> {
        let told = std::env::var(MEMBER).ok()?;
        let mut words = told.split(' ');
        let mut word = || words.next().expect("a member is told everything");
        Some(Self {
            store: word().into(),
            address: word().into(),
            dir: word().into(),
            process: word().parse().unwrap(),
            seed: word().parse().unwrap(),
            operations: word().parse().unwrap(),
        })
    }

    fn start(&self) -> Process {
        let Self { store, address, dir, process, seed, operations } = self;
        let told = format!("{store} {address} {} {process} {seed} {operations}", dir.display());
        let mut command = only("history::member_of_a_fleet");
        Process(command.env(MEMBER, told).stdout(Stdio::null()).spawn().unwrap())
    }

    pub(super) async fn run(self, functions: &'static [Function]) {
        let origin = Origin::open(&self.dir, functions.len(), KEYS);
        let world = World::new(self.process, functions, KEYS, origin);
        let run = world.run(self.seed, TASKS, self.operations);
        tokio::time::timeout(BOUND, run).await.expect("the run should end");
        let lines: String = world.history.lock().unwrap().iter().map(|event| event.to_line()).collect();
        fs::write(self.file(), lines).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.join(format!("history-{}", self.process))
    }
}

/// Killed when dropped.
struct Process(Child);

impl Process {
    fn wait(mut self) {
        let status = self.0.wait().unwrap();
        assert!(status.success(), "a member of the fleet ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
