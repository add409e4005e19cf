//! A server as a child process at its own address.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::own_process::ends_with_its_parent;
use crate::port;

/// The properties of a server program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) arguments: fn(&Address, &Path) -> Vec<String>,
    /// Returns the id of the process that responds at the address.
    pub(crate) pid: fn(&Server) -> io::Result<u32>,
}

#[derive(Debug)]
pub(crate) struct Server {
    program: Program,
    pub(crate) address: Address,
    /// The arguments of the test, added to those of every server.
    arguments: Vec<String>,
    pub(crate) child: Child,
    dir: Dir,
}

#[derive(Debug, Clone)]
pub(crate) enum Address {
    Port(u16),
    Socket(PathBuf),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Port,
    Socket,
}

impl Server {
    pub(crate) fn start(program: Program, place: Place, arguments: &[&str]) -> Self {
        let dir = Dir::new();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let address = match place {
            Place::Port => Address::Port(free_port()),
            Place::Socket => Address::Socket(dir.0.join("socket")),
        };
        let child = spawn(&program, &address, &arguments, &dir.0);
        let mut server = Self { program, address, arguments, child, dir };
        let mut attempts = 1;
        while let Err(error) = server.ready() {
            // Another process may have bound the port before the server started.
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

    pub(crate) fn restart(&mut self) {
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

    /// Waits until the server responds, and checks that it is this child.
    fn ready(&mut self) -> io::Result<()> {
        let until = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the process ended with {status}")));
            }
            match (self.program.pid)(self) {
                Ok(pid) if pid == self.child.id() => return Ok(()),
                Ok(pid) => return Err(io::Error::other(format!("process {pid} responds instead"))),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Address::Socket(path) = &self.address {
            let _ = fs::remove_file(path);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server should be running");
    }

    /// Waits until a stopped process runs no more, where the system tells (`/proc`): a signal takes its time.
    pub(crate) fn wait_until_stopped(&self) {
        let until = Instant::now() + RESPONSE;
        let status = || fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        while status().lines().any(|line| line.starts_with("State:") && !line.contains("T (stopped)")) {
            assert!(Instant::now() < until, "{} does not stop", self.program.name);
            thread::sleep(PAUSE);
        }
    }

    /// Returns the output of the process so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.0.join(LOG)).unwrap_or_default()
    }

    pub(crate) fn password(&self) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == "--requirepass")?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    pub(crate) fn connect(&self) -> io::Result<Connection> {
        let stream: Box<dyn Stream> = match &self.address {
            Address::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(RESPONSE))?;
                Box::new(stream)
            }
            Address::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(RESPONSE))?;
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

/// An open connection to a server.
pub(crate) type Connection = BufReader<Box<dyn Stream>>;

pub(crate) trait Stream: Read + Write {}
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
                // Left behind by a killed process with the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{} cannot be created: {error}", path.display()),
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
/// How long a running server may take to respond.
const RESPONSE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
const LOG: &str = "log";

fn spawn(program: &Program, address: &Address, arguments: &[String], dir: &Path) -> Child {
    let path = find(program.name).unwrap_or_else(|| {
        panic!(
            "{} is not installed; tests/run installs it, as does `apt-get install redis-server memcached`",
            program.name
        )
    });
    let mut command = ends_with_its_parent(&path);
    let log = fs::File::create(dir.join(LOG)).expect("the directory should be writable");
    command
        .args((program.arguments)(address, dir))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(log.try_clone().expect("a file should have a second handle"))
        .stdout(log);
    spawn_on_permanent_thread(command)
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.name))
}

/// Spawns a child that outlives the thread of its test, as a server in a `static` has to. For the kernel the parent dies
/// when the thread that spawned the child ends, so a thread that never ends spawns it.
fn spawn_on_permanent_thread(command: Command) -> io::Result<Child> {
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

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn free_port() -> u16 {
    port::listener().local_addr().expect("a listener should have an address").port()
}
