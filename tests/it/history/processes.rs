//! A run in several processes of this test binary, each with its share of the operations.

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

const WORKERS: u64 = 3;
const TASKS: u64 = 16;

/// The environment variable that configures a worker process.
const WORKER: &str = "CACHED_TEST_HISTORY_WORKER";

/// Runs operations in several processes on one store and checks their history.
pub(super) fn holds(store: &str, address: &str, functions: &[Function], operations: u64) {
    judge(functions, &history(store, address, operations));
}

/// Runs operations in several processes on one store and returns their history.
pub(super) fn history(store: &str, address: &str, operations: u64) -> Vec<Event> {
    let (dir, seed, started) = (Dir::new(), random::seed(), Instant::now());
    println!("CACHED_TEST_SEED={seed}");
    let worker = |process| WorkerProcess {
        store: store.into(),
        address: address.into(),
        dir: dir.0.clone(),
        process,
        seed,
        operations: operations / WORKERS,
    };
    let workers: Vec<_> = (1..=WORKERS).map(|process| (worker(process).start(), worker(process))).collect();
    let history = workers.into_iter().flat_map(|(process, worker)| {
        process.wait();
        let lines = fs::read_to_string(worker.file()).expect("a worker writes its history");
        lines.lines().map(|line| Event::from_line(line).unwrap()).collect::<Vec<_>>()
    });
    let history = history.collect();
    println!("{operations} operations in {WORKERS} processes in {:?}", started.elapsed());
    history
}

/// One process of a run.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    pub(super) store: String,
    pub(super) address: String,
    dir: PathBuf,
    process: u64,
    seed: u64,
    operations: u64,
}

impl WorkerProcess {
    /// Returns the configuration of this process, if a test started it as a worker.
    pub(super) fn from_environment() -> Option<Self> {
        let fields = std::env::var(WORKER).ok()?;
        let mut words = fields.split(' ');
        let mut word = || words.next().expect("a worker gets all fields");
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
        let fields = format!("{store} {address} {} {process} {seed} {operations}", dir.display());
        let mut command = only("history::worker_process");
        Process(command.env(WORKER, fields).stdout(Stdio::null()).spawn().unwrap())
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
        assert!(status.success(), "a worker ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
