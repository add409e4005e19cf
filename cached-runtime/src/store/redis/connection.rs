//! A client that is always there, and whose failures are short.
//!
//! The client of `fred` reconnects by itself, but not always: it does not notice a silent connection while there
//! is traffic, it blocks for good when a peer stops reading, and it ends with the runtime that it was started on.
//! So each runtime that uses the store has a *link*: a client of its own, and a task that watches over it.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::interfaces::{ClientLike as _, EventInterface as _, TrackingInterface as _};
use fred::types::config::Options;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, FromValue, Resp3Frame as Frame, Value};
use fred::util::redis_keyslot;
use tokio::runtime::{Handle, Id};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::config::{Settings, Topology};
use super::protocol::{self, Script};
use super::watchers::Watchers;
use crate::{Error, ErrorKind, Key, Result};

/// The way to the server, from whatever runtime.
pub(super) struct Connection {
    settings: Arc<Settings>,
    links: RwLock<Vec<Arc<Link>>>,
}

impl Connection {
    /// Nothing happens before the first session.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), links: RwLock::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Does something with these keys on the server before the deadline.
    ///
    /// A dropped future may leave its commands under way; their answers are thrown away.
    ///
    /// # Errors
    ///
    /// `Config` outside of a tokio runtime, else those of `work`, `Unreachable` and `Timeout`.
    pub(super) async fn session<T>(
        &self,
        keys: &[Key],
        work: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
    ) -> Result<T> {
        let link = self.link()?;
        let until = Instant::now() + self.settings.deadline;
        let _turn = link.turn(until).await?;
        link.first_connection(until).await;
        let client = link.shared.client()?;
        let regions = Regions::of(keys, self.settings.topology);
        work(&Session { client, shared: &link.shared, settings: &self.settings, regions, until }).await
    }

    /// The link of the current runtime.
    fn link(&self) -> Result<Arc<Link>> {
        let runtime = Handle::try_current().map_err(|e| {
            Error::new(ErrorKind::Config, "redis was called outside of a tokio runtime").with_source(e)
        })?;
        let find = |links: &[Arc<Link>]| links.iter().find(|link| link.serves(runtime.id())).cloned();

        if let Some(link) = find(&self.links.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(link);
        }
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = find(&links) {
            return Ok(link);
        }
        links.retain(|link| !link.supervisor.is_finished());
        let link = Arc::new(Link::start(&runtime, &self.settings)?);
        links.push(Arc::clone(&link));
        Ok(link)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("servers", &self.settings.servers).finish_non_exhaustive()
    }
}

/// One operation's use of the connection.
pub(super) struct Session<'a> {
    client: Client,
    shared: &'a Shared,
    settings: &'a Settings,
    regions: Regions,
    until: Instant,
}

impl Session<'_> {
    /// Sends one command, whose first argument is a key, and returns the answer, which may be an error.
    pub(super) async fn command(&self, name: &'static str, arguments: Vec<Value>) -> Result<Frame> {
        self.send(CustomCommand::new_static(name, ClusterHash::FirstKey, false), arguments).await
    }

    /// Runs a script. The server is sent its text only if it does not know it.
    pub(super) async fn script(
        &self,
        script: &Script,
        keys: [Value; 2],
        arguments: &[Value],
    ) -> Result<Frame> {
        // Not fred's own `evalsha`: that one ignores the deadline.
        let command = |name| CustomCommand::new_static(name, ClusterHash::Offset(2), false);
        let [value, lease] = keys;
        let mut all = vec![script.digest(), Value::from_static_str("2"), value, lease];
        all.extend_from_slice(arguments);

        let answer = self.send(command("EVALSHA"), all.clone()).await?;
        if !protocol::error_of(&answer).is_some_and(|message| message.starts_with("NOSCRIPT")) {
            return Ok(answer);
        }
        all[0] = script.text();
        self.send(command("EVAL"), all).await
    }

    /// Reads keys that may lie on different servers, each with a command of its own, all sent at once.
    pub(super) async fn read_apart(&self, keys: Vec<Value>) -> Result<Vec<Result<Option<bytes::Bytes>>>> {
        let commands = keys.into_iter().map(|key| ("GET", vec![key])).collect();
        let value = |answer: Result<_, ClientError>| match answer {
            Err(e) if protocol::code(e.details()) == "WRONGTYPE" => Ok(None),
            answer => answer.map_err(|e| protocol::failure(&e)),
        };
        Ok(self.at_once(commands).await?.into_iter().map(value).collect())
    }

    /// Has the server say when a value or its lease changes; `None` if it will not do that.
    ///
    /// Tracking is turned on each time: so it does not matter which connection this is, and what became of the one
    /// before. It is forgotten with the first change, and costs the server nothing until someone waits.
    pub(super) async fn watch(&self, keys: [Value; 2]) -> Result<Option<oneshot::Receiver<()>>> {
        let name = keys[0].as_bytes().unwrap_or_default();
        // Before the server is asked, so that nobody misses what it says.
        let Some(told) = self.shared.watchers.add(name) else { return Ok(None) };
        let words = |words: &[&'static str]| words.iter().map(|word| Value::from_static_str(word)).collect();
        let commands = vec![
            ("CLIENT", words(&["TRACKING", "ON", "OPTIN"])),
            // Holds for the next command, which reads neither key but makes the server remember both.
            ("CLIENT", words(&["CACHING", "YES"])),
            ("EXISTS", keys.into()),
        ];
        for answer in self.at_once::<Value>(commands).await? {
            if let Err(error) = answer {
                let error = protocol::failure(&error);
                if error.kind() != ErrorKind::Rejected {
                    return Err(error);
                }
                debug!(servers = self.settings.servers, ?error, "redis does not tell when keys change");
                self.shared.watchers.refused();
                return Ok(None);
            }
        }
        Ok(Some(told))
    }

    /// Sends commands in one piece, and returns the answer to each.
    async fn at_once<T: FromValue>(
        &self,
        commands: Vec<(&'static str, Vec<Value>)>,
    ) -> Result<Vec<Result<T, ClientError>>> {
        let count = commands.len();
        // The options must come after the pipeline, they are lost before it.
        let pipeline = self.client.pipeline().with_options(&self.options()?);
        for (name, arguments) in commands {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            pipeline.custom::<(), _>(command, arguments).await.map_err(|e| protocol::failure(&e))?;
        }
        let unanswered = Unanswered(Some(self.shared), self.regions);
        let answers = pipeline.try_all().await;
        let first_error = answers.iter().find_map(|answer| answer.as_ref().err());
        if answers.len() != count || first_error.is_some_and(|e| *e.kind() == Cause::Timeout) {
            let error = first_error.cloned().unwrap_or_else(|| ClientError::new(Cause::Protocol, "too few"));
            return Err(self.fail(unanswered, &error));
        }
        unanswered.answered();
        Ok(answers)
    }

    async fn send(&self, command: CustomCommand, arguments: Vec<Value>) -> Result<Frame> {
        let client = self.client.with_options(&self.options()?);
        let unanswered = Unanswered(Some(self.shared), self.regions);
        match client.custom_raw(command, arguments).await {
            Ok(answer) => {
                unanswered.answered();
                if protocol::error_of(&answer).is_some_and(|message| protocol::code(message) == "READONLY") {
                    self.shared.demoted();
                }
                Ok(answer)
            }
            Err(error) => Err(self.fail(unanswered, &error)),
        }
    }

    fn fail(&self, unanswered: Unanswered<'_>, error: &ClientError) -> Error {
        if *error.kind() == Cause::Timeout {
            unanswered.late();
            return late();
        }
        unanswered.forget();
        self.shared.explain(protocol::failure(error))
    }

    fn options(&self) -> Result<Options> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late()); // To fred no time means no limit.
        }
        debug_assert!(left <= self.settings.deadline);
        Ok(Options { fail_fast: true, timeout: Some(left), ..Options::default() })
    }
}

/// The client of one runtime, and the task that looks after it. Ends when dropped.
struct Link {
    runtime: Id,
    shared: Arc<Shared>,
    turns: Semaphore,
    supervisor: AbortHandle,
}

impl Link {
    fn start(runtime: &Handle, settings: &Arc<Settings>) -> Result<Self> {
        let state = State { client: build(settings)?, settled: false, trouble: None };
        let shared = Arc::new(Shared {
            topology: settings.topology,
            state: watch::Sender::new(state),
            silent: [const { AtomicU32::new(0) }; Regions::COUNT],
            demoted: AtomicBool::new(false),
            attention: Notify::new(),
            watchers: Watchers::default(),
        });
        let supervisor = runtime.spawn(supervise(Arc::clone(settings), Arc::clone(&shared))).abort_handle();
        let turns = Semaphore::new(settings.max_in_flight.min(Semaphore::MAX_PERMITS));
        Ok(Self { runtime: runtime.id(), shared, turns, supervisor })
    }

    fn serves(&self, runtime: Id) -> bool {
        self.runtime == runtime && !self.supervisor.is_finished()
    }

    async fn turn(&self, until: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        match timeout_at(until, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => {
                Err(Error::new(ErrorKind::Timeout, "too many redis operations are under way"))
            }
        }
    }

    /// Waits until the first attempt to connect has ended in one way or the other, once.
    async fn first_connection(&self, until: Instant) {
        if self.shared.state.borrow().settled {
            return;
        }
        let mut state = self.shared.state.subscribe();
        if timeout_at(until, state.wait_for(|state| state.settled)).await.is_err() {
            self.shared.settle(None);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// What operations and the supervisor of one link tell each other.
struct Shared {
    topology: Topology,
    state: watch::Sender<State>,
    /// How much speaks for the server of each region being silent; nothing as soon as it answers.
    silent: [AtomicU32; Regions::COUNT],
    /// A server said that it is a replica now.
    demoted: AtomicBool,
    attention: Notify,
    watchers: Watchers,
}

struct State {
    client: Client,
    /// Whether the first attempt to connect is over.
    settled: bool,
    /// Why there is no connection; stays until there is one again.
    trouble: Option<Error>,
}

impl Shared {
    /// The client, if it is connected.
    fn client(&self) -> Result<Client> {
        let client = self.state.borrow().client.clone();
        if client.is_connected() {
            return Ok(client);
        }
        Err(self.explain(Error::new(ErrorKind::Unreachable, "there is no connection to the redis server")))
    }

    /// Says why there is no connection, if that is known.
    fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Unreachable {
            return error;
        }
        match &self.state.borrow().trouble {
            Some(trouble) if matches!(trouble.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
                error.with_source(trouble.clone())
            }
            Some(trouble) => trouble.clone(),
            None => error,
        }
    }

    fn settle(&self, trouble: Option<Error>) {
        self.state.send_modify(|state| {
            state.settled = true;
            state.trouble = trouble;
        });
    }

    /// Takes note of an operation that went without an answer.
    fn silence(&self, regions: Regions, how: Silence) {
        let weight = match (how, self.topology) {
            // One is enough to ask the server whether it is still there.
            (Silence::Deadline, Topology::Single) => PATIENCE,
            (Silence::Deadline, Topology::Cluster) | (Silence::Dropped, Topology::Single) => 1,
            // In a cluster nobody can be asked, so this has to be certain.
            (Silence::Dropped, Topology::Cluster) => return,
        };
        for region in regions.each() {
            // A number that wraps around was large enough long before.
            if self.silent[region].fetch_add(weight, Relaxed).wrapping_add(weight) >= PATIENCE {
                self.attention.notify_one();
            }
        }
    }

    fn answered(&self, regions: Regions) {
        for region in regions.each() {
            self.silent[region].store(0, Relaxed);
        }
    }

    fn is_silent(&self) -> bool {
        self.silent.iter().any(|silent| silent.load(Relaxed) >= PATIENCE)
    }

    fn demoted(&self) {
        self.demoted.store(true, Relaxed);
        self.attention.notify_one();
    }
}

/// Some of the parts into which the slots of a cluster are divided, as a set of bits.
///
/// A node that is silent must not be overlooked because the others answer. A single server is one region.
#[derive(Debug, Clone, Copy)]
struct Regions(u64);

impl Regions {
    const COUNT: usize = 64;
    const ALL: Self = Self(u64::MAX);

    fn of(keys: &[Key], topology: Topology) -> Self {
        match topology {
            Topology::Single => Self(1),
            // The key is what the braces enclose, so it alone decides on the slot.
            Topology::Cluster => keys
                .iter()
                .map(|key| redis_keyslot(key.as_str().as_bytes()) / SLOTS_PER_REGION)
                .fold(Self(0), |regions, region| Self(regions.0 | 1 << region)),
        }
    }

    fn each(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some(first as usize)
        })
    }
}

const SLOTS_PER_REGION: u16 = 16384 / 64;

/// Why an operation went without an answer.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// The server did not keep the deadline.
    Deadline,
    /// The caller did not wait that long.
    Dropped,
}

/// A command that was sent. Whoever drops it, and be it by giving up, has not heard from the server.
struct Unanswered<'a>(Option<&'a Shared>, Regions);

impl Unanswered<'_> {
    fn late(mut self) {
        if let Some(shared) = self.0.take() {
            shared.silence(self.1, Silence::Deadline);
        }
    }

    fn answered(mut self) {
        if let Some(shared) = self.0.take() {
            shared.answered(self.1);
        }
    }

    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.silence(self.1, Silence::Dropped);
        }
    }
}

/// Keeps the link supplied with a client that works, until it is aborted.
async fn supervise(settings: Arc<Settings>, shared: Arc<Shared>) {
    loop {
        let client = shared.state.borrow().client.clone();
        watch_over(&client, &settings, &shared).await;
        loop {
            match build(&settings) {
                Ok(client) => {
                    shared.state.send_modify(|state| state.client = client);
                    break;
                }
                Err(error) => shared.settle(Some(error)),
            }
            sleep(PAUSE).await;
        }
        shared.answered(Regions::ALL);
        shared.watchers.wake_all();
    }
}

/// Connects a client and returns when it is past saving. Its tasks have been told to stop then.
async fn watch_over(client: &Client, settings: &Settings, shared: &Shared) {
    let mut errors = client.error_rx();
    let mut reconnected = client.reconnect_rx();
    let mut changes = client.invalidation_rx();
    let mut connected = pin!(client.wait_for_connect());
    // The first poll subscribes; a connection that is made before would not be seen.
    let mut is_up = poll_fn(|cx| Poll::Ready(connected.as_mut().poll(cx).is_ready())).await;
    let mut task = Task(client.connect());

    let stuck = 10 * settings.connect_timeout + STUCK;
    let mut sign_of_life = Instant::now();
    let mut reconnect_after_demotion = Instant::now();
    loop {
        tokio::select! {
            _ = &mut connected, if !is_up => {
                is_up = true;
                shared.settle(None);
            }
            server = reconnected.recv() => {
                shared.watchers.wake_all();
                if let Ok(server) = server {
                    info!(%server, "connected to redis");
                    if is_up {
                        shared.settle(None);
                    }
                }
            }
            error = errors.recv() => match error {
                Ok((error, _)) => report(settings, shared, &error),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return sleep(PAUSE).await,
            },
            change = changes.recv() => match change {
                Ok(change) => change.keys.iter().for_each(|key| shared.watchers.wake(key.as_bytes())),
                Err(RecvError::Lagged(_)) => shared.watchers.wake_all(),
                Err(RecvError::Closed) => return sleep(PAUSE).await,
            },
            ended = &mut task.0 => {
                if let Ok(Err(error)) = ended {
                    report(settings, shared, &error);
                }
                return sleep(PAUSE).await;
            }
            () = shared.attention.notified() => {
                let mut is_ill = false;
                if shared.demoted.swap(false, Relaxed) && reconnect_after_demotion <= Instant::now() {
                    // Its name may lead to another server by now.
                    reconnect_after_demotion = Instant::now() + DEMOTED;
                    is_ill = true;
                }
                if shared.is_silent() {
                    is_ill |= !answers(client, settings, shared.topology).await;
                    shared.answered(Regions::ALL);
                }
                if is_ill && !reconnects(client, shared.topology).await {
                    return;
                }
            }
            () = sleep_until(sign_of_life + stuck), if !client.is_connected() => return,
        }
        sign_of_life = Instant::now();
    }
}

/// Whether the server still answers on the connection that there is, as far as that can be found out.
async fn answers(client: &Client, settings: &Settings, topology: Topology) -> bool {
    if !client.is_connected() {
        return true; // It is being repaired already.
    }
    if topology == Topology::Cluster {
        return false; // A ping would go to any of them.
    }
    let patience = (2 * settings.deadline).min(REPAIR);
    let options = Options { fail_fast: true, timeout: Some(patience), ..Options::default() };
    let ping = CustomCommand::new_static("PING", ClusterHash::Random, false);
    client.with_options(&options).custom_raw(ping, Vec::<Value>::new()).await.is_ok()
}

/// Whether a client could be brought to connect again.
async fn reconnects(client: &Client, topology: Topology) -> bool {
    match topology {
        // It may never do so: it hangs if the peer has stopped reading.
        Topology::Single => matches!(timeout(REPAIR, client.force_reconnection()).await, Ok(Ok(()))),
        // It would keep the connections to all nodes that are still where they were.
        Topology::Cluster => false,
    }
}

fn report(settings: &Settings, shared: &Shared, error: &ClientError) {
    let said = error.details();
    let trouble = match &settings.password {
        Some(password) if said.contains(password) => {
            Error::new(ErrorKind::Rejected, "the redis server refused to connect")
        }
        _ => protocol::failure(error),
    };
    let is_known = shared.state.borrow().trouble.as_ref().is_some_and(|known| known.kind() == trouble.kind());
    if !is_known {
        warn!(servers = settings.servers, error = %trouble, "no connection to redis");
    }
    shared.settle(Some(trouble));
}

/// Never two clients of one link at once.
struct Task(ConnectHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn build(settings: &Settings) -> Result<Client> {
    settings.builder.build().map_err(|e| protocol::failure(&e))
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the redis server did not answer in time")
}

/// So many operations in a row without an answer cast doubt on a connection; see [`Shared::silence`].
const PATIENCE: u32 = 3;
/// How long a client may take to reconnect before it is replaced.
const REPAIR: Duration = Duration::from_millis(500);
/// Between two clients that ended by themselves.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a client that is not connected may give no sign of trying, besides the time for trying itself.
const STUCK: Duration = Duration::from_secs(5);
/// Between two reconnections because the server is a replica.
const DEMOTED: Duration = Duration::from_secs(5);
