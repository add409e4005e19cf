//! Timers that work wherever a call is polled: in a task, in `block_on`, without a runtime, and after its shutdown.
//!
//! tokio's timers panic when they are polled after the shutdown of their runtime. A task is not polled then, but the
//! future of `Handle::block_on` is, and a future may leave its task. So outside of tasks a timer runs in a task of its own.
//! If that one is dropped, or if there is no runtime, the thread of `futures-timer` takes over.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_timer::Delay;
use tokio::runtime::Handle;
use tokio::task::{Id, try_id};
use tokio::time::{Duration, Instant};

use super::aborting::Aborting;

/// Returns the point in time after a duration; after the longest ones, one that does not come.
pub(crate) fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + ENDLESS)
}

/// Longer than any process runs, and short enough to be added to any point in time.
const ENDLESS: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Waits for a duration.
pub(crate) async fn sleep(duration: Duration) {
    sleep_until(after(duration)).await;
}

/// Waits until a point in time.
pub(crate) async fn sleep_until(end: Instant) {
    while let Some(task) = try_id() {
        if sleep_in_task(task, end).await {
            return;
        }
    }
    if let Ok(runtime) = Handle::try_current()
        && Aborting::new(runtime.spawn(tokio::time::sleep_until(end))).await.is_ok()
    {
        return;
    }
    Delay::new(end.saturating_duration_since(Instant::now())).await;
}

/// Returns the output of a future that has timers of its own, those of tokio. Within a runtime it is polled in a task: in
/// that of the caller, or else in one of its own. `None` if the runtime is shut down.
///
/// It takes a function that creates the future: a future that is passed is stored twice, as an argument and where it is
/// awaited.
#[cfg(feature = "store")]
pub(crate) async fn in_task<F>(future: impl FnOnce() -> F) -> Option<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match Handle::try_current() {
        Ok(runtime) if try_id().is_none() => Aborting::new(runtime.spawn(future())).await.ok(),
        Ok(_) | Err(_) => Some(future().await),
    }
}

/// Waits until a point in time, and returns `true`; or returns `false` when it is polled outside of this task.
async fn sleep_in_task(task: Id, end: Instant) -> bool {
    let mut sleep = pin!(tokio::time::sleep_until(end));
    poll_fn(
        |cx| {
            if try_id() == Some(task) { sleep.as_mut().poll(cx).map(|()| true) } else { Poll::Ready(false) }
        },
    )
    .await
}

/// Returns the output of a future; `None` if it takes longer than a duration.
pub(crate) async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout_at(after(duration), future).await
}

/// Returns the output of a future; `None` if it is not ready at a point in time.
pub(crate) async fn timeout_at<T>(end: Instant, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut elapsed) = (pin!(future), pin!(sleep_until(end)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => elapsed.as_mut().poll(cx).map(|()| None),
    })
    .await
}
