//! A client that is always there, and whose failures are short.
//!
//! The client of `fred` reconnects by itself, but not always: it does not notice a silent connection while there
//! is traffic, it blocks for good when a peer stops reading, and it ends with the runtime that it was started on.
//! So each runtime that uses the store has a *link*: a client of its own, and a task that watches over it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::config::Settings;
use super::session::Session;
use super::shared::{Regions, Shared};
use super::supervisor::{build, supervise};
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

/// The client of one runtime, and the task that looks after it. Ends when dropped.
struct Link {
    runtime: Id,
    shared: Arc<Shared>,
    turns: Semaphore,
    supervisor: AbortHandle,
}

impl Link {
    fn start(runtime: &Handle, settings: &Arc<Settings>) -> Result<Self> {
        let shared = Arc::new(Shared::new(settings.topology, build(settings)?));
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
