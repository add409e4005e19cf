//! The connections of a store, one or two for each tokio runtime that uses it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::config::{Address, Credentials};
use super::connection_task::ConnectionTask;
use super::protocol::{Batch, Epoch, Reply};
use super::size_limit::SizeLimit;
use crate::store::in_flight::Places;
use crate::store::ticker::Ticker;
use crate::store::traffic::{Lane, Traffic};
use crate::{Error, ErrorKind, Result};

/// The connections to one server.
///
/// Each runtime that uses the store gets connections of its own, which are owned by tasks of that runtime.
/// So no caller waits for a task of a runtime that is not running, and when a runtime ends, the other ones
/// are not affected.
pub(super) struct Connections {
    settings: Arc<Settings>,
    connections: RwLock<Vec<RuntimeConnection>>,
}

/// How to connect, and the limits of a connection.
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) credentials: Option<Credentials>,
    pub(super) connect_timeout: Duration,
    /// How long an operation may take.
    pub(super) deadline: Duration,
    /// How long a reply may take before the connection is closed, in addition to the time of its transfer.
    pub(super) reply_timeout: Duration,
    /// In bytes per second.
    pub(super) min_transfer_rate: u64,
    pub(super) max_value_bytes: usize,
    pub(super) max_in_flight: usize,
    pub(super) max_queue_wait: Duration,
    pub(super) size_limit: SizeLimit,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    Replied(BatchReply),
    /// It was not written: its epoch is not that of the server.
    OtherEpoch(Batch),
}

/// The replies to a batch.
#[derive(Debug)]
pub(super) struct BatchReply {
    pub(super) epoch: Epoch,
    /// One for each command of the batch.
    pub(super) replies: Vec<Reply>,
}

impl Connections {
    /// Creates a pool without connections; [`Connections::run`] makes them.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), connections: RwLock::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs a batch of commands of an operation. If `epoch` is given and is not that of the server, it runs nothing and
    /// returns `None`.
    ///
    /// The connection for large values is used only while it leads to the same run of the same server as the main one:
    /// otherwise a version that was read on one would mean something else on the other, and a value that was removed on
    /// one could still be found on the other. Until it is known where the main one leads, that one is used.
    ///
    /// It waits without limit for a server that does not reply; callers set the deadline.
    ///
    /// # Cancel safety
    ///
    /// The batch is written completely, or not at all if the future is dropped before the task has taken it.
    pub(super) async fn run(
        &self,
        traffic: Traffic,
        mut batch: Batch,
        epoch: Option<Epoch>,
    ) -> Result<Option<BatchReply>> {
        let main = self.of_current_runtime(Lane::Main)?;
        let transfer_time = traffic.transfer_time(self.settings.min_transfer_rate);
        if traffic.lane() == Lane::Large
            && let Some(server) = main.shared.epoch()
            && epoch.is_none_or(|epoch| epoch == server)
        {
            let large = self.of_current_runtime(Lane::Large)?;
            match large.run(batch, Some(server), transfer_time).await? {
                Outcome::Replied(reply) => return Ok(Some(reply)),
                Outcome::OtherEpoch(unsent) => batch = unsent,
            }
        }
        match main.run(batch, epoch, transfer_time).await? {
            Outcome::Replied(reply) => Ok(Some(reply)),
            Outcome::OtherEpoch(_) => Ok(None),
        }
    }

    /// Returns `true` if the main connection of the current runtime is being established again.
    pub(super) fn is_known_down(&self) -> bool {
        let Ok(runtime) = runtime::Handle::try_current() else { return false };
        let connections = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.iter().find(|connection| connection.serves(runtime.id(), Lane::Main));
        connection.is_some_and(|connection| connection.shared.is_down.load(Relaxed))
    }

    /// Returns a connection of the current runtime, and starts it if there is none.
    pub(super) fn of_current_runtime(&self, lane: Lane) -> Result<RuntimeConnection> {
        let runtime = runtime::Handle::try_current().map_err(|e| {
            Error::new(ErrorKind::Config, "cannot use memcached outside of a tokio runtime").with_source(e)
        })?;
        let id = runtime.id();
        let find = |connections: &[RuntimeConnection]| {
            connections.iter().find(|connection| connection.serves(id, lane)).cloned()
        };

        if let Some(connection) = find(&self.connections.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(connection);
        }
        let mut connections = self.connections.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = find(&connections) {
            return Ok(connection);
        }
        let (requests, queue) = mpsc::channel(QUEUE_CAPACITY);
        connections.retain(|connection| !connection.requests.is_closed());
        let shared = Arc::new(Shared::new(&runtime, &self.settings));
        let connection = RuntimeConnection { runtime: id, lane, requests, shared: Arc::clone(&shared) };
        connections.push(connection.clone());
        runtime.spawn(ConnectionTask::new(Arc::clone(&self.settings), queue, shared).run());
        Ok(connection)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.settings.address).finish()
    }
}

/// A connection of one runtime, by the queue to its task. The task ends when the last sender is dropped.
#[derive(Clone)]
pub(super) struct RuntimeConnection {
    runtime: runtime::Id,
    lane: Lane,
    requests: mpsc::Sender<Request>,
    pub(super) shared: Arc<Shared>,
}

impl RuntimeConnection {
    fn serves(&self, runtime: runtime::Id, lane: Lane) -> bool {
        self.runtime == runtime && self.lane == lane && !self.requests.is_closed()
    }

    async fn run(&self, batch: Batch, epoch: Option<Epoch>, transfer_time: Duration) -> Result<Outcome> {
        let (reply, replied) = oneshot::channel();
        let request = Request { batch, epoch, transfer_time, reply };
        // Both fail only if the task has ended.
        self.requests.send(request).await.map_err(|_| connection_lost())?;
        replied.await.map_err(|_| connection_lost())?
    }
}

/// What the operations of a connection share with its task.
pub(super) struct Shared {
    pub(super) places: Places,
    pub(super) ticker: Ticker,
    /// `true` while requests are rejected, because there is no connection.
    pub(super) is_down: AtomicBool,
    /// The run of the server that was connected to last.
    epoch: Mutex<Option<Epoch>>,
}

impl Shared {
    fn new(runtime: &runtime::Handle, settings: &Settings) -> Self {
        Self {
            places: Places::new(settings.max_in_flight, settings.max_queue_wait),
            ticker: Ticker::start(runtime, settings.deadline),
            is_down: AtomicBool::new(false),
            epoch: Mutex::new(None),
        }
    }

    pub(super) fn connected_to(&self, epoch: Epoch) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = Some(epoch);
        self.is_down.store(false, Relaxed);
    }

    fn epoch(&self) -> Option<Epoch> {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch for the task, and where its replies go.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) epoch: Option<Epoch>,
    /// How much longer than others it may take because of its size.
    pub(super) transfer_time: Duration,
    pub(super) reply: oneshot::Sender<Result<Outcome>>,
}

/// The number of requests that may wait to be written. Further callers wait for a place in the queue.
const QUEUE_CAPACITY: usize = 1024;

pub(super) fn connection_lost() -> Error {
    Error::new(ErrorKind::Unreachable, "the connection to memcached was lost")
}
