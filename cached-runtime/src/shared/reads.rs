//! Looks into a shared store: calls that look for one key at one time ask the store together.
//!
//! A call is answered by a look that was sent after it came, never by one that was under way already: what that
//! brings may be older than the call, and than an invalidation that another process has finished before it. So
//! while a look is under way, those who come wait for the next one, and that is one for all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use crate::{Error, ErrorKind, Key, Result};

/// The looks that are under way, and with each the one that comes next, if anybody waits for it.
///
/// Each runtime has its own, because what carries them is a task of it.
#[derive(Debug)]
pub(crate) struct Reads<T>(Mutex<UnderWay<T>>);

type UnderWay<T> = HashMap<(Id, Key), Option<Next<T>>>;

type Next<T> = watch::Sender<Option<Result<T>>>;

impl<T: Clone + Send + Sync + 'static> Reads<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// What the first look brings that is sent from now on; `ask` sends one.
    pub(crate) async fn look<F>(&'static self, key: &Key, ask: impl Fn() -> F + Send + 'static) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let Ok(runtime) = Handle::try_current() else { return ask().await };
        let at = (runtime.id(), key.clone());
        let (mut answer, idle) = match self.lock().entry(at.clone()) {
            Entry::Occupied(mut looking) => {
                (looking.get_mut().get_or_insert_with(|| watch::Sender::new(None)).subscribe(), false)
            }
            Entry::Vacant(vacant) => {
                let next = watch::Sender::new(None);
                let answer = next.subscribe();
                vacant.insert(Some(next));
                (answer, true)
            }
        };
        if idle {
            runtime.spawn(Looking { looks: self, at: Some(at) }.run(ask));
        }
        let answered = answer.wait_for(Option::is_some).await;
        answered
            .ok()
            .and_then(|answer| answer.clone())
            .unwrap_or_else(|| Err(Error::new(ErrorKind::Unreachable, "the runtime is shutting down")))
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sends the looks for one key, as long as anybody waits.
struct Looking<T: Clone + Send + Sync + 'static> {
    looks: &'static Reads<T>,
    at: Option<(Id, Key)>,
}

impl<T: Clone + Send + Sync + 'static> Looking<T> {
    async fn run<F: Future<Output = Result<T>>>(mut self, ask: impl Fn() -> F) {
        while let Some(next) = self.next() {
            // From here on those who come wait for the one after this.
            next.send_replace(Some(ask().await));
        }
    }

    fn next(&mut self) -> Option<Next<T>> {
        let mut looks = self.looks.lock();
        let at = self.at.as_ref()?;
        let next = looks.get_mut(at).and_then(Option::take);
        if next.is_none() {
            looks.remove(at);
            self.at = None;
        }
        next
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Looking<T> {
    /// If its runtime shuts down, those who wait learn it.
    fn drop(&mut self) {
        if let Some(at) = &self.at {
            self.looks.lock().remove(at);
        }
    }
}
