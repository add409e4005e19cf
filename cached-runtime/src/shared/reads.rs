//! Read coalescing: calls that read one key of a shared store at the same time share a round trip.
//!
//! A call is answered by a read that was sent after the call began, never by one that was already in flight: the result
//! of that one may be older than the call, and older than an invalidation that another process completed before it. So
//! while a read is in flight, all calls that arrive wait for the next read, which serves all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use crate::{Error, ErrorKind, Key, Result};

/// The keys that are being read, each with the next read if a call waits for it.
///
/// Each runtime has its own reads, because a task of the runtime sends them.
#[derive(Debug)]
pub(crate) struct Reads<T>(Mutex<InFlight<T>>);

type InFlight<T> = HashMap<(Id, Key), Option<NextRead<T>>>;

/// Sends the result of a read to all calls that wait for it.
type NextRead<T> = watch::Sender<Option<Result<T>>>;

impl<T: Clone + Send + Sync + 'static> Reads<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// Returns the result of the first read that is sent from now on; `send` sends one.
    ///
    /// # Errors
    ///
    /// The error of the read, or [`ErrorKind::Unreachable`] if the runtime shuts down first.
    pub(crate) async fn read<F>(&'static self, key: &Key, send: impl Fn() -> F + Send + 'static) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let Ok(runtime) = Handle::try_current() else { return send().await };
        let id = (runtime.id(), key.clone());
        let (mut result, is_idle) = match self.lock().entry(id.clone()) {
            Entry::Occupied(mut entry) => {
                (entry.get_mut().get_or_insert_with(|| watch::Sender::new(None)).subscribe(), false)
            }
            Entry::Vacant(entry) => {
                let next = watch::Sender::new(None);
                let result = next.subscribe();
                entry.insert(Some(next));
                (result, true)
            }
        };
        if is_idle {
            runtime.spawn(Reader { reads: self, id: Some(id) }.run(send));
        }
        let received = result.wait_for(Option::is_some).await;
        received
            .ok()
            .and_then(|result| result.clone())
            .unwrap_or_else(|| Err(Error::new(ErrorKind::Unreachable, "the runtime is shutting down")))
    }

    fn lock(&self) -> MutexGuard<'_, InFlight<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the reads of one key while calls wait for them.
struct Reader<T: Clone + Send + Sync + 'static> {
    reads: &'static Reads<T>,
    /// `None` once it has removed itself from the reads.
    id: Option<(Id, Key)>,
}

impl<T: Clone + Send + Sync + 'static> Reader<T> {
    async fn run<F: Future<Output = Result<T>>>(mut self, send: impl Fn() -> F) {
        while let Some(next) = self.take_next() {
            // Calls that arrive from here on wait for the read after this one.
            next.send_replace(Some(send().await));
        }
    }

    fn take_next(&mut self) -> Option<NextRead<T>> {
        let mut reads = self.reads.lock();
        let id = self.id.as_ref()?;
        let next = reads.get_mut(id).and_then(Option::take);
        if next.is_none() {
            reads.remove(id);
            self.id = None;
        }
        next
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Reader<T> {
    /// Drops the sender if the runtime shuts down, which wakes the waiting calls with an error.
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.reads.lock().remove(id);
        }
    }
}
