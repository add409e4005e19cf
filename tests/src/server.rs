//! Real servers, each the child of one test and gone with it.
//!
//! Every server listens on 127.0.0.1 (or on a socket file) and keeps nothing on disk. It is killed when its
//! value is dropped, also when it is stopped. Where `setpriv` of util-linux is installed (every Debian has it)
//! the kernel kills it as well when the whole test process is killed; elsewhere it would then be left behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::port;

/// A redis-server of the test's own.
#[derive(Debug)]
pub struct RedisServer(Server);

impl RedisServer {
    /// Starts one on a free port and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further arguments, such as `["--maxmemory", "10mb"]`.
    ///
    /// With `["--requirepass", "secret"]` the password is also in [`url`](Self::url) and used by
    /// [`command`](Self::command).
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self(Server::start(REDIS, Where::Port, arguments))
    }

    /// Starts one that listens on a socket file only.
    #[must_use]
    pub fn start_on_socket() -> Self {
        Self(Server::start(REDIS, Where::Socket, &[]))
    }

    /// `redis://127.0.0.1:1234`, or `redis+unix:///a/path`.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.0.password().map(|password| format!(":{password}@")).unwrap_or_default();
        match &self.0.address {
            Address::Port(port) => format!("redis://{password}127.0.0.1:{port}"),
            Address::Socket(path) => format!("redis+unix://{password}{}", path.display()),
        }
    }

    /// What the server replies to a command, in a connection of its own.
    ///
    /// An error begins with `-`, nil is `(nil)`, the elements of an array are on lines of their own.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> String {
        redis_command(&self.0, words)
            .unwrap_or_else(|error| panic!("redis-server did not reply to {words:?}: {error}"))
    }

    /// How often the server has executed a command, by its own count (`INFO commandstats`).
    ///
    /// What a script calls is counted too; what this harness sends is `INFO` and `AUTH`.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        let start = format!("cmdstat_{}:calls=", command.to_lowercase());
        self.command(&["INFO", "commandstats"])
            .lines()
            .find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok())
            .unwrap_or(0)
    }
}

/// A memcached of the test's own.
#[derive(Debug)]
pub struct MemcachedServer(Server);

impl MemcachedServer {
    /// Starts one with 64 MB on a free port and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further arguments, such as `["-I", "2m"]`.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self(Server::start(MEMCACHED, Where::Port, arguments))
    }

    /// Starts one that listens on a socket file only.
    #[must_use]
    pub fn start_on_socket() -> Self {
        Self(Server::start(MEMCACHED, Where::Socket, &[]))
    }

    /// What the server replies to a request in the text protocol, without the last line break; in a
    /// connection of its own.
    ///
    /// A data block follows its command after a line break: `command("set key 0 0 5\r\nvalue")`.
    #[must_use]
    pub fn command(&self, request: &str) -> String {
        memcached_command(&self.0, request)
            .unwrap_or_else(|error| panic!("memcached did not reply to {request:?}: {error}"))
    }

    /// The server's own counters (`stats`).
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, String> {
        stats(&self.command("stats"))
    }

    /// One of the server's own counters, such as `cmd_meta` or `get_hits`.
    #[must_use]
    pub fn stat(&self, name: &str) -> u64 {
        let stats = self.stats();
        let value = stats.get(name).unwrap_or_else(|| panic!("memcached has no counter {name:?}"));
        value.parse().unwrap_or_else(|_| panic!("{name} is {value:?} and not a count"))
    }
}

/// What can be done to either server.
macro_rules! control {
    ($server:ty) => {
        impl $server {
            /// The port it listens on.
            #[must_use]
            pub fn port(&self) -> u16 {
                match self.0.address {
                    Address::Port(port) => port,
                    Address::Socket(_) => panic!("this server listens on a socket file, not on a port"),
                }
            }

            /// `127.0.0.1:1234`, or the path of the socket file.
            #[must_use]
            pub fn addr(&self) -> String {
                match &self.0.address {
                    Address::Port(port) => format!("127.0.0.1:{port}"),
                    Address::Socket(path) => path.display().to_string(),
                }
            }

            /// Its process.
            #[must_use]
            pub fn pid(&self) -> u32 {
                self.0.child.id()
            }

            /// Kills it (SIGKILL) and waits until it is gone. Nothing listens then; what it held is lost.
            pub fn kill(&mut self) {
                self.0.kill();
            }

            /// Stops it (SIGSTOP): connections are still accepted by the kernel, nothing is answered.
            pub fn stop(&self) {
                self.0.signal(Signal::STOP);
            }

            /// Lets it go on after [`stop`](Self::stop).
            pub fn cont(&self) {
                self.0.signal(Signal::CONT);
            }

            /// Kills it if it runs, and starts it again, empty, with the same arguments at the same address.
            pub fn restart(&mut self) {
                self.0.restart();
            }
        }
    };
}
control!(RedisServer);
control!(MemcachedServer);

/// What tells one program from the other.
#[derive(Debug)]
struct Program {
    name: &'static str,
    arguments: fn(&Address, &Path) -> Vec<String>,
    /// The process that answers at the address.
    pid: fn(&Server) -> io::Result<u32>,
}

const REDIS: Program = Program {
    name: "redis-server",
    arguments: |address, dir| {
        let (port, socket) = match address {
            Address::Port(port) => (port.to_string(), String::new()),
            Address::Socket(path) => ("0".into(), path.display().to_string()),
        };
        let dir = dir.display().to_string();
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir", &dir]
                .map(Into::into)
                .into();
        if !socket.is_empty() {
            arguments.extend(["--unixsocket".into(), socket]);
        }
        arguments
    },
    pid: |server| {
        let info = redis_command(server, &["INFO", "server"])?;
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")?.parse().ok());
        pid.ok_or_else(|| io::Error::other(info))
    },
};

const MEMCACHED: Program = Program {
    name: "memcached",
    arguments: |address, _| {
        let mut arguments: Vec<String> = match address {
            Address::Port(port) => {
                ["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0"].map(Into::into).into()
            }
            Address::Socket(path) => ["-s", &path.display().to_string()].map(Into::into).into(),
        };
        arguments.extend(["-m", "64"].map(Into::into));
        if geteuid().is_root() {
            arguments.extend(["-u", "root"].map(Into::into));
        }
        arguments
    },
    pid: |server| {
        let reply = memcached_command(server, "stats")?;
        let pid = stats(&reply).get("pid").and_then(|pid| pid.parse().ok());
        pid.ok_or_else(|| io::Error::other(reply))
    },
};

#[derive(Debug)]
struct Server {
    program: Program,
    address: Address,
    /// What the test asked for, after what every server gets.
    arguments: Vec<String>,
    child: Child,
    dir: Dir,
}

#[derive(Debug, Clone)]
enum Address {
    Port(u16),
    Socket(PathBuf),
}

#[derive(Debug, Clone, Copy)]
enum Where {
    Port,
    Socket,
}

impl Server {
    fn start(program: Program, place: Where, arguments: &[&str]) -> Self {
        let dir = Dir::new();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let address = match place {
            Where::Port => Address::Port(free_port()),
            Where::Socket => Address::Socket(dir.0.join("socket")),
        };
        let child = spawn(&program, &address, &arguments, &dir.0);
        let mut server = Self { program, address, arguments, child, dir };
        let mut attempts = 1;
        while let Err(error) = server.ready() {
            // Between the choice of a port and the start someone else may have taken it.
            assert!(attempts < 5, "{} does not start: {error}\n{}", server.program.name, server.log());
            attempts += 1;
            server.kill();
            if let Address::Port(port) = &mut server.address {
                *port = free_port();
            }
            server.spawn();
        }
        server
    }

    fn restart(&mut self) {
        let until = Instant::now() + START;
        loop {
            self.kill();
            self.spawn();
            let Err(error) = self.ready() else { return };
            assert!(
                Instant::now() < until,
                "{} does not restart: {error}\n{}",
                self.program.name,
                self.log()
            );
            thread::sleep(PAUSE);
        }
    }

    fn spawn(&mut self) {
        self.child = spawn(&self.program, &self.address, &self.arguments, &self.dir.0);
    }

    /// Waits until the server answers, and makes sure that it is our child that does.
    fn ready(&mut self) -> io::Result<()> {
        let until = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
            match (self.program.pid)(self) {
                Ok(pid) if pid == self.child.id() => return Ok(()),
                Ok(pid) => return Err(io::Error::other(format!("process {pid} answers in its place"))),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Address::Socket(path) = &self.address {
            let _ = fs::remove_file(path);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server should be running");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.0.join(LOG)).unwrap_or_default()
    }

    fn password(&self) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == "--requirepass")?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    fn connect(&self) -> io::Result<BufReader<Box<dyn Stream>>> {
        let stream: Box<dyn Stream> = match &self.address {
            Address::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(ANSWER))?;
                Box::new(stream)
            }
            Address::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER))?;
                Box::new(stream)
            }
        };
        Ok(BufReader::new(stream))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A directory that is removed when dropped.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let name = format!("cached-tests-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // Left behind by a process with our number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{} can not be created: {error}", path.display()),
            }
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(20);
/// How long a running server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
const LOG: &str = "log";

fn spawn(program: &Program, address: &Address, arguments: &[String], dir: &Path) -> Child {
    let path = find(program.name).unwrap_or_else(|| {
        panic!(
            "{} is not installed; tests/run installs it, as does `apt-get install redis-server memcached`",
            program.name
        )
    });
    let mut command = match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(path);
            command
        }
        None => Command::new(path),
    };
    let log = fs::File::create(dir.join(LOG)).expect("the directory should be ours");
    command
        .args((program.arguments)(address, dir))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(log.try_clone().expect("a file should have a second handle"))
        .stdout(log);
    spawn_for_good(command).unwrap_or_else(|error| panic!("{} can not be started: {error}", program.name))
}

/// Spawns a child that outlives the thread of its test, as one in a `static` has to: what the kernel calls the
/// death of the parent is the end of the thread that spawned the child. So it is one that never ends.
fn spawn_for_good(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in queue {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (reply, child) = mpsc::channel();
    let sent = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner).send((command, reply));
    sent.ok().and_then(|()| child.recv().ok()).expect("the spawner should never end")
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn free_port() -> u16 {
    port::listener().local_addr().expect("a listener should have an address").port()
}

fn redis_command(server: &Server, words: &[&str]) -> io::Result<String> {
    let mut connection = server.connect()?;
    if let Some(password) = server.password() {
        send(&mut connection, &["AUTH", password])?;
        receive(&mut connection)?;
    }
    send(&mut connection, words)?;
    receive(&mut connection)
}

fn send(connection: &mut BufReader<Box<dyn Stream>>, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(request, "${}\r\n{word}\r\n", word.len()); // Writing into a `String` does not fail.
    }
    connection.get_mut().write_all(request.as_bytes())
}

/// Reads one reply in RESP2.
fn receive(connection: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    // A negative length is nil.
    let length = || rest.parse::<i64>().map(usize::try_from).map_err(io::Error::other);
    match kind {
        "+" | ":" => Ok(rest.into()),
        "-" => Ok(line.into()),
        "$" => {
            let Ok(length) = length()? else { return Ok("(nil)".into()) };
            let mut bytes = vec![0; length + 2];
            connection.read_exact(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        "*" => {
            let Ok(length) = length()? else { return Ok("(nil)".into()) };
            let elements: io::Result<Vec<String>> = (0..length).map(|_| receive(connection)).collect();
            Ok(elements?.join("\n"))
        }
        _ => Err(io::Error::other(format!("{line:?} is not a reply"))),
    }
}

fn memcached_command(server: &Server, request: &str) -> io::Result<String> {
    // The reply to the no-op tells where the reply before it ends.
    const END: &[u8] = b"\r\nMN\r\n";
    let mut connection = server.connect()?;
    connection.get_mut().write_all(format!("{request}\r\nmn\r\n").as_bytes())?;
    let mut reply = Vec::new();
    while !reply.ends_with(END) && reply != END[2..] {
        let received = connection.fill_buf()?;
        if received.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend_from_slice(received);
        let length = received.len();
        connection.consume(length);
    }
    reply.truncate(reply.len().saturating_sub(END.len()));
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn stats(reply: &str) -> BTreeMap<String, String> {
    let pairs = reply.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
