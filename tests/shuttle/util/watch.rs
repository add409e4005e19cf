//! tokio's `watch` channel with a step before each operation, because its own locks are not those of Shuttle.

use std::time::Duration;

use shuttle::thread;
use tokio::sync::watch::error::RecvError;
use tokio::sync::watch::{self, Ref};

#[derive(Debug)]
pub(crate) struct Sender<T>(watch::Sender<T>);

#[derive(Debug)]
pub(crate) struct Receiver<T>(watch::Receiver<T>);

impl<T> Sender<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(watch::Sender::new(value))
    }

    pub(crate) fn subscribe(&self) -> Receiver<T> {
        step();
        Receiver(self.0.subscribe())
    }

    pub(crate) fn receiver_count(&self) -> usize {
        step();
        self.0.receiver_count()
    }

    pub(crate) fn send_replace(&self, value: T) -> T {
        step();
        self.0.send_replace(value)
    }

    pub(crate) async fn closed(&self) {
        step();
        self.0.closed().await;
    }
}

impl<T> Receiver<T> {
    pub(crate) fn borrow_and_update(&mut self) -> Ref<'_, T> {
        step();
        self.0.borrow_and_update()
    }

    pub(crate) async fn changed(&mut self) -> Result<(), RecvError> {
        step();
        self.0.changed().await
    }
}

/// Lets the scheduler switch to another thread. Time does not pass, so a sleep does nothing else.
fn step() {
    thread::sleep(Duration::ZERO);
}
