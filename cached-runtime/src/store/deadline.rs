//! A deadline that takes into account that this process may be too busy to see a reply that has come.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// How long the deadline of an operation, and the timeout of connecting, may be.
pub(super) const ALLOWED: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60 * 60);

/// A deadline has passed.
#[derive(Debug)]
pub(super) struct Elapsed;

/// Returns the output of an operation, or an error after the deadline.
///
/// A runtime with thousands of tasks to poll sees a reply as late as the end of the deadline. How late it is for that says
/// how late it may be for the reply, which is waited for as long again. Where the end of the deadline is seen in time, the
/// task that receives the reply may still be queued behind all others: the reply is waited for until none is queued.
pub(super) async fn within<T>(
    mut deadline: Instant,
    mut operation: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    let last = deadline + MAX_EXTENSION;
    let mut was_behind = false;
    loop {
        if let Ok(output) = timeout_at(deadline, operation.as_mut()).await {
            return Ok(output);
        }
        let is_behind = has_backlog();
        // The last of the queued tasks may have had its turn just now.
        let has_turn = (is_behind || was_behind) && deadline < last;
        was_behind = is_behind;
        let turn = || has_turn.then(|| (Instant::now() + BACKLOG_TIME).min(last));
        deadline = extended(deadline, last).or_else(turn).ok_or(Elapsed)?;
    }
}

/// Returns the end of the extension of a deadline that has just passed, up to `last`; `None` if this process is not late.
pub(super) fn extended(deadline: Instant, last: Instant) -> Option<Instant> {
    let now = Instant::now();
    let late = now.saturating_duration_since(deadline);
    (late >= MIN_LATENESS && deadline < last).then(|| (now + late).min(last))
}

/// Returns `true` if tasks are in the queue that all workers of the runtime share. A worker takes only some of them between
/// those in its own queue, and when that is full, it moves half of it to the end of the shared one.
fn has_backlog() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.metrics().global_queue_depth() > 0)
}

/// How late a timer may be without saying anything about the load.
const MIN_LATENESS: Duration = Duration::from_millis(5);
/// How long an operation is given while tasks wait for their turn, until that is looked at again.
const BACKLOG_TIME: Duration = Duration::from_millis(50);
/// By how much a deadline is extended at most.
pub(super) const MAX_EXTENSION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::sync::mpsc;

    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::oneshot;

    use super::*;

    fn one_worker() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    #[test]
    fn a_reply_that_a_waiting_task_has_is_waited_for() {
        let runtime = one_worker();
        let (begun, is_begun) = mpsc::channel();
        let (queued, is_queued) = mpsc::channel();
        let (replied, reply) = oneshot::channel();
        let waiting = runtime.spawn(async move {
            begun.send(()).unwrap();
            // The only worker is busy until the task that replies is in the shared queue.
            is_queued.recv().unwrap();
            // It has passed, but not for so long that this process is late.
            within(Instant::now() - Duration::from_millis(2), pin!(reply)).await
        });
        is_begun.recv().unwrap();
        runtime.spawn(async move { replied.send(42) });
        queued.send(()).unwrap();
        assert_eq!(runtime.block_on(waiting).unwrap().unwrap(), Ok(42));
    }

    #[test]
    fn no_reply_is_an_error_although_the_runtime_is_busy() {
        let runtime = one_worker();
        let busy = runtime.spawn(async {
            loop {
                // To the shared queue, as with tasks of another thread.
                tokio::task::spawn_blocking(|| tokio::spawn(async {})).await.unwrap();
            }
        });
        let waiting = runtime.spawn(async { within(Instant::now(), pin!(pending::<()>())).await });
        assert!(runtime.block_on(waiting).unwrap().is_err());
        busy.abort();
    }
}
