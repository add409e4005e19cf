//! The scripts of several calls as one.
//!
//! Each script costs a write to the socket, a reply, and a start of Lua on the server, far more than what it does there. So
//! calls that request leases at the same time share one script, and so do calls that fill, extend or release them, as those
//! that read share one `MGET`.

use std::collections::VecDeque;
use std::sync::Arc;

use fred::types::{Resp3Frame as Frame, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::connection::Connections;
use super::replies;
use super::scripts::{self, Batched};
use crate::store::shutting_down;
use crate::store::traffic::Lane;
use crate::util::batch_queue::{BatchTask, Entered, QueueLimits, Queued};
use crate::{Key, Result};

/// A script on a key, with its arguments.
#[derive(Debug)]
pub(super) struct ScriptCall {
    pub(super) script: Batched,
    pub(super) key: Key,
    pub(super) arguments: Vec<Value>,
}

/// The costs are numbers of operations: scripts, or requests for notifications.
pub(super) const LIMITS: QueueLimits = QueueLimits { singles: 2, batch_tasks: 4, queued: 100_000 };
/// The maximum number of operations of a batch, so that the server, which does nothing else meanwhile, needs less than a
/// millisecond for it.
const MAX_BATCH: usize = 64;
/// The maximum size of the values of a batch, in bytes, unless it has only one.
const MAX_BATCH_BYTES: usize = 256 << 10;
const _: () =
    assert!(super::MAX_BATCHED_BYTES <= MAX_BATCH_BYTES, "a batch must have at least one operation");

impl Connections {
    /// Runs a script, with those of other calls if there are any. The keys of a batch may be in different slots, so only a
    /// single server can run it.
    ///
    /// # Errors
    ///
    /// Those of [`session`](Self::session).
    ///
    /// # Cancel safety
    ///
    /// A queued operation is not sent. One that was sent is executed by the server.
    pub(super) async fn run_batched(self: &Arc<Self>, operation: ScriptCall) -> Result<Frame> {
        let traffic = operation.script.traffic(size_of_all(&operation.arguments));
        let connection = self.of_current_runtime(Lane::Main)?;
        // As their places in flight: the end of a lease does not wait behind requests for others.
        let queue = match operation.script {
            Batched::Acquire => Arc::clone(&connection.acquisitions),
            Batched::Fill | Batched::Extend | Batched::Release => Arc::clone(&connection.lease_ends),
        };
        match queue.enter(operation, 1, MAX_BATCH) {
            Entered::Single(_place, ScriptCall { script, key, arguments }) => {
                self.run(traffic, script.alone(), std::slice::from_ref(&key), &arguments).await
            }
            Entered::Queued { reply, batch_task } => {
                let task = batch_task.map(|task| Arc::clone(self).send_batches(task));
                reply_of_batch(reply, task).await
            }
            Entered::Refused(error) => Err(error),
        }
    }

    /// Sends what is queued, one batch after the other, until nothing is.
    async fn send_batches(self: Arc<Self>, mut task: BatchTask<ScriptCall, Frame>) {
        while let Some(mut queued) = task.next(self.settings().max_queue_wait, take).await {
            queued.retain(|queued| !queued.reply.is_closed());
            queued.sort_by_key(|queued| queued.operation.script);
            let Some(script) = queued.first().map(|queued| queued.operation.script) else { continue };
            let bytes = queued.iter().map(|queued| size_of_all(&queued.operation.arguments)).sum();
            let (mut keys, mut arguments) = (Vec::with_capacity(queued.len()), Vec::new());
            let mut replies = Vec::with_capacity(queued.len());
            for Queued { operation, reply, .. } in queued {
                arguments.push(operation.script.letter());
                arguments.push(Value::from(operation.arguments.len().to_string()));
                arguments.extend(operation.arguments);
                keys.push(operation.key);
                replies.push(reply);
            }
            let result = self.run(script.traffic(bytes), &scripts::BATCH, &keys, &arguments).await;
            let results = result.and_then(|reply| replies::of_batch(reply, keys.len()));
            let results: Vec<_> = match results {
                Ok(results) => results.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); keys.len()],
            };
            for (reply, result) in replies.into_iter().zip(results) {
                let _ = reply.send(result); // Fails if the call was dropped.
            }
        }
    }
}

/// Returns the reply to a queued operation; spawns the task that sends what is queued, if there is none yet.
pub(super) async fn reply_of_batch<R>(
    reply: oneshot::Receiver<Result<R>>,
    batch_task: Option<impl Future<Output = ()> + Send + 'static>,
) -> Result<R> {
    if let (Some(task), Ok(runtime)) = (batch_task, Handle::try_current()) {
        // If the runtime is shutting down, this drops the task, which rejects what is queued.
        runtime.spawn(task);
    }
    reply.await.unwrap_or_else(|_| Err(shutting_down()))
}

/// Takes the operations of one batch from the queue. A single one always fits.
fn take(queue: &mut VecDeque<Queued<ScriptCall, Frame>>) -> Vec<Queued<ScriptCall, Frame>> {
    let mut bytes = 0;
    let fits = |queued: &&Queued<ScriptCall, Frame>| {
        bytes += size_of_all(&queued.operation.arguments);
        bytes <= MAX_BATCH_BYTES
    };
    let count = queue.iter().take(MAX_BATCH).take_while(fits).count();
    queue.drain(..count).collect()
}

/// Returns the size of all arguments, in bytes.
pub(super) fn size_of_all(arguments: &[Value]) -> usize {
    arguments.iter().filter_map(Value::as_bytes).map(<[u8]>::len).sum()
}
