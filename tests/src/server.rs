//! Real servers, each a child process of one test.
//!
//! Every server listens on 127.0.0.1 (or on a socket file) and keeps nothing on disk. It is killed when its
//! value is dropped, also when it is stopped. Where `setpriv` of util-linux is installed (it is part of Debian),
//! the kernel also kills it when the test process is killed; elsewhere it would keep running.

use std::collections::BTreeMap;
use std::{fs, io};

use rustix::process::{Signal, geteuid};

use crate::process::{Address, Place, Program, Server};
use crate::wire::{memcached_command, redis_command, stats};

/// A redis-server that belongs to one test.
#[derive(Debug)]
pub struct RedisServer(Server);

impl RedisServer {
    /// Starts a server on a free port and waits until it responds.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `["--maxmemory", "10mb"]`.
    ///
    /// With `["--requirepass", "secret"]` the password is also in [`url`](Self::url) and used by
    /// [`command`](Self::command).
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self(Server::start(REDIS, Place::Port, arguments))
    }

    /// Starts a server that listens on a socket file only.
    #[must_use]
    pub fn start_on_socket() -> Self {
        Self(Server::start(REDIS, Place::Socket, &[]))
    }

    /// Starts a sentinel, which is told by commands what to watch.
    pub(crate) fn start_sentinel() -> Self {
        Self(Server::start(SENTINEL, Place::Port, &[]))
    }

    /// Returns the URL: `redis://127.0.0.1:1234`, or `redis+unix:///a/path`.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.0.password().map(|password| format!(":{password}@")).unwrap_or_default();
        match &self.0.address {
            Address::Port(port) => format!("redis://{password}127.0.0.1:{port}"),
            Address::Socket(path) => format!("redis+unix://{password}{}", path.display()),
        }
    }

    /// Sends a command on a new connection and returns the reply.
    ///
    /// An error begins with `-`, nil is `(nil)`, the elements of an array are on lines of their own.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> String {
        redis_command(&self.0, words)
            .unwrap_or_else(|error| panic!("redis-server did not reply to {words:?}: {error}"))
    }

    /// Returns how often the server has executed a command, from `INFO commandstats`.
    ///
    /// Commands of scripts are counted too. This harness itself sends `INFO` and `AUTH`.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        let start = format!("cmdstat_{}:calls=", command.to_lowercase());
        self.command(&["INFO", "commandstats"])
            .lines()
            .find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok())
            .unwrap_or(0)
    }
}

/// A memcached that belongs to one test.
#[derive(Debug)]
pub struct MemcachedServer(Server);

impl MemcachedServer {
    /// Starts a server with 64 MB on a free port and waits until it responds.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `["-I", "2m"]`.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self(Server::start(MEMCACHED, Place::Port, arguments))
    }

    /// Starts a server that listens on a socket file only.
    #[must_use]
    pub fn start_on_socket() -> Self {
        Self(Server::start(MEMCACHED, Place::Socket, &[]))
    }

    /// Sends a request of the text protocol on a new connection and returns the reply, without the last
    /// line break.
    ///
    /// A data block follows its command after a line break: `command("set key 0 0 5\r\nvalue")`.
    #[must_use]
    pub fn command(&self, request: &str) -> String {
        memcached_command(&self.0, request)
            .unwrap_or_else(|error| panic!("memcached did not reply to {request:?}: {error}"))
    }

    /// Returns the output of the server so far. With `-vv` it contains every command.
    #[must_use]
    pub fn log(&self) -> String {
        self.0.log()
    }

    /// Returns the counters of the server (`stats`).
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, String> {
        stats(&self.command("stats"))
    }

    /// Returns one counter of the server, such as `cmd_meta` or `get_hits`.
    #[must_use]
    pub fn stat(&self, name: &str) -> u64 {
        let stats = self.stats();
        let value = stats.get(name).unwrap_or_else(|| panic!("memcached has no counter {name:?}"));
        value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}, not a count"))
    }
}

/// The methods of both servers.
macro_rules! control {
    ($server:ty) => {
        impl $server {
            /// Returns the port that the server listens on.
            #[must_use]
            pub fn port(&self) -> u16 {
                match self.0.address {
                    Address::Port(port) => port,
                    Address::Socket(_) => panic!("this server listens on a socket file, not on a port"),
                }
            }

            /// Returns `127.0.0.1:1234`, or the path of the socket file.
            #[must_use]
            pub fn addr(&self) -> String {
                match &self.0.address {
                    Address::Port(port) => format!("127.0.0.1:{port}"),
                    Address::Socket(path) => path.display().to_string(),
                }
            }

            /// Returns the id of the process.
            #[must_use]
            pub fn pid(&self) -> u32 {
                self.0.child.id()
            }

            /// Kills the server (SIGKILL) and waits until the process has ended. Its data is lost.
            pub fn kill(&mut self) {
                self.0.kill();
            }

            /// Stops the server (SIGSTOP): the kernel still accepts connections, but there is no reply.
            pub fn stop(&self) {
                self.0.signal(Signal::STOP);
                self.0.wait_until_stopped();
            }

            /// Continues the server (SIGCONT) after [`stop`](Self::stop).
            pub fn cont(&self) {
                self.0.signal(Signal::CONT);
            }

            /// Kills the server if it runs, and starts an empty one with the same arguments at the same address.
            pub fn restart(&mut self) {
                self.0.restart();
            }
        }
    };
}
control!(RedisServer);
control!(MemcachedServer);

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
    pid: redis_pid,
};

const SENTINEL: Program = Program {
    name: "redis-server",
    arguments: |address, dir| {
        let Address::Port(port) = address else { panic!("a sentinel listens on a port") };
        // It writes down there what it is told.
        let file = dir.join("sentinel.conf");
        fs::write(&file, "").expect("the directory should be writable");
        let file = file.display().to_string();
        [&file, "--sentinel", "--bind", "127.0.0.1", "--port", &port.to_string()].map(Into::into).into()
    },
    pid: redis_pid,
};

fn redis_pid(server: &Server) -> io::Result<u32> {
    let info = redis_command(server, &["INFO", "server"])?;
    let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")?.parse().ok());
    pid.ok_or_else(|| io::Error::other(info))
}

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
