//! Carries scripts to one server and replies back, over one connection per runtime that is renewed by itself.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::config::{Address, Credentials};
use super::connection_task::Carrier;
use super::protocol::{Epoch, Reply, Script};
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

pub(super) struct Request {
    pub(super) script: Script,
    pub(super) epoch: Option<Epoch>,
    pub(super) answer: oneshot::Sender<Result<Option<Answer>>>,
}

/// Requests that wait to be written; further callers wait for a place.
const QUEUE: usize = 1024;

pub(super) fn lost() -> Error {
    Error::new(ErrorKind::Unreachable, "the connection to memcached was lost")
}
