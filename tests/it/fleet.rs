//! One computation for all processes, and what becomes of it when its process dies or sleeps.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use cached_runtime::{MemcachedConfig, RedisConfig, async_cached, configure};
use cached_tests::server::{MemcachedServer, RedisServer};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// In this variable a process of the fleet finds its backend, its server, how many tasks it has, and how long a
/// computation takes in milliseconds.
const MEMBER: &str = "CACHED_TEST_FLEET_MEMBER";

#[async_cached(ttl = 600, backend = "redis")]
async fn through_redis(millis: u64) -> u32 {
    compute(millis).await
}

#[async_cached(ttl = 600, backend = "memcached")]
async fn through_memcached(millis: u64) -> u32 {
    compute(millis).await
}

/// Says that it computes and, in the end, who did.
async fn compute(millis: u64) -> u32 {
    say("computing");
    tokio::time::sleep(Duration::from_millis(millis)).await;
    std::process::id()
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
    fleet.iter_mut().for_each(Member::go);
    let reports: Vec<Report> = fleet.iter_mut().map(Member::report).collect();

    let computations: usize = reports.iter().map(|report| report.computations).sum();
    let answers: Vec<&Answer> = reports.iter().flat_map(|report| &report.answers).collect();
    assert_eq!((computations, answers.len()), (1, 4 * 64));
    assert!(answers.iter().all(|answer| answer.value == answers[0].value), "one answer for all");
    let (first, last) = (answers.iter().map(|a| a.at).min(), answers.iter().map(|a| a.at).max());
    let spread = last.zip(first).map_or(0, |(last, first)| last - first);
    println!("{backend}: from the first answer to the last {:?}", Duration::from_nanos(spread));
    assert!(spread < 500_000_000, "nobody waited for a second computation");
}

fn a_killed_process_is_replaced(backend: &str, server: &str) {
    let mut first = Member::start(backend, server, 1, 3_600_000);
    first.go();
    first.has_begun();
    // The same key, and this one would take as long: it says when it begins.
    let mut second = Member::start(backend, server, 8, 3_600_000);
    second.go();
    first.signal(Signal::KILL);
    second.has_begun();
}

fn a_process_that_slept_beyond_its_lease_stores_nothing(backend: &str, server: &str) {
    let mut sleeper = Member::start(backend, server, 1, 1_000);
    sleeper.go();
    sleeper.has_begun();
    sleeper.signal(Signal::STOP);
    let mut other = Member::start(backend, server, 1, 1_000);
    other.go();
    let others = other.report();
    assert_eq!(others.computations, 1, "the lease of the sleeper has ended");

    sleeper.signal(Signal::CONT);
    let sleepers = sleeper.report();
    assert_eq!(sleepers.answers[0].value, sleeper.child.id(), "its own caller gets what it has computed");
    assert_eq!(sleepers.refused, 1, "and the store refuses it");

    let mut third = Member::start(backend, server, 1, 1_000);
    third.go();
    let thirds = third.report();
    assert_eq!((thirds.computations, thirds.answers[0].value), (0, other.child.id()));
}

/// A process that calls the function when it is told to.
struct Member {
    child: Child,
    says: BufReader<ChildStdout>,
}

struct Report {
    computations: usize,
    answers: Vec<Answer>,
    refused: u64,
}

struct Answer {
    value: u32,
    /// Nanoseconds by the clock of the machine.
    at: u64,
}

impl Member {
    fn start(backend: &str, server: &str, tasks: usize, millis: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fleet::a_member_of_a_fleet", "--nocapture", "--test-threads=1"])
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

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    fn has_begun(&mut self) {
        self.wait_for("computing");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn report(&mut self) -> Report {
        let mut report = Report { computations: 0, answers: Vec::new(), refused: 0 };
        loop {
            let line = self.line();
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["computing"] => report.computations += 1,
                ["answer", value, at] => {
                    report.answers.push(Answer { value: value.parse().unwrap(), at: at.parse().unwrap() });
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
        while self.line() != word {}
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
    std::io::stdin().lines().next();
    runtime.block_on(async move {
        let calls: Vec<_> = (0..tasks)
            .map(|_| {
                tokio::spawn(async move {
                    let value =
                        if is_redis { through_redis(millis).await } else { through_memcached(millis).await };
                    let now = clock_gettime(ClockId::Monotonic);
                    say(&format!("answer {value} {}", now.tv_sec * 1_000_000_000 + now.tv_nsec));
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    });
    let stats = if is_redis { through_redis::stats() } else { through_memcached::stats() };
    say(&format!("refused {}", stats.refused));
}

/// One line to the parent, in one write.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("| {line}\n").as_bytes());
}
