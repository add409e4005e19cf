//! A TCP proxy that simulates network failures between a client and a server on this machine.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::port;
use crate::reply::first_reply;

/// A TCP proxy on the loopback interface. It forwards everything until a method changes that; it stops when dropped.
///
/// At most 512 connections are open at once; further ones are closed as soon as they are accepted.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What happens to the bytes from the server to the client. Requests always reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// They are forwarded.
    Pass,
    /// All bits of every n-th byte of a connection are flipped; with 1, all bytes.
    Corrupt(usize),
    /// This many further bytes of every connection are forwarded, then it is cut.
    Truncate(usize),
    /// They are discarded.
    Swallow,
}

/// What happens once to replies that arrive together, while all other bytes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// The first one is lost.
    Lose,
    /// The first one arrives twice.
    Repeat,
    /// The first two arrive in the other order.
    Swap,
}

impl Disturbance {
    /// Returns what arrives instead of these bytes; `None` if they are not the replies that it takes.
    fn apply(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (first, rest) = bytes.split_at(first_reply(bytes)?);
        Some(match self {
            Self::Lose => rest.into(),
            Self::Repeat => [first, first, rest].concat(),
            Self::Swap => {
                let (second, rest) = rest.split_at(first_reply(rest)?);
                [second, first, rest].concat()
            }
        })
    }
}

impl Proxy {
    /// Listens on a free port for connections to `upstream`, such as `127.0.0.1:6379`.
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        let upstream = upstream.parse().expect("the upstream should be an address and a port");
        let listener = port::listener();
        let port = listener.local_addr().expect("a listener should have an address").port();
        let shared = Arc::new(Shared::default());
        let acceptor = Some(thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(listener, upstream)
        }));
        Self { port, shared, acceptor }
    }

    /// Returns the port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address to connect to: `127.0.0.1:1234`.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Delays everything in each direction: a round trip takes twice the delay.
    ///
    /// Bytes that arrive while others are delayed are forwarded after them.
    pub fn delay(&self, delay: Duration) {
        self.shared.change(|state| state.delay = delay);
    }

    /// Sets what happens to replies from now on, on all connections.
    pub fn replies(&self, replies: Replies) {
        self.shared.change(|state| {
            state.replies = replies;
            state.since += 1;
        });
    }

    /// Disturbs the next replies that can be disturbed in this way, once, on any connection.
    pub fn disturb(&self, disturbance: Disturbance) {
        self.shared.change(|state| state.disturbance = Some(disturbance));
    }

    /// Whether all that was to be disturbed has been.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.shared.state().disturbance.is_none()
    }

    /// Keeps the next bytes to the server that contain this text until [`deliver`](Self::deliver), as a balancer may that
    /// has given up their connection. The rest of the connection waits behind them.
    pub fn keep(&self, text: &str) {
        self.shared.change(|state| state.kept = Kept::BytesWith(text.as_bytes().into()));
    }

    /// Returns `true` while there are bytes that were [kept](Self::keep).
    #[must_use]
    pub fn is_keeping(&self) -> bool {
        self.shared.state().kept == Kept::Bytes
    }

    /// Delivers the bytes that were kept, and closes their connection.
    pub fn deliver(&self) {
        self.shared.change(|state| state.kept = Kept::Nothing);
    }

    /// Stops forwarding on the connections that are open now, but keeps them open, as when a network loses its route.
    /// They are not read either, so that a client that keeps writing blocks. New connections work.
    pub fn black_hole(&self) {
        self.shared.change(|state| {
            for connection in state.connections.values_mut() {
                connection.black_hole = true;
            }
        });
    }

    /// Closes the listening socket, so that the kernel refuses new connections. Open ones keep working.
    pub fn refuse(&self) {
        self.shared.change(|state| state.refuse = true);
        self.wake();
        drop(self.shared.wait_while(|state| state.listening));
    }

    /// Accepts new connections again after [`refuse`](Self::refuse).
    pub fn accept(&self) {
        self.shared.change(|state| state.refuse = false);
        drop(self.shared.wait_while(|state| !state.listening));
    }

    /// Closes all connections that are open now. New ones work.
    pub fn cut(&self) {
        self.shared.change(State::cut);
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Returns the number of connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }

    /// Returns how often a client sent something first or after a reply. For one client with one operation at a time these
    /// are its round trips.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.shared.state().round_trips
    }

    /// Makes the acceptor check the state.
    fn wake(&self) {
        // An error means that it is not accepting at the moment.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.end = true;
            state.cut();
        });
        self.wake();
        if let Some(acceptor) = self.acceptor.take() {
            // It panics only if another process bound the port in the meantime.
            let _ = acceptor.join();
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    delay: Duration,
    replies: Replies,
    disturbance: Option<Disturbance>,
    kept: Kept,
    /// Counts the changes of `replies`.
    since: u64,
    refuse: bool,
    listening: bool,
    end: bool,
    accepted: u64,
    /// The direction of the last forwarded bytes.
    last: Option<Direction>,
    round_trips: u64,
    connections: HashMap<u64, Connection>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            replies: Replies::Pass,
            disturbance: None,
            kept: Kept::Nothing,
            since: 0,
            refuse: false,
            listening: true,
            end: false,
            accepted: 0,
            last: None,
            round_trips: 0,
            connections: HashMap::new(),
        }
    }
}

impl State {
    fn cut(&mut self) {
        self.connections.drain().for_each(|(_, connection)| connection.close());
    }
}

/// What is [kept](Proxy::keep).
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// The next bytes to the server that contain these.
    BytesWith(Box<[u8]>),
    Bytes,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    black_hole: bool,
}

impl Connection {
    fn close(&self) {
        // An error means that the other end has closed it.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

const MAX_CONNECTIONS: usize = 512;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.state(), |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The main loop: accepts connections until the end, except while refusing.
    fn accept(self: &Arc<Self>, listener: TcpListener, upstream: SocketAddr) {
        let address = listener.local_addr().expect("a listener should have an address");
        let mut listener = Some(listener);
        let mut forwarders = Vec::new();
        loop {
            let accepted = listener.as_ref().map(TcpListener::accept);
            if self.state().end {
                break;
            }
            if self.state().refuse {
                drop(accepted);
                if let Some(listener) = listener.take() {
                    // Shut down and not only closed: a child that is being spawned may have a copy.
                    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
                }
                self.change(|state| state.listening = false);
                if self.wait_while(|state| state.refuse && !state.end).end {
                    break;
                }
                listener = Some(listen(address));
                self.change(|state| state.listening = true);
            } else if let Some(Ok((client, _))) = accepted {
                forwarders.retain(|forwarder: &JoinHandle<()>| !forwarder.is_finished());
                // An error means that the server cannot be reached; the client sees its connection closed.
                if let Ok(both) = self.connect(client, upstream) {
                    forwarders.extend(both);
                }
            }
        }
        for forwarder in forwarders {
            let _ = forwarder.join();
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream, upstream: SocketAddr) -> io::Result<[JoinHandle<()>; 2]> {
        if self.state().connections.len() >= MAX_CONNECTIONS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let server = TcpStream::connect_timeout(&upstream, Duration::from_secs(1))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = (client.try_clone()?, client.try_clone()?);
        let (from_server, to_server) = (server.try_clone()?, server.try_clone()?);

        let mut state = self.state();
        state.accepted += 1;
        let number = state.accepted;
        let connection = Connection { client, server, black_hole: false };
        if state.end {
            connection.close();
        }
        state.connections.insert(number, connection);
        drop(state);

        let forward = |from, to, direction| {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // An error means that one side closed the connection, or that it was cut.
                let _ = shared.forward(number, from, to, direction);
                shared.change(|state| {
                    if let Some(connection) = state.connections.remove(&number) {
                        connection.close();
                    }
                });
            })
        };
        Ok([
            forward(from_client, to_server, Direction::ToServer),
            forward(from_server, to_client, Direction::ToClient),
        ])
    }

    fn forward(
        &self,
        number: u64,
        mut from: TcpStream,
        mut to: TcpStream,
        direction: Direction,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let (mut since, mut passed) = (0, 0);
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            let bytes = &mut buffer[..length];
            let mut state = self.hold(number)?;
            let before = state.last.replace(direction);
            state.round_trips += u64::from(direction == Direction::ToServer && before != Some(direction));
            let replies = if direction == Direction::ToClient { state.replies } else { Replies::Pass };
            let is_kept = direction == Direction::ToServer
                && match &state.kept {
                    Kept::BytesWith(text) => bytes.windows(text.len()).any(|part| *part == **text),
                    Kept::Nothing | Kept::Bytes => false,
                };
            if is_kept {
                state.kept = Kept::Bytes;
                drop(state);
                drop(self.wait_while(|state| state.kept == Kept::Bytes && !state.end));
                return to.write_all(bytes);
            }
            let disturbed = state
                .disturbance
                .filter(|_| direction == Direction::ToClient)
                .and_then(|disturbance| disturbance.apply(bytes));
            if let Some(disturbed) = disturbed {
                state.disturbance = None;
                drop(state);
                to.write_all(&disturbed)?;
                continue;
            }
            if since != state.since {
                (since, passed) = (state.since, 0);
            }
            drop(state);
            let left = match replies {
                Replies::Pass => usize::MAX,
                Replies::Corrupt(every) => {
                    let wrong = bytes
                        .iter_mut()
                        .enumerate()
                        .filter(|(at, _)| (passed + at + 1).is_multiple_of(every));
                    wrong.for_each(|(_, byte)| *byte = !*byte);
                    usize::MAX
                }
                Replies::Truncate(most) => most.saturating_sub(passed),
                Replies::Swallow => continue,
            };
            to.write_all(&bytes[..length.min(left)])?;
            passed += length;
            if length >= left {
                return Ok(());
            }
        }
    }

    /// Waits for the delay of a connection; forever in a black hole.
    fn hold(&self, number: u64) -> io::Result<MutexGuard<'_, State>> {
        let arrived = Instant::now();
        let mut state = self.state();
        loop {
            let Some(connection) = state.connections.get(&number).filter(|_| !state.end) else {
                return Err(io::ErrorKind::ConnectionAborted.into());
            };
            let left = if connection.black_hole {
                Duration::from_secs(1)
            } else {
                state.delay.saturating_sub(arrived.elapsed())
            };
            if left.is_zero() {
                return Ok(state);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Listens again on a port that was closed before.
fn listen(address: SocketAddr) -> TcpListener {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < until, "{address} cannot be bound again: {error}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}
