//! Tests of the test servers and of the proxy.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use cached_tests::in_own_process;
use cached_tests::own_process::only;
use cached_tests::proxy::{Proxy, Replies};
use cached_tests::server::{MemcachedServer, RedisServer};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

#[test]
fn a_test_that_asks_for_a_process_of_its_own_has_one() {
    in_own_process!();
    let arguments: Vec<_> = std::env::args().collect();
    let test = "harness::a_test_that_asks_for_a_process_of_its_own_has_one";
    assert!(arguments.iter().any(|argument| argument == "--exact"), "{arguments:?}");
    assert!(arguments.iter().any(|argument| argument == test), "{arguments:?}");
}

#[test]
fn each_redis_server_has_its_own_data() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    assert_ne!(a.port(), b.port());
    assert_eq!(a.command(&["SET", "key", "a value"]), "OK");
    assert_eq!(a.command(&["GET", "key"]), "a value");
    assert_eq!(b.command(&["GET", "key"]), "(nil)");
    assert_eq!(a.command(&["MGET", "key", "other"]), "a value\n(nil)");
    assert_eq!(a.command(&["STRLEN", "key"]), "7");
    assert!(a.command(&["NO-SUCH"]).starts_with("-ERR"));
    assert_eq!(a.url(), format!("redis://{}", a.addr()));
}

#[test]
fn each_memcached_server_has_its_own_data() {
    let (a, b) = (MemcachedServer::start(), MemcachedServer::start());
    assert_ne!(a.port(), b.port());
    assert_eq!(a.command("set key 0 0 7\r\na value"), "STORED");
    assert_eq!(a.command("get key"), "VALUE key 0 7\r\na value\r\nEND");
    assert_eq!(b.command("get key"), "END");
    assert_eq!(b.command("mg key v q"), "");
}

#[test]
fn servers_count_commands() {
    let redis = RedisServer::start();
    assert_eq!(redis.calls("get"), 0);
    let _ = redis.command(&["GET", "a"]);
    let _ = redis.command(&["get", "b"]);
    assert_eq!(redis.calls("GET"), 2);

    let memcached = MemcachedServer::start();
    let _ = memcached.command("get a");
    assert_eq!((memcached.stat("cmd_get"), memcached.stat("get_misses")), (1, 1));
}

#[test]
fn a_server_takes_arguments() {
    let redis = RedisServer::start_with(&["--requirepass", "secret"]);
    assert_eq!(redis.command(&["PING"]), "PONG");
    assert_eq!(redis.url(), format!("redis://:secret@{}", redis.addr()));

    let memcached = MemcachedServer::start_with(&["-I", "2m"]);
    assert!(memcached.command("stats settings").contains("STAT item_size_max 2097152"));
}

#[test]
fn a_server_can_listen_on_a_socket_file() {
    let redis = RedisServer::start_on_socket();
    assert_eq!(redis.command(&["PING"]), "PONG");
    assert_eq!(redis.url(), format!("redis+unix://{}", redis.addr()));

    let memcached = MemcachedServer::start_on_socket();
    assert!(memcached.command("version").starts_with("VERSION "));
}

#[test]
fn a_killed_server_refuses_connections_and_restarts_empty_at_the_same_port() {
    let mut redis = RedisServer::start();
    let (port, pid) = (redis.port(), redis.pid());
    let _ = redis.command(&["SET", "key", "value"]);
    redis.kill();
    assert_eq!(TcpStream::connect(redis.addr()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    redis.restart();
    assert_eq!(redis.port(), port);
    assert_ne!(redis.pid(), pid);
    assert_eq!(redis.command(&["GET", "key"]), "(nil)");

    let mut memcached = MemcachedServer::start();
    let _ = memcached.command("set key 0 0 1\r\nx");
    memcached.restart();
    assert_eq!(memcached.command("get key"), "END");

    let mut on_socket = RedisServer::start_on_socket();
    on_socket.restart();
    assert_eq!(on_socket.command(&["PING"]), "PONG");
}

#[test]
fn a_stopped_server_accepts_connections_but_does_not_respond_until_it_continues() {
    let redis = RedisServer::start();
    redis.stop();
    let mut client = connect(&redis.addr());
    client.write_all(PING).unwrap();
    assert_silent(&mut client);
    redis.cont();
    assert_eq!(read(&mut client, PONG.len()), PONG);
}

#[test]
fn a_dropped_server_is_killed_also_if_it_was_stopped() {
    let redis = RedisServer::start();
    let (addr, pid) = (redis.addr(), redis.pid());
    redis.stop();
    drop(redis);
    TcpStream::connect(addr).unwrap_err();
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    assert_eq!(test_kill_process(pid), Err(Errno::SRCH), "the server should have been reaped");
}

#[test]
#[cfg(target_os = "linux")]
fn servers_die_with_a_killed_test_process() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    // The process to be killed runs this test too: it starts two servers and prints their ids.
    const TO_BE_KILLED: &str = "CACHED_TESTS_TO_BE_KILLED";
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let start = || (RedisServer::start(), MemcachedServer::start());
        let (redis, memcached) = thread::spawn(start).join().unwrap();
        println!("\npids {} {}", redis.pid(), memcached.pid());
        return thread::sleep(Duration::from_secs(60));
    }
    let mut process = only("harness::servers_die_with_a_killed_test_process")
        .env(TO_BE_KILLED, "")
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR")) // The killed process does not clean up.
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let pids = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("pids ")?.to_owned()));
    let pids: Vec<u32> = pids.unwrap().split(' ').map(|pid| pid.parse().unwrap()).collect();
    let runs = |pid: &u32| {
        // A process that has ended stays as a zombie until its new parent waits for it.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    assert!(pids.iter().all(runs), "a server has to outlive the thread that started it");

    process.kill().unwrap();
    process.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(runs) {
        assert!(Instant::now() < until, "a server was left behind");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_proxy_forwards_and_delays() {
    let (_redis, proxy) = redis_behind_proxy();
    let mut client = connect(&proxy.addr());
    ping(&mut client);
    assert_eq!((proxy.open(), proxy.accepted()), (1, 1));

    proxy.delay(Duration::from_millis(50));
    let start = Instant::now();
    ping(&mut client);
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_black_hole_swallows_open_connections_only() {
    let (redis, proxy) = redis_behind_proxy();
    let mut client = connect(&proxy.addr());
    ping(&mut client);
    let pings = redis.calls("ping");
    proxy.black_hole();
    client.write_all(PING).unwrap();
    assert_silent(&mut client);
    assert_eq!(redis.calls("ping"), pings);
    assert_eq!(proxy.open(), 1);
    ping(&mut connect(&proxy.addr()));

    client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let stuck = client.write_all(&vec![0; 64 << 20]).unwrap_err();
    assert_eq!(stuck.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_proxy_refuses_new_connections_until_it_accepts_again() {
    let (_redis, proxy) = redis_behind_proxy();
    let mut open = connect(&proxy.addr());
    ping(&mut open);
    for _ in 0..3 {
        proxy.refuse();
        assert_eq!(TcpStream::connect(proxy.addr()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        ping(&mut open);
        proxy.accept();
        ping(&mut connect(&proxy.addr()));
    }
}

#[test]
fn a_proxy_cuts_all_connections() {
    let (_redis, proxy) = redis_behind_proxy();
    let mut clients = [connect(&proxy.addr()), connect(&proxy.addr())];
    clients.iter_mut().for_each(ping);
    proxy.black_hole();
    proxy.cut();
    for client in &mut clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(proxy.open(), 0);
    ping(&mut connect(&proxy.addr()));
}

#[test]
fn a_proxy_corrupts_truncates_and_swallows_replies() {
    let (redis, proxy) = redis_behind_proxy();
    let mut client = connect(&proxy.addr());

    proxy.replies(Replies::Corrupt(3));
    client.write_all(PING).unwrap();
    assert_eq!(read(&mut client, 7), [b'+', b'P', !b'O', b'N', b'G', !b'\r', b'\n']);

    let pings = redis.calls("ping");
    proxy.replies(Replies::Swallow);
    client.write_all(PING).unwrap();
    assert_silent(&mut client);
    assert_eq!(redis.calls("ping"), pings + 1);

    proxy.replies(Replies::Pass);
    ping(&mut client);

    proxy.replies(Replies::Truncate(9));
    ping(&mut client);
    client.write_all(PING).unwrap();
    assert_eq!(read(&mut client, 2), PONG[..2]);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_proxy_closes_connections_without_a_server_and_ends_when_dropped() {
    let (mut redis, proxy) = redis_behind_proxy();
    redis.kill();
    let mut client = connect(&proxy.addr());
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    redis.restart();
    let mut client = connect(&proxy.addr());
    ping(&mut client);

    let addr = proxy.addr();
    drop(proxy);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    TcpStream::connect(addr).unwrap_err();
}

fn redis_behind_proxy() -> (RedisServer, Proxy) {
    let redis = RedisServer::start();
    let proxy = Proxy::start(&redis.addr());
    (redis, proxy)
}

fn connect(addr: &str) -> TcpStream {
    let client = TcpStream::connect(addr).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

fn ping(client: &mut TcpStream) {
    client.write_all(PING).unwrap();
    assert_eq!(read(client, PONG.len()), PONG);
}

fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

fn assert_silent(client: &mut TcpStream) {
    let timeout = client.read_timeout().unwrap();
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let silence = client.read(&mut [0]).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    client.set_read_timeout(timeout).unwrap();
}
