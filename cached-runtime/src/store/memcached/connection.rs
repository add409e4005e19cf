//! The connections of a store, one for each tokio runtime that uses it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::config::{Address, Credentials};
use super::connection_task::ConnectionTask;
use super::protocol::{Batch, Epoch, Reply};
use crate::store::in_flight::Places;
use crate::store::ticker::Ticker;
use crate::{Error, ErrorKind, Result};

/// The connections to one server.
///
/// Each runtime that uses the store gets a connection of its own, which is owned by a task of that runtime.
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
    /// How long a reply may take before the connection is closed.
    pub(super) reply_timeout: Duration,
    pub(super) max_value_bytes: usize,
    pub(super) max_in_flight: usize,
    pub(super) max_queue_wait: Duration,
    /// The size of the smallest value that the server has refused as too large, since it was connected to.
    pub(super) smallest_refused: AtomicUsize,
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

    /// Runs a batch of commands. If `epoch` is given and is not that of the server, it runs nothing and
    /// returns `None`.
    ///
    /// It waits without limit for a server that does not reply; callers set the deadline.
    ///
    /// # Cancel safety
    ///
    /// The batch is written completely, or not at all if the future is dropped before the task has taken it.
    pub(super) async fn run(&self, batch: Batch, epoch: Option<Epoch>) -> Result<Option<BatchReply>> {
        let (reply, replied) = oneshot::channel();
        let requests = self.of_current_runtime()?.requests;
        // Both fail only if the task has ended.
        requests.send(Request { batch, epoch, reply }).await.map_err(|_| connection_lost())?;
        replied.await.map_err(|_| connection_lost())?
    }

    /// Returns `true` if the connection of the current runtime is being established again.
    pub(super) fn is_known_down(&self) -> bool {
        let Ok(runtime) = runtime::Handle::try_current() else { return false };
        let connections = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.iter().find(|connection| connection.runtime == runtime.id());
        connection.is_some_and(|connection| connection.shared.is_down.load(Relaxed))
    }

    /// Returns the connection of the current runtime, and starts it if there is none.
    pub(super) fn of_current_runtime(&self) -> Result<RuntimeConnection> {
        let runtime = runtime::Handle::try_current().map_err(|e| {
            Error::new(ErrorKind::Config, "cannot use memcached outside of a tokio runtime").with_source(e)
        })?;
        let id = runtime.id();
        let find = |connections: &[RuntimeConnection]| {
            let connection = connections
                .iter()
                .find(|connection| connection.runtime == id && !connection.requests.is_closed())?;
            Some(connection.clone())
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
        let connection = RuntimeConnection { runtime: id, requests, shared: Arc::clone(&shared) };
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

/// The connection of one runtime, by the queue to its task. The task ends when the last sender is dropped.
#[derive(Clone)]
pub(super) struct RuntimeConnection {
    runtime: runtime::Id,
    requests: mpsc::Sender<Request>,
    pub(super) shared: Arc<Shared>,
}

/// What the operations of a connection share with its task.
pub(super) struct Shared {
    pub(super) places: Places,
    pub(super) ticker: Ticker,
    /// `true` while requests are rejected, because there is no connection.
    pub(super) is_down: AtomicBool,
}

impl Shared {
    fn new(runtime: &runtime::Handle, settings: &Settings) -> Self {
        let places = Places::new(settings.max_in_flight, settings.max_queue_wait);
        let ticker = Ticker::start(runtime, settings.deadline);
        Self { places, ticker, is_down: AtomicBool::new(false) }
    }
}

/// A batch for the task, and where its replies go.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) epoch: Option<Epoch>,
    pub(super) reply: oneshot::Sender<Result<Option<BatchReply>>>,
}

/// The number of requests that may wait to be written. Further callers wait for a place in the queue.
const QUEUE_CAPACITY: usize = 1024;

pub(super) fn connection_lost() -> Error {
    Error::new(ErrorKind::Unreachable, "the connection to memcached was lost")
}
