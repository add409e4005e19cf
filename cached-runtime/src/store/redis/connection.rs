//! The connections of a store, one for each tokio runtime that uses it.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::config::Settings;
use super::connection_state::{ConnectionState, SlotGroups};
use super::session::Session;
use super::supervisor::{build_client, supervise};
use crate::store::deadline;
use crate::store::in_flight::InFlight;
use crate::store::ticker::Ticker;
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
        connection.wait_for_first_attempt(Instant::now() + self.settings.deadline).await;
        let mut client = connection.state.connected_client()?;
        let replies = connection.state.replies.load(Relaxed);
        let place = connection.in_flight(traffic).enter().await?;
        if place.has_waited {
            // If all that were in flight have failed, the others need not find out one after the other.
            connection.state.check_replies(replies)?;
            client = connection.state.connected_client()?;
        }
        connection.ticker.keep();
        let deadline = Instant::now() + self.settings.deadline + self.transfer_time(traffic);
        let slot_groups = SlotGroups::of(keys, self.settings.topology);
        let session =
            Session { client, state: &connection.state, settings: &self.settings, slot_groups, deadline };
        let result = operation(&session).await;
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Protocol) {
            connection.state.record_mismatch();
        }
        result
    }

    /// Returns how much longer than others an operation may take because of its size.
    fn transfer_time(&self, traffic: Traffic) -> Duration {
        let bytes = traffic.bytes();
        if bytes <= LARGE_BYTES {
            return Duration::ZERO;
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.settings.min_transfer_rate.max(1);
        Duration::from_micros(micros)
    }

    /// Returns `true` if the connection of the current runtime is being established again.
    pub(super) fn is_known_down(&self) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let connections = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.iter().find(|connection| connection.serves(runtime.id(), Lane::Main));
        connection.is_some_and(|connection| connection.state.is_known_down())
    }

    /// Returns the connection of the current runtime, and starts it if there is none.
    fn of_current_runtime(&self, lane: Lane) -> Result<Arc<RuntimeConnection>> {
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

/// What an operation does. Reads do not wait behind writes, nor the other way round.
#[derive(Debug, Clone, Copy)]
pub(super) enum Traffic {
    /// A read of values of this size, in bytes, as far as it is known.
    Read(usize),
    /// The fill of a key with a value of this size. It has no effect once the lease has ended, so it may arrive after
    /// operations that began later.
    Fill(usize),
    /// Any other operation, with a value of this size.
    Write(usize),
}

impl Traffic {
    fn lane(self) -> Lane {
        match self {
            Self::Read(bytes) | Self::Fill(bytes) if bytes > LARGE_BYTES => Lane::Large,
            Self::Read(_) | Self::Fill(_) | Self::Write(_) => Lane::Main,
        }
    }

    fn bytes(self) -> usize {
        let (Self::Read(bytes) | Self::Fill(bytes) | Self::Write(bytes)) = self;
        bytes
    }
}

/// The connections of one runtime. Large values have one of their own, so that others do not wait behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Main,
    /// Established with the first large value.
    Large,
}

/// The size above which a value is large, in bytes.
const LARGE_BYTES: usize = 256 * 1024;

/// The connection of one runtime; dropping it ends its supervisor and closes it.
struct RuntimeConnection {
    runtime: Id,
    lane: Lane,
    state: Arc<ConnectionState>,
    reads: InFlight,
    /// All operations except reads.
    writes: InFlight,
    ticker: Ticker,
    supervisor: AbortHandle,
}

impl RuntimeConnection {
    fn start(runtime: &Handle, lane: Lane, settings: &Arc<Settings>) -> Result<Self> {
        let state =
            Arc::new(ConnectionState::new(settings.topology, settings.restarts, build_client(settings)?));
        let supervisor = runtime.spawn(supervise(Arc::clone(settings), Arc::clone(&state))).abort_handle();
        let reads = InFlight::new(settings.max_in_flight, settings.max_queue_wait);
        let writes = InFlight::new(settings.max_in_flight, settings.max_queue_wait);
        let ticker = Ticker::start(runtime, settings.deadline);
        Ok(Self { runtime: runtime.id(), lane, state, reads, writes, ticker, supervisor })
    }

    fn serves(&self, runtime: Id, lane: Lane) -> bool {
        self.runtime == runtime && self.lane == lane && !self.supervisor.is_finished()
    }

    fn in_flight(&self, traffic: Traffic) -> &InFlight {
        match traffic {
            Traffic::Read(_) => &self.reads,
            Traffic::Fill(_) | Traffic::Write(_) => &self.writes,
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
        let attempt = pin!(status.wait_for(|status| status.is_first_attempt_over));
        if deadline::within(deadline, attempt).await.is_err() {
            self.state.record_attempt(None);
        }
    }
}

impl Drop for RuntimeConnection {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}
