//! One computation for all processes, and what becomes of it when its process dies or sleeps.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use cached_runtime::{MemcachedConfig, RedisConfig, async_cached, configure};
use cached_tests::own_process::only;
use cached_tests::server::{MemcachedServer, RedisServer};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// In this variable a process of the fleet finds its backend, its server, how many tasks it has, and how long a
/// computation takes in milliseconds.
const MEMBER: &str = "CACHED_TEST_FLEET_MEMBER";

/// The key that makes a computation fail.
const FAILS: u32 = u32::MAX;

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

/// Says when it computes and, in the end, who did.
async fn compute(key: u32, millis: u64) -> Result<u32, Failure> {
    say(&format!("computing {}", now()));
    tokio::time::sleep(Duration::from_millis(millis)).await;
    if key == FAILS { Err(Failure) } else { Ok(std::process::id()) }
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
fn nobody_waits_for_a_second_failure_through_redis() {
    let server = RedisServer::start();
    nobody_waits_for_a_second_failure("redis", &server.url());
}

#[test]
fn nobody_waits_for_a_second_failure_through_memcached() {
    let server = MemcachedServer::start();
    nobody_waits_for_a_second_failure("memcached", &server.addr());
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
fn a_process_that_slept_beyond_its_lease_stores_nothing_in_redis() {
    let server = RedisServer::start();
    a_process_that_slept_beyond_its_lease_stores_nothing("redis", &server.url());
}

#[test]
fn a_process_that_slept_beyond_its_lease_stores_nothing_in_memcached() {
    let server = MemcachedServer::start();
    a_process_that_slept_beyond_its_lease_stores_nothing("memcached", &server.addr());
}

fn one_process_computes_for_all(backend: &str, server: &str) {
    let mut fleet: Vec<Member> = (0..4).map(|_| Member::start(backend, server, 64, 500)).collect();
    let mut spreads = Vec::new();
    let mut computing = Vec::new();
    for key in 0..5 {
        for member in &mut fleet {
            member.go(key);
        }
        let reports: Vec<Report> = fleet.iter_mut().map(Member::report).collect();

        let begun: Vec<u64> = reports.iter().flat_map(|report| report.begun.clone()).collect();
        let answers: Vec<&Answer> = reports.iter().flat_map(|report| &report.answers).collect();
        assert_eq!((begun.len(), answers.len()), (1, 4 * 64));
        assert!(answers[0].value.is_some());
        assert!(answers.iter().all(|answer| answer.value == answers[0].value), "one answer for all");
        let first = answers.iter().map(|answer| answer.at).min().unwrap();
        let last = answers.iter().map(|answer| answer.at).max().unwrap();
        spreads.push(Duration::from_nanos(last - first));
        computing.push(Duration::from_nanos(first - begun[0]));
    }
    println!("{backend}: from the first answer to the last {spreads:?}");
    let (spread, computing) = (median(spreads), median(computing));
    println!("{backend}: the median is {spread:?}, after a computation of {computing:?}");
    assert!(spread < computing / 5, "nobody waits for long after the answer is there");
}

fn nobody_waits_for_a_second_failure(backend: &str, server: &str) {
    const PROCESSES: usize = 4;
    let mut fleet: Vec<Member> = (0..PROCESSES).map(|_| Member::start(backend, server, 8, 1_000)).collect();
    for member in &mut fleet {
        member.go(FAILS);
    }
    let reports: Vec<Report> = fleet.iter_mut().map(Member::report).collect();

    assert!(reports.iter().flat_map(|report| &report.answers).all(|answer| answer.value.is_none()));
    let attempts: Vec<usize> = reports.iter().map(|report| report.begun.len()).collect();
    assert_eq!(attempts, [1; PROCESSES], "the callers of one process share its error");
    let mut begun: Vec<u64> = reports.iter().map(|report| report.begun[0]).collect();
    begun.sort_unstable();
    let waited: Vec<_> = begun.iter().map(|at| Duration::from_nanos(at - begun[0])).collect();
    println!("{backend}: after the first attempt the others begin in {:?}", &waited[1..]);
    // The first of them holds the lease and takes a second.
    assert!(begun[PROCESSES - 1] - begun[1] < 1_000_000_000, "nobody waits for a second failure: {waited:?}");
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

fn a_killed_process_is_replaced(backend: &str, server: &str) {
    let mut first = Member::start(backend, server, 1, 3_600_000);
    first.go(0);
    first.has_begun();
    // The same key, and this one would take as long: it says when it begins.
    let mut second = Member::start(backend, server, 8, 3_600_000);
    second.go(0);
    first.signal(Signal::KILL);
    second.has_begun();
}

fn a_process_that_slept_beyond_its_lease_stores_nothing(backend: &str, server: &str) {
    let mut sleeper = Member::start(backend, server, 1, 1_000);
    sleeper.go(0);
    sleeper.has_begun();
    sleeper.signal(Signal::STOP);
    let mut other = Member::start(backend, server, 1, 1_000);
    other.go(0);
    let others = other.report();
    assert_eq!(others.begun.len(), 1, "the lease of the sleeper has ended");

    sleeper.signal(Signal::CONT);
    let sleepers = sleeper.report();
    assert_eq!(
        sleepers.answers[0].value,
        Some(sleeper.child.id()),
        "its own caller gets what it has computed"
    );
    assert_eq!(sleepers.refused, 1, "and the store refuses it");

    let mut third = Member::start(backend, server, 1, 1_000);
    third.go(0);
    let thirds = third.report();
    assert_eq!((thirds.begun.len(), thirds.answers[0].value), (0, Some(other.child.id())));
}

/// A process that calls the function when it is told a key.
struct Member {
    child: Child,
    says: BufReader<ChildStdout>,
}

/// What happened in a process; times are nanoseconds by the clock of the machine.
#[derive(Default)]
struct Report {
    /// When computations began.
    begun: Vec<u64>,
    answers: Vec<Answer>,
    refused: u64,
}

struct Answer {
    /// Which process has computed it; `None` is an error.
    value: Option<u32>,
    at: u64,
}

impl Member {
    fn start(backend: &str, server: &str, tasks: usize, millis: u64) -> Self {
        let mut child = only("fleet::a_member_of_a_fleet")
            .env(MEMBER, format!("{backend} {server} {tasks} {millis}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut member = Self { child, says };
        member.wait_for("ready");
        member
    }

    fn go(&mut self, key: u32) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
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
                ["refused", refused] => {
                    report.refused = refused.parse().unwrap();
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
        assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "the process has ended");
        // The test runner may have written on the same line.
        line.trim_end().rsplit("| ").next().unwrap_or_default().to_owned()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test but a process of the tests above.
#[test]
fn a_member_of_a_fleet() {
    let Ok(member) = std::env::var(MEMBER) else { return };
    let [backend, server, tasks, millis] = member.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{MEMBER}={member}")
    };
    let (tasks, millis): (usize, u64) = (tasks.parse().unwrap(), millis.parse().unwrap());
    let patience = Duration::from_secs(5);
    configure()
        .redis(
            RedisConfig::new(if backend == "redis" { server } else { "redis://127.0.0.1" })
                .deadline(patience),
        )
        .memcached(
            MemcachedConfig::new(if backend == "memcached" { server } else { "127.0.0.1" })
                .deadline(patience),
        )
        .install()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let is_redis = backend == "redis";
    say("ready");
    for key in std::io::stdin().lines() {
        let key: u32 = key.unwrap().parse().unwrap();
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
                say(&format!("answer {} {at}", answer.map_or("error".to_owned(), |value| value.to_string())));
            }
        });
        let stats = if is_redis { through_redis::stats() } else { through_memcached::stats() };
        say(&format!("refused {}", stats.rejected_fills));
    }
}

/// Nanoseconds by the clock of the machine.
fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// One line to the parent, in one write.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("| {line}\n").as_bytes());
}
