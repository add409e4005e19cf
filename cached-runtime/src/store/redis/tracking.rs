//! The requests to be notified when a key changes, those of several calls as one.
//!
//! A request takes three commands. So when thousands of calls begin to wait for computations of another process, most of them
//! share one request.

use std::collections::VecDeque;
use std::sync::Arc;

use fred::interfaces::ClientLike as _;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::oneshot;
use tracing::debug;

use super::batches::reply_of_batch;
use super::connection::Connections;
use super::errors;
use super::session::Session;
use crate::store::traffic::{Lane, Traffic};
use crate::util::batch_queue::{BatchTask, Entered, Queued};
use crate::{ErrorKind, Key, Result};

/// The names of a value and of its lease.
pub(super) type WatchedNames = [Value; 2];

/// The maximum number of calls that share a request, for which the server needs less than a millisecond.
const MAX_BATCH: usize = 256;

impl Connections {
    /// Returns a receiver that is completed or closed when a value or its lease changes; `None` if the server refuses to notify, its
    /// identity is not known yet, or too many calls wait already.
    ///
    /// # Errors
    ///
    /// Those of [`session`](Self::session).
    ///
    /// # Cancel safety
    ///
    /// The server may notify of a change for which nobody waits.
    pub(super) async fn watch(self: &Arc<Self>, key: &Key) -> Result<Option<oneshot::Receiver<()>>> {
        let connection = self.of_current_runtime(Lane::Main)?;
        // A connection that is established completes the watches from before.
        connection.connected_client(self.settings(), Traffic::Acquire(0)).await?;
        let Some(server) = connection.state.server_name(0) else { return Ok(None) };
        let names = self.settings().names(key, &server);
        // Subscribed before the server tracks the key, so that no notification is missed.
        let Some(changed) = connection.state.watchers.subscribe(names[0].as_bytes().unwrap_or_default())
        else {
            return Ok(None);
        };
        let queue = Arc::clone(&connection.watches);
        let is_tracked = match queue.enter(names, 1, MAX_BATCH) {
            Entered::Single(_place, names) => self.track(names.into()).await?,
            Entered::Queued { reply, batch_task } => {
                let task = batch_task.map(|task| Arc::clone(self).track_queued(task));
                reply_of_batch(reply, task).await?
            }
            Entered::Refused(error) => return Err(error),
        };
        Ok(is_tracked.then_some(changed))
    }

    /// Sends the requests that are queued, one batch after the other, until none is.
    async fn track_queued(self: Arc<Self>, mut task: BatchTask<WatchedNames, bool>) {
        let take = |queue: &mut VecDeque<_>| queue.drain(..queue.len().min(MAX_BATCH)).collect();
        while let Some(mut queued) = task.next(self.settings().max_queue_wait, take).await {
            queued.retain(|queued| !queued.reply.is_closed());
            let (names, replies): (Vec<_>, Vec<_>) =
                queued.into_iter().map(|Queued { operation, reply, .. }| (operation, reply)).unzip();
            if names.is_empty() {
                continue;
            }
            let is_tracked = self.track(names.concat()).await;
            for reply in replies {
                let _ = reply.send(is_tracked.clone()); // Fails if the call was dropped.
            }
        }
    }

    async fn track(&self, names: Vec<Value>) -> Result<bool> {
        self.session(Traffic::Write(0), &[], async |session| session.track(names).await).await
    }
}

impl Session<'_> {
    /// Asks the server to notify this connection once of a change of each of these names; returns `false` if it refuses.
    ///
    /// Each request enables tracking (`CLIENT TRACKING`), so that it works on any connection, also after a reconnection. The server
    /// stops tracking a key with its first change, and tracking costs it nothing while no key is watched.
    async fn track(&self, names: Vec<Value>) -> Result<bool> {
        let arguments =
            |words: &[&'static str]| words.iter().map(|word| Value::from_static_str(word)).collect();
        let commands: [(_, Vec<Value>); 3] = [
            ("CLIENT", arguments(&["TRACKING", "ON", "OPTIN"])),
            // Applies to the next command, which reads no value but makes the server track all names.
            ("CLIENT", arguments(&["CACHING", "YES"])),
            ("EXISTS", names),
        ];
        let pipeline = self.pipeline()?;
        for (name, arguments) in commands {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            pipeline.custom::<(), _>(command, arguments).await.map_err(|e| errors::from_client(&e))?;
        }
        for reply in self.replies::<Value>(&pipeline, 3).await? {
            let Err(error) = reply else { continue };
            let error = errors::from_client(&error);
            if error.kind() != ErrorKind::Rejected {
                return Err(error);
            }
            debug!(
                servers = self.settings.servers,
                ?error,
                "redis refused `CLIENT TRACKING`: calls that wait for another process poll instead of being notified; \
                 permit the user `client|tracking`, `client|caching` and `exists`"
            );
            self.state.watchers.record_refusal();
            return Ok(false);
        }
        Ok(true)
    }
}
