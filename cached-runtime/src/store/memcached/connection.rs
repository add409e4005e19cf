//! Carries scripts to one server and replies back, over one connection per runtime that is renewed by itself.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::config::{Address, Credentials};
use super::protocol::{self, Epoch, Operation, Parsed, Reply, Script};
use crate::{Error, ErrorKind, Result};

/// One server, as it is reached from every runtime of the program.
///
/// Every runtime has a connection of its own, carried by a task of that runtime: a connection is then never
/// waited for that nobody drives, and when a runtime goes, the next call from another simply has its own.
pub(super) struct Server {
    settings: Arc<Settings>,
    links: RwLock<Vec<Link>>,
}

/// How a server is reached.
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) credentials: Option<Credentials>,
    pub(super) connect_timeout: Duration,
    /// A connection on which a reply is due for so long is given up.
    pub(super) stall: Duration,
    pub(super) max_value_bytes: usize,
}

/// What the server answered to a script.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) epoch: Epoch,
    /// One for each command of the script.
    pub(super) replies: Vec<Reply>,
}

impl Server {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), links: RwLock::default() }
    }

    /// Runs a script; with an epoch only if it is still that one, and else says `None`.
    ///
    /// The script is written as a whole or not at all: not at all if this future is dropped early enough. It does
    /// not end by itself while the server is silent; whoever calls it sets the deadline.
    pub(super) async fn run(&self, script: Script, epoch: Option<Epoch>) -> Result<Option<Answer>> {
        let (answer, answered) = oneshot::channel();
        let link = self.link()?;
        // Fails only with the task on the other side.
        link.send(Request { script, epoch, answer }).await.map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }

    /// The way to the connection of the present runtime.
    fn link(&self) -> Result<mpsc::Sender<Request>> {
        let runtime = runtime::Handle::try_current().map_err(|e| {
            Error::new(ErrorKind::Config, "memcached was used outside of a tokio runtime").with_source(e)
        })?;
        let id = runtime.id();
        let of_runtime = |links: &[Link]| {
            let link = links.iter().find(|link| link.runtime == id && !link.requests.is_closed())?;
            Some(link.requests.clone())
        };

        if let Some(link) = of_runtime(&self.links.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(link);
        }
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = of_runtime(&links) {
            return Ok(link);
        }
        let (requests, queue) = mpsc::channel(QUEUE);
        links.retain(|link| !link.requests.is_closed());
        links.push(Link { runtime: id, requests: requests.clone() });
        runtime.spawn(Carrier::new(Arc::clone(&self.settings), queue).run());
        Ok(requests)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.settings.address).finish()
    }
}

/// The queue to the carrier in one runtime. The carrier ends when the last sender is dropped.
struct Link {
    runtime: runtime::Id,
    requests: mpsc::Sender<Request>,
}

struct Request {
    script: Script,
    epoch: Option<Epoch>,
    answer: oneshot::Sender<Result<Option<Answer>>>,
}

/// A request that was written, or is about to be.
struct Pending {
    number: u32,
    verbs: Vec<Operation>,
    replies: Vec<Reply>,
    answer: oneshot::Sender<Result<Option<Answer>>>,
    since: Instant,
}

/// The task that owns a connection.
struct Carrier {
    settings: Arc<Settings>,
    queue: mpsc::Receiver<Request>,
    backoff: Backoff,
}

/// How a connection ended.
enum End {
    /// Nobody is left to use it.
    Unused,
    /// `served`: it was of use before.
    Lost { error: Error, served: bool },
}

impl Carrier {
    fn new(settings: Arc<Settings>, queue: mpsc::Receiver<Request>) -> Self {
        Self { settings, queue, backoff: Backoff::default() }
    }

    async fn run(mut self) {
        // What requests are refused with. As long as there is no reason to think that the server is down, they wait
        // for the dial: the very first ones, and those after a connection that was of use.
        let mut down: Option<Error> = None;
        loop {
            let dialled = tokio::select! {
                biased;
                dialled = dial(&self.settings) => dialled,
                () = refuse(&mut self.queue, down.as_ref()), if down.is_some() => return,
            };
            let error = match dialled {
                Ok((stream, epoch)) => {
                    if down.take().is_some() {
                        tracing::info!(server = %self.settings.address, "memcached is back");
                    }
                    match self.serve(stream, epoch).await {
                        End::Unused => return,
                        End::Lost { error, served: true } => {
                            tracing::warn!(server = %self.settings.address, %error, "memcached was lost");
                            self.backoff = Backoff::default();
                            continue;
                        }
                        End::Lost { error, served: false } => error,
                    }
                }
                Err(error) => error,
            };

            if down.is_none() {
                tracing::warn!(server = %self.settings.address, %error, "memcached is down");
            }
            down = Some(error);
            tokio::select! {
                () = sleep(self.backoff.next()) => {}
                () = refuse(&mut self.queue, down.as_ref()) => return,
            }
        }
    }

    async fn serve(&mut self, stream: Stream, epoch: Epoch) -> End {
        match stream {
            Stream::Tcp(mut stream) => {
                let (reader, writer) = stream.split();
                self.exchange(reader, writer, epoch).await
            }
            #[cfg(unix)]
            Stream::Unix(mut stream) => {
                let (reader, writer) = stream.split();
                self.exchange(reader, writer, epoch).await
            }
        }
    }

    /// Writes requests and reads replies until the connection is lost or of no use any more.
    ///
    /// Reading never waits for writing, nor the other way round: a server that sends before it receives on would
    /// otherwise be waited for in vain.
    async fn exchange<R, W>(&mut self, mut reader: R, mut writer: W, epoch: Epoch) -> End
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut batch = Vec::with_capacity(BATCH);
        let mut output = BytesMut::with_capacity(BUFFER);
        let mut input = Replies::new(epoch, &self.settings);
        let mut stalled = pin!(sleep(self.settings.stall));

        let error = loop {
            input.make_room();
            let room = if output.len() < OUTPUT { IN_FLIGHT.saturating_sub(input.pending.len()) } else { 0 };
            tokio::select! {
                biased;
                written = writer.write_buf(&mut output), if !output.is_empty() => match written {
                    Ok(0) => break lost(),
                    Ok(_) if output.is_empty() => renew(&mut output),
                    Ok(_) => {}
                    Err(e) => break lost().with_source(e),
                },
                read = reader.read_buf(&mut input.buffer) => match read {
                    Ok(0) => break lost(),
                    Ok(_) => if let Err(error) = input.hand_out() { break error },
                    Err(e) => break lost().with_source(e),
                },
                taken = self.queue.recv_many(&mut batch, room.min(BATCH)), if room > 0 => {
                    if taken == 0 {
                        return End::Unused;
                    }
                    let now = Instant::now();
                    for request in batch.drain(..) {
                        input.expect(request, &mut output, now);
                    }
                }
                () = &mut stalled, if !input.pending.is_empty() => {
                    let Some(oldest) = input.pending.front() else { continue };
                    let due = oldest.since + self.settings.stall;
                    if due <= Instant::now() {
                        break Error::new(ErrorKind::Timeout, "memcached stopped answering");
                    }
                    stalled.as_mut().reset(due);
                }
            }
        };
        for pending in input.pending {
            // Whoever does not wait any more does not need to know.
            let _ = pending.answer.send(Err(error.clone()));
        }
        End::Lost { error, served: input.served }
    }
}

/// Replies on their way back, and who waits for them, oldest first.
struct Replies {
    epoch: Epoch,
    max_value_bytes: usize,
    buffer: BytesMut,
    /// How many bytes the next reply takes, as far as is known.
    need: usize,
    pending: VecDeque<Pending>,
    served: bool,
    /// Since when every reply has come when nobody waited for it any more.
    unwanted_since: Option<Instant>,
    stall: Duration,
}

impl Replies {
    fn new(epoch: Epoch, settings: &Settings) -> Self {
        Self {
            epoch,
            max_value_bytes: settings.max_value_bytes,
            buffer: BytesMut::with_capacity(BUFFER),
            need: 0,
            pending: VecDeque::new(),
            served: false,
            unwanted_since: None,
            stall: settings.stall,
        }
    }

    /// Appends a request to what will be written, unless nobody waits for it or its epoch has passed.
    fn expect(&mut self, request: Request, output: &mut BytesMut, now: Instant) {
        let Request { script, epoch, answer } = request;
        if answer.is_closed() {
            return;
        }
        if epoch.is_some_and(|epoch| epoch != self.epoch) {
            let _ = answer.send(Ok(None));
            return;
        }
        output.extend_from_slice(&script.bytes);
        let replies = Vec::with_capacity(script.verbs.len());
        self.pending.push_back(Pending {
            number: script.number,
            verbs: script.verbs,
            replies,
            answer,
            since: now,
        });
    }

    /// At least what the next reply needs: a large value is then read into one piece of its size.
    fn make_room(&mut self) {
        let spare = self.buffer.capacity() - self.buffer.len();
        let wanted = self.need.saturating_sub(self.buffer.len()).max(BUFFER / 4);
        if spare < wanted {
            self.buffer.reserve(wanted.max(BUFFER));
        }
    }

    /// Gives every whole reply to whoever waits for it.
    fn hand_out(&mut self) -> Result<()> {
        if self.buffer.len() < self.need {
            return Ok(());
        }
        self.need = 0;
        while let Some(pending) = self.pending.front_mut() {
            while let Some(verb) = pending.verbs.get(pending.replies.len()) {
                match protocol::parse(&mut self.buffer, verb, pending.number, self.max_value_bytes)? {
                    Parsed::Whole(reply) => pending.replies.push(reply),
                    Parsed::Need(bytes) => {
                        self.need = bytes;
                        return Ok(());
                    }
                }
            }
            self.served = true;
            if let Some(Pending { replies, answer, .. }) = self.pending.pop_front() {
                let wanted = answer.send(Ok(Some(Answer { epoch: self.epoch, replies }))).is_ok();
                self.note(wanted)?;
            }
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Protocol, "memcached said more than it was asked for"))
    }

    /// Gives the connection up if its replies come too late for too long: should one have been lost on the way, as proxies
    /// may lose it, every other is taken for the one before it.
    fn note(&mut self, wanted: bool) -> Result<()> {
        if wanted {
            self.unwanted_since = None;
            return Ok(());
        }
        let since = *self.unwanted_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.stall {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, "memcached answers when nobody waits any more"))
    }
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A connection to a server that is known to be one, and to answer.
async fn dial(settings: &Settings) -> Result<(Stream, Epoch)> {
    let dial = async {
        let unreachable =
            |e: io::Error| Error::new(ErrorKind::Unreachable, "memcached can not be reached").with_source(e);
        match &settings.address {
            // Names are resolved here, on every dial: servers move.
            Address::Tcp { host, port } => {
                let mut stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                let epoch = greet(&mut stream, settings.credentials.as_ref()).await?;
                Ok((Stream::Tcp(stream), epoch))
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let mut stream = UnixStream::connect(path).await.map_err(unreachable)?;
                let epoch = greet(&mut stream, settings.credentials.as_ref()).await?;
                Ok((Stream::Unix(stream), epoch))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(Error::new(ErrorKind::Config, "this platform has no unix sockets")),
        }
    };
    timeout(settings.connect_timeout, dial)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unreachable, "memcached did not answer when dialled")))
}

/// Makes us known and asks who is there.
///
/// A server that is stopped or overloaded is often still connected to by its kernel: only an answer shows life.
async fn greet<S>(stream: &mut S, credentials: Option<&Credentials>) -> Result<Epoch>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::with_capacity(BUFFER);
    if let Some(Credentials { user, password }) = credentials {
        let command = protocol::authenticate(user, password);
        ask(stream, &mut buffer, &command, protocol::parse_authenticated).await?;
    }
    let epoch = ask(stream, &mut buffer, protocol::GREETING, protocol::parse_greeting).await?;
    if !buffer.is_empty() {
        return Err(Error::new(ErrorKind::Protocol, "memcached said more than it was asked for"));
    }
    // Nothing is known about the life of this server, so that no lease outlives the connection.
    Ok(epoch.unwrap_or_else(|| Epoch((random() >> 32) as u32)))
}

async fn ask<S, T>(
    stream: &mut S,
    buffer: &mut BytesMut,
    question: &[u8],
    parse: fn(&mut BytesMut) -> Result<Parsed<T>>,
) -> Result<T>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(question).await.map_err(|e| lost().with_source(e))?;
    loop {
        if let Parsed::Whole(answer) = parse(buffer)? {
            return Ok(answer);
        }
        if stream.read_buf(buffer).await.map_err(|e| lost().with_source(e))? == 0 {
            return Err(lost());
        }
    }
}

/// Refuses every request at once, until nobody is left to make any.
async fn refuse(queue: &mut mpsc::Receiver<Request>, reason: Option<&Error>) {
    while let Some(Request { answer, .. }) = queue.recv().await {
        let _ = answer.send(Err(reason.cloned().unwrap_or_else(lost)));
    }
}

/// Pauses between dials: doubled from 10 ms to 500 ms, each shortened at random by up to a half, so that not
/// every process of a fleet comes back at once.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let longest = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LAST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        let part = 512 + (random() % 513) as u32;
        longest * part / 1024
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Requests that wait to be written; further callers wait for a place.
const QUEUE: usize = 1024;
/// Requests that are taken from the queue at once.
const BATCH: usize = 128;
/// Requests that were written and not answered.
const IN_FLIGHT: usize = 1024;
/// Bytes waiting to be written beyond which nothing is taken from the queue.
const OUTPUT: usize = 256 * 1024;
/// What a connection uses when little happens.
const BUFFER: usize = 16 * 1024;

/// Gives back what one large value has taken.
fn renew(output: &mut BytesMut) {
    if output.capacity() > OUTPUT {
        *output = BytesMut::with_capacity(BUFFER);
    } else {
        output.clear();
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn lost() -> Error {
    Error::new(ErrorKind::Unreachable, "the connection to memcached was lost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= FIRST_PAUSE / 2 && pauses[0] <= FIRST_PAUSE);
        assert!(pauses[10..].iter().all(|&pause| pause >= LAST_PAUSE / 2 && pause <= LAST_PAUSE));
    }
}
