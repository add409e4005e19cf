//! Single flight across processes that share a store, also when the process that computes is killed or stopped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use cached_runtime::{MemcachedConfig, RedisConfig, async_cached, configure};
use cached_tests::own_process::only;
use cached_tests::server::{MemcachedServer, RedisServer};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// The environment variable that gives a process its backend, its server, its number of tasks, and the duration of a
/// computation in milliseconds.
const WORKER: &str = "CACHED_TEST_WORKER";

/// The key whose computation fails.
const FAILS: u32 = u32::MAX;
/// The key whose first computation of all processes fails.
const FAILS_ONCE: u32 = u32::MAX - 1;
/// The environment variables that give a process another term of leases, and another wait budget, in milliseconds.
const LEASE: &str = "CACHED_TEST_LEASE";
const WAIT: &str = "CACHED_TEST_WAIT";
/// The environment variable that names the file which that computation creates.
const FIRST: &str = "CACHED_TEST_FIRST";

#[derive(Debug, Clone)]
struct Failure;

#[async_cached(ttl = 600, backend = "redis", skip(millis))]
async fn through_redis(key: u32, millis: u64) -> Result<u32, Failure> {
    compute(key, millis).await
}

#[async_cached(ttl = 600, backend = "memcached", skip(millis))]
async fn through_memcached(key: u32, millis: u64) -> Result<u32, Failure> {
    compute(key, millis).await
}

/// Prints when it begins, and returns the id of its process.
async fn compute(key: u32, millis: u64) -> Result<u32, Failure> {
    print_line(&format!("computing {}", now()));
    tokio::time::sleep(Duration::from_millis(millis)).await;
    let is_first = || File::create_new(std::env::var_os(FIRST).unwrap()).is_ok();
    if key == FAILS || (key == FAILS_ONCE && is_first()) { Err(Failure) } else { Ok(std::process::id()) }
}

#[test]
fn one_process_computes_for_all_through_redis() {
    let server = RedisServer::start();
    one_process_computes_for_all("redis", &server.url());
}

#[test]
fn one_process_computes_for_all_through_memcached() {
    let server = MemcachedServer::start();
    one_process_computes_for_all("memcached", &server.addr());
}

#[test]
fn attempts_that_fail_are_made_one_at_a_time_through_redis() {
    let server = RedisServer::start();
    attempts_that_fail_are_made_one_at_a_time("redis", &server.url());
}

#[test]
fn attempts_that_fail_are_made_one_at_a_time_through_memcached() {
    let server = MemcachedServer::start();
    attempts_that_fail_are_made_one_at_a_time("memcached", &server.addr());
}

#[test]
fn an_event_costs_sixteen_processes_one_computation_more_through_redis() {
    let server = RedisServer::start();
    an_event_costs_sixteen_processes_one_computation_more("redis", &server.url());
}

#[test]
fn an_event_costs_sixteen_processes_one_computation_more_through_memcached() {
    let server = MemcachedServer::start();
    an_event_costs_sixteen_processes_one_computation_more("memcached", &server.addr());
}

#[test]
fn a_killed_process_is_replaced_when_its_lease_has_ended_in_redis() {
    let server = RedisServer::start();
    a_killed_process_is_replaced("redis", &server.url());
}

#[test]
fn a_killed_process_is_replaced_when_its_lease_has_ended_in_memcached() {
    let server = MemcachedServer::start();
    a_killed_process_is_replaced("memcached", &server.addr());
}

#[test]
fn a_short_term_lets_the_next_process_compute_soon_in_redis() {
    let server = RedisServer::start();
    a_short_term_lets_the_next_process_compute_soon("redis", &server.url());
}

#[test]
fn a_short_term_lets_the_next_process_compute_soon_in_memcached() {
    let server = MemcachedServer::start();
    a_short_term_lets_the_next_process_compute_soon("memcached", &server.addr());
}

#[test]
fn a_process_stopped_beyond_its_lease_stores_nothing_in_redis() {
    let server = RedisServer::start();
    a_process_stopped_beyond_its_lease_stores_nothing("redis", &server.url());
}

#[test]
fn a_process_stopped_beyond_its_lease_stores_nothing_in_memcached() {
    let server = MemcachedServer::start();
    a_process_stopped_beyond_its_lease_stores_nothing("memcached", &server.addr());
}

fn one_process_computes_for_all(backend: &str, server: &str) {
    let mut workers: Vec<Worker> = (0..4).map(|_| Worker::start(backend, server, 64, 500)).collect();
    let mut spreads = Vec::new();
    let mut computing = Vec::new();
    for key in 0..5 {
        for worker in &mut workers {
            worker.compute(key);
        }
        let reports: Vec<Report> = workers.iter_mut().map(Worker::report).collect();

        let begun: Vec<u64> = reports.iter().flat_map(|report| report.begun.clone()).collect();
        let answers: Vec<&Answer> = reports.iter().flat_map(|report| &report.answers).collect();
        assert_eq!((begun.len(), answers.len()), (1, 4 * 64));
        assert!(answers[0].value.is_some());
        assert!(answers.iter().all(|answer| answer.value == answers[0].value), "all callers get one answer");
        let first = answers.iter().map(|answer| answer.at).min().unwrap();
        let last = answers.iter().map(|answer| answer.at).max().unwrap();
        spreads.push(Duration::from_nanos(last - first));
        computing.push(Duration::from_nanos(first - begun[0]));
    }
    println!("{backend}: from the first answer to the last {spreads:?}");
    let (spread, computing) = (median(spreads), median(computing));
    println!("{backend}: the median is {spread:?}, after a computation of {computing:?}");
    assert!(spread < computing / 5, "callers are answered soon after the computation");
}

/// One failure, then one invalidation, of a key that sixteen processes wait for.
fn an_event_costs_sixteen_processes_one_computation_more(backend: &str, server: &str) {
    let _ = std::fs::remove_file(first_file(server));
    let mut workers: Vec<Worker> = (0..16).map(|_| Worker::start(backend, server, 4, 1_000)).collect();
    let mut invalidating = Worker::start(backend, server, 0, 0);
    for key in [FAILS_ONCE, 0] {
        for worker in &mut workers {
            worker.compute(key);
        }
        if key != FAILS_ONCE {
            std::thread::sleep(Duration::from_millis(500)); // In the middle of the computation.
            invalidating.invalidate(key);
        }
        let reports: Vec<Report> = workers.iter_mut().map(Worker::report).collect();
        let begun: usize = reports.iter().map(|report| report.begun.len()).sum();
        let answers: Vec<_> = reports.iter().flat_map(|report| &report.answers).collect();
        let failed = answers.iter().filter(|answer| answer.value.is_none()).count();
        println!("{backend}: {begun} computations, {failed} of {} callers got the error", answers.len());
        assert_eq!(begun, 2, "{key}: one event costs one computation more");
        // The callers in the process that failed share its error.
        assert_eq!(failed, if key == FAILS_ONCE { 4 } else { 0 });
    }
    let _ = std::fs::remove_file(first_file(server));
}

fn attempts_that_fail_are_made_one_at_a_time(backend: &str, server: &str) {
    const PROCESSES: usize = 4;
    let mut workers: Vec<Worker> = (0..PROCESSES).map(|_| Worker::start(backend, server, 8, 1_000)).collect();
    for worker in &mut workers {
        worker.compute(FAILS);
    }
    let reports: Vec<Report> = workers.iter_mut().map(Worker::report).collect();

    assert!(reports.iter().flat_map(|report| &report.answers).all(|answer| answer.value.is_none()));
    let attempts: Vec<usize> = reports.iter().map(|report| report.begun.len()).collect();
    assert_eq!(attempts, [1; PROCESSES], "the callers of one process share its error");
    let mut begun: Vec<u64> = reports.iter().map(|report| report.begun[0]).collect();
    begun.sort_unstable();
    let apart: Vec<_> = begun.windows(2).map(|pair| Duration::from_nanos(pair[1] - pair[0])).collect();
    println!("{backend}: attempts begin {apart:?} apart");
    // Each takes a second.
    assert!(apart.iter().all(|apart| *apart >= Duration::from_secs(1)), "{apart:?}");
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

fn a_killed_process_is_replaced(backend: &str, server: &str) {
    let mut first = Worker::start(backend, server, 1, 3_600_000);
    first.compute(0);
    first.has_begun();
    // The same key, and a computation that is as long: only its beginning is awaited.
    let mut second = Worker::start(backend, server, 8, 3_600_000);
    second.compute(0);
    first.signal(Signal::KILL);
    second.has_begun();
}

fn a_short_term_lets_the_next_process_compute_soon(backend: &str, server: &str) {
    let mut first = Worker::start_with(backend, server, 1, 3_600_000, &[(LEASE, "1000"), (WAIT, "60000")]);
    first.compute(0);
    first.has_begun();
    let mut second = Worker::start_with(backend, server, 1, 3_600_000, &[(LEASE, "1000"), (WAIT, "60000")]);
    second.compute(0);
    // Beyond the term: the first process extends its lease.
    std::thread::sleep(Duration::from_secs(4));
    first.signal(Signal::KILL);
    let killed = Instant::now();
    second.has_begun();
    println!("{backend}: the second process computes {:?} after the first was killed", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(8), "{:?}", killed.elapsed());

    // A short budget: the third computes without a lease, which the second one holds.
    let mut third = Worker::start_with(backend, server, 1, 3_600_000, &[(WAIT, "500")]);
    let called = Instant::now();
    third.compute(0);
    third.has_begun();
    assert!(called.elapsed() >= Duration::from_millis(500));
}

fn a_process_stopped_beyond_its_lease_stores_nothing(backend: &str, server: &str) {
    let mut stopped = Worker::start(backend, server, 1, 1_000);
    stopped.compute(0);
    stopped.has_begun();
    stopped.signal(Signal::STOP);
    let mut other = Worker::start(backend, server, 1, 1_000);
    other.compute(0);
    let others = other.report();
    assert_eq!(others.begun.len(), 1, "the lease of the stopped process has ended");

    stopped.signal(Signal::CONT);
    let late = stopped.report();
    assert_eq!(late.answers[0].value, Some(stopped.child.id()), "its own caller gets its result");
    assert_eq!((late.rejected, late.expired), (1, 1), "the store rejects it, because the lease has expired");

    let mut third = Worker::start(backend, server, 1, 1_000);
    third.compute(0);
    let thirds = third.report();
    assert_eq!((thirds.begun.len(), thirds.answers[0].value), (0, Some(other.child.id())));
}

/// A process that calls the function for each key that it receives.
struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// The events of a process. Times are nanoseconds of the monotonic clock.
#[derive(Default)]
struct Report {
    /// When each computation began.
    begun: Vec<u64>,
    answers: Vec<Answer>,
    rejected: u64,
    expired: u64,
}

struct Answer {
    /// The process that computed it; `None` for an error.
    value: Option<u32>,
    at: u64,
}

impl Worker {
    fn start(backend: &str, server: &str, tasks: usize, millis: u64) -> Self {
        Self::start_with(backend, server, tasks, millis, &[])
    }

    fn start_with(
        backend: &str,
        server: &str,
        tasks: usize,
        millis: u64,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = only("processes::worker_process")
            .env(WORKER, format!("{backend} {server} {tasks} {millis}"))
            .env(FIRST, first_file(server))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut worker = Self { child, output };
        worker.wait_for("ready");
        worker
    }

    fn compute(&mut self, key: u32) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
    }

    fn invalidate(&mut self, key: u32) {
        self.child.stdin.as_mut().unwrap().write_all(format!("invalidate {key}\n").as_bytes()).unwrap();
        self.wait_for("invalidated");
    }

    fn has_begun(&mut self) {
        self.wait_for("computing");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn report(&mut self) -> Report {
        let mut report = Report::default();
        loop {
            let line = self.line();
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["computing", at] => report.begun.push(at.parse().unwrap()),
                ["answer", value, at] => {
                    report.answers.push(Answer { value: value.parse().ok(), at: at.parse().unwrap() });
                }
                ["rejected", rejected, expired] => {
                    report.rejected = rejected.parse().unwrap();
                    report.expired = expired.parse().unwrap();
                    return report;
                }
                _ => {}
            }
        }
    }

    fn wait_for(&mut self, word: &str) {
        while self.line().split(' ').next() != Some(word) {}
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the process has ended");
        // The test runner may have written on the same line.
        line.trim_end().rsplit("| ").next().unwrap_or_default().to_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The entry point of the processes of the tests above.
#[test]
fn worker_process() {
    let Ok(worker) = std::env::var(WORKER) else { return };
    let [backend, server, tasks, millis] = worker.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{WORKER}={worker}")
    };
    let (tasks, millis): (usize, u64) = (tasks.parse().unwrap(), millis.parse().unwrap());
    let deadline = Duration::from_secs(5);
    let limit = |name: &str| Some(Duration::from_millis(std::env::var(name).ok()?.parse().unwrap()));
    let mut config = configure();
    if let Some(term) = limit(LEASE) {
        config = config.lease(term);
    }
    if let Some(budget) = limit(WAIT) {
        config = config.wait(budget);
    }
    config
        .redis(
            RedisConfig::new(if backend == "redis" { server } else { "redis://127.0.0.1" })
                .deadline(deadline),
        )
        .memcached(
            MemcachedConfig::new(if backend == "memcached" { server } else { "127.0.0.1" })
                .deadline(deadline),
        )
        .install()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let is_redis = backend == "redis";
    print_line("ready");
    for key in std::io::stdin().lines() {
        let line = key.unwrap();
        if let Some(key) = line.strip_prefix("invalidate ") {
            let key = key.parse().unwrap();
            let invalidated = runtime.block_on(async {
                if is_redis {
                    through_redis::invalidate(key).await
                } else {
                    through_memcached::invalidate(key).await
                }
            });
            invalidated.unwrap();
            print_line("invalidated");
            continue;
        }
        let key: u32 = line.parse().unwrap();
        runtime.block_on(async move {
            let call = move || async move {
                let answer = if is_redis {
                    through_redis(key, millis).await
                } else {
                    through_memcached(key, millis).await
                };
                (answer, now())
            };
            let calls: Vec<_> = (0..tasks).map(|_| tokio::spawn(call())).collect();
            for call in calls {
                let (answer, at) = call.await.unwrap();
                print_line(&format!(
                    "answer {} {at}",
                    answer.map_or("error".to_owned(), |value| value.to_string())
                ));
            }
        });
        let stats = if is_redis { through_redis::stats() } else { through_memcached::stats() };
        print_line(&format!("rejected {} {}", stats.rejected_fills, stats.expired_leases));
    }
}

/// Returns the name of a file for the processes that use a server.
fn first_file(server: &str) -> PathBuf {
    let name: String = server.chars().filter(char::is_ascii_alphanumeric).collect();
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("first-{}-{name}", std::process::id()))
}

/// Returns the time of the monotonic clock in nanoseconds.
fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Prints a line for the parent process, in one write.
fn print_line(line: &str) {
    let _ = std::io::stdout().write_all(format!("| {line}\n").as_bytes());
}
