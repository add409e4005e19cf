//! The connections of a store, one for each tokio runtime that uses it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::config::Settings;
use super::connection_state::{ConnectionState, SlotGroups};
use super::session::Session;
use super::supervisor::{build_client, supervise};
use crate::{Error, ErrorKind, Key, Result};

/// The connections to one server or cluster.
///
/// Each runtime that uses the store gets a connection of its own: a client of `fred` and a task that
/// supervises it. The tasks of a client end with the runtime that it was started on.
pub(super) struct Connections {
    settings: Arc<Settings>,
    connections: RwLock<Vec<Arc<RuntimeConnection>>>,
}

impl Connections {
    /// Creates a pool without connections; [`Connections::session`] makes them.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), connections: RwLock::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs an operation on these keys, within the deadline.
    ///
    /// # Errors
    ///
    /// `Config` outside of a tokio runtime, `Unreachable` without a connection, `Timeout` after the deadline,
    /// and the errors of `operation`.
    ///
    /// # Cancel safety
    ///
    /// Commands that were sent are executed by the server; their replies are discarded.
    pub(super) async fn session<T>(
        &self,
        keys: &[Key],
        operation: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
    ) -> Result<T> {
        let connection = self.of_current_runtime()?;
        let deadline = Instant::now() + self.settings.deadline;
        let _permit = connection.permit(deadline).await?;
        connection.wait_for_first_attempt(deadline).await;
        let client = connection.state.connected_client()?;
        let slot_groups = SlotGroups::of(keys, self.settings.topology);
        let session =
            Session { client, state: &connection.state, settings: &self.settings, slot_groups, deadline };
        let result = operation(&session).await;
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Protocol) {
            connection.state.record_mismatch();
        }
        result
    }

    /// Returns the connection of the current runtime, and starts it if there is none.
    fn of_current_runtime(&self) -> Result<Arc<RuntimeConnection>> {
        let runtime = Handle::try_current().map_err(|e| {
            Error::new(ErrorKind::Config, "cannot use redis outside of a tokio runtime").with_source(e)
        })?;
        let find = |connections: &[Arc<RuntimeConnection>]| {
            connections.iter().find(|connection| connection.serves(runtime.id())).cloned()
        };

        if let Some(connection) = find(&self.connections.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(connection);
        }
        let mut connections = self.connections.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = find(&connections) {
            return Ok(connection);
        }
        connections.retain(|connection| !connection.supervisor.is_finished());
        let connection = Arc::new(RuntimeConnection::start(&runtime, &self.settings)?);
        connections.push(Arc::clone(&connection));
        Ok(connection)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("servers", &self.settings.servers).finish_non_exhaustive()
    }
}

/// The connection of one runtime; dropping it ends its supervisor and closes it.
struct RuntimeConnection {
    runtime: Id,
    state: Arc<ConnectionState>,
    /// One permit for each operation that may be in flight.
    permits: Semaphore,
    supervisor: AbortHandle,
}

impl RuntimeConnection {
    fn start(runtime: &Handle, settings: &Arc<Settings>) -> Result<Self> {
        let state =
            Arc::new(ConnectionState::new(settings.topology, settings.restarts, build_client(settings)?));
        let supervisor = runtime.spawn(supervise(Arc::clone(settings), Arc::clone(&state))).abort_handle();
        let permits = Semaphore::new(settings.max_in_flight.min(Semaphore::MAX_PERMITS));
        Ok(Self { runtime: runtime.id(), state, permits, supervisor })
    }

    fn serves(&self, runtime: Id) -> bool {
        self.runtime == runtime && !self.supervisor.is_finished()
    }

    async fn permit(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Error::new(ErrorKind::Timeout, "too many redis operations are in flight"))
            }
        }
    }

    /// Waits until the first attempt to connect has succeeded or failed, or until the deadline.
    ///
    /// Only the first operations of a runtime wait: after one missed deadline, no other does.
    async fn wait_for_first_attempt(&self, deadline: Instant) {
        if self.state.status.borrow().is_first_attempt_over {
            return;
        }
        let mut status = self.state.status.subscribe();
        if timeout_at(deadline, status.wait_for(|status| status.is_first_attempt_over)).await.is_err() {
            self.state.record_attempt(None);
        }
    }
}

impl Drop for RuntimeConnection {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}
