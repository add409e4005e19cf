//! The connections of a store, one for each tokio runtime that uses it.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};

use fred::clients::Client;
use fred::types::{Resp3Frame, Value};
use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::batches::{self, ScriptCall};
use super::config::Settings;
use super::connection_state::{ConnectionState, SlotGroups, Transfer};
use super::scripts::Script;
use super::session::Session;
use super::supervisor::{build_client, supervise};
use super::tracking::WatchedNames;
use crate::store::deadline;
use crate::store::in_flight::{Places, overloaded};
use crate::store::ticker::Ticker;
use crate::store::traffic::{Lane, Traffic};
use crate::util::batch_queue::BatchQueue;
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
    /// `Config` outside of a tokio runtime, `Unreachable` without a connection, `Overloaded` if the operation waits too
    /// long for a place, `Timeout` after the deadline, which begins when it has one, and the errors of `operation`.
    ///
    /// # Cancel safety
    ///
    /// Commands that were sent are executed by the server; their replies are discarded.
    pub(super) async fn session<T>(
        &self,
        traffic: Traffic,
        keys: &[Key],
        operation: impl AsyncFnOnce(&Session<'_>) -> Result<T>,
    ) -> Result<T> {
        let connection = self.of_current_runtime(traffic.lane())?;
        let mut client = connection.connected_client(&self.settings, traffic).await?;
        let replies = connection.state.replies.load(Relaxed);
        let place = connection.places.enter(traffic).await?;
        if place.has_waited {
            // If all that were in flight have failed, the others need not find out one after the other.
            connection.state.check_replies(replies)?;
            client = connection.state.connected_client()?;
        }
        connection.ticker.keep();
        let transfer_time = traffic.transfer_time(self.settings.min_transfer_rate);
        let _transfer = (!transfer_time.is_zero()).then(|| Transfer::begin(&connection.state));
        let deadline = Instant::now() + self.settings.deadline.saturating_add(transfer_time);
        let slot_groups = SlotGroups::of(keys, self.settings.topology);
        let session =
            Session { client, state: &connection.state, settings: &self.settings, slot_groups, deadline };
        let result = operation(&session).await;
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Protocol) {
            connection.state.record_mismatch();
        }
        result
    }

    /// Runs a script on keys, which in a cluster are in one slot.
    pub(super) async fn run(
        &self,
        traffic: Traffic,
        script: &Script,
        keys: &[Key],
        arguments: &[Value],
    ) -> Result<Resp3Frame> {
        let settings = self.settings();
        let slot = keys.first().map_or(0, |key| settings.slot(key));
        let names = |server: &str| keys.iter().flat_map(|key| settings.names(key, server)).collect();
        self.session(traffic, keys, async |session| session.script(script, slot, names, arguments).await)
            .await
    }

    /// Returns `true` if the connection of the current runtime is being established again.
    pub(super) fn is_known_down(&self) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let connections = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.iter().find(|connection| connection.serves(runtime.id(), Lane::Main));
        connection.is_some_and(|connection| connection.state.is_known_down())
    }

    /// Returns the connection of the current runtime, and starts it if there is none.
    pub(super) fn of_current_runtime(&self, lane: Lane) -> Result<Arc<RuntimeConnection>> {
        let runtime = Handle::try_current().map_err(|e| {
            Error::new(ErrorKind::Config, "cannot use redis outside of a tokio runtime").with_source(e)
        })?;
        let find = |connections: &[Arc<RuntimeConnection>]| {
            connections.iter().find(|connection| connection.serves(runtime.id(), lane)).cloned()
        };

        if let Some(connection) = find(&self.connections.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(connection);
        }
        let mut connections = self.connections.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = find(&connections) {
            return Ok(connection);
        }
        connections.retain(|connection| !connection.supervisor.is_finished());
        let connection = Arc::new(RuntimeConnection::start(&runtime, lane, &self.settings)?);
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
pub(super) struct RuntimeConnection {
    runtime: Id,
    lane: Lane,
    started_at: Instant,
    pub(super) state: Arc<ConnectionState>,
    places: Places,
    /// The requests for leases that wait to be sent together.
    pub(super) acquisitions: Arc<BatchQueue<ScriptCall, Resp3Frame>>,
    /// The same for what ends or extends leases.
    pub(super) lease_ends: Arc<BatchQueue<ScriptCall, Resp3Frame>>,
    /// The keys that the server is asked to track.
    pub(super) watches: Arc<BatchQueue<WatchedNames, bool>>,
    ticker: Ticker,
    supervisor: AbortHandle,
}

impl RuntimeConnection {
    fn start(runtime: &Handle, lane: Lane, settings: &Arc<Settings>) -> Result<Self> {
        let state =
            Arc::new(ConnectionState::new(settings.topology, settings.restarts, build_client(settings)?));
        let supervisor = runtime.spawn(supervise(Arc::clone(settings), Arc::clone(&state))).abort_handle();
        let places = Places::new(settings.max_in_flight, settings.max_queue_wait);
        let ticker = Ticker::start(runtime, settings.deadline);
        let queue = || Arc::new(BatchQueue::new(batches::LIMITS, overloaded));
        let (acquisitions, lease_ends) = (queue(), queue());
        let watches = Arc::new(BatchQueue::new(batches::LIMITS, overloaded));
        let runtime = runtime.id();
        let started_at = Instant::now();
        Ok(Self {
            runtime,
            lane,
            started_at,
            state,
            places,
            acquisitions,
            lease_ends,
            watches,
            ticker,
            supervisor,
        })
    }

    fn serves(&self, runtime: Id, lane: Lane) -> bool {
        self.runtime == runtime && self.lane == lane && !self.supervisor.is_finished()
    }

    /// Returns the client for an operation, unless there is no connection.
    ///
    /// Waits until the first attempt to connect has succeeded or failed. Only the first operations of a runtime do, which may have
    /// much to do when it starts: after one missed deadline, no other does.
    pub(super) async fn connected_client(&self, settings: &Settings, traffic: Traffic) -> Result<Client> {
        let is_first_attempt_over = self.state.status.borrow().is_first_attempt_over;
        if !is_first_attempt_over {
            let connecting = settings.deadline.max(settings.connect_timeout);
            let max_wait = match (self.lane, traffic) {
                // The first large values of a burst keep this process busy, while the server replies on the other connection.
                (Lane::Large, Traffic::Read(_) | Traffic::Fill(_) | Traffic::Write(_)) => {
                    connecting.saturating_add(settings.max_queue_wait).min(*deadline::ALLOWED.end())
                }
                _ => connecting,
            };
            let mut status = self.state.status.subscribe();
            let attempt = pin!(status.wait_for(|status| status.is_first_attempt_over));
            let waited = deadline::within(self.started_at + max_wait, attempt).await;
            // A question for a size waits less than others.
            if waited.is_err() && !matches!(traffic, Traffic::Size) {
                self.state.end_first_attempt();
            }
        }
        self.state.connected_client()
    }
}

impl Drop for RuntimeConnection {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}
