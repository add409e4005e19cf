//! The operations of a connection that are in flight, and those that wait to be sent.
//!
//! A deadline that began before an operation is sent would end under load alone: the operations before it take their time.
//! So the number in flight is bounded, such that a healthy server answers all of them within the deadline, and the
//! deadline of an operation begins when it has a place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::traffic::Traffic;
use crate::{Error, ErrorKind, Result};

/// The places of one connection. Reads, requests for leases, and other operations do not wait behind each other: a lease that
/// was granted is to end although many calls ask for one.
#[derive(Debug)]
pub(super) struct Places {
    reads: InFlight,
    acquisitions: InFlight,
    writes: InFlight,
}

impl Places {
    pub(super) fn new(max_in_flight: usize, max_wait: Duration) -> Self {
        let in_flight = || InFlight::new(max_in_flight, max_wait);
        Self { reads: in_flight(), acquisitions: in_flight(), writes: in_flight() }
    }

    /// Returns a place as soon as one is free, in the order of the operations.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if that takes too long, or too many operations wait.
    pub(super) async fn enter(&self, traffic: Traffic) -> Result<Place<'_>> {
        match traffic {
            // The batches of reads are bounded by the sizes of their values.
            Traffic::Read(_) | Traffic::Size => self.reads.enter(0).await,
            Traffic::Acquire(_) => self.acquisitions.enter(0).await,
            Traffic::Fill(bytes) | Traffic::Write(bytes) => self.writes.enter(bytes).await,
        }
    }
}

/// The places of operations in flight.
#[derive(Debug)]
struct InFlight {
    places: Semaphore,
    max: u32,
    waiting: AtomicUsize,
    max_wait: Duration,
}

/// A place in flight, and whether the operation had to wait for it.
pub(super) struct Place<'a> {
    _permit: SemaphorePermit<'a>,
    #[cfg_attr(
        not(feature = "redis"),
        allow(dead_code, reason = "a connection to Memcached knows its queue")
    )]
    pub(super) has_waited: bool,
}

/// How many bytes are on their way at most, unless there is only one operation.
const MAX_BYTES: u64 = 1 << 20;

/// How many operations wait at most.
const MAX_WAITING: usize = 100_000;

impl InFlight {
    fn new(max_in_flight: usize, max_wait: Duration) -> Self {
        let max = u32::try_from(max_in_flight.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { places: Semaphore::new(max as usize), max, waiting: AtomicUsize::new(0), max_wait }
    }

    /// Returns the place of an operation that sends so many bytes, which is as large a part of all places as they are of
    /// [`MAX_BYTES`]: the deadline allows for the bytes of the operation, not for those of many others before it.
    async fn enter(&self, bytes: usize) -> Result<Place<'_>> {
        let places = u64::from(self.max).saturating_mul(bytes as u64).div_ceil(MAX_BYTES);
        let places = u32::try_from(places).unwrap_or(u32::MAX).clamp(1, self.max);
        if let Ok(permit) = self.places.try_acquire_many(places) {
            return Ok(Place { _permit: permit, has_waited: false });
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(overloaded());
        }
        let permit = timeout(self.max_wait, self.places.acquire_many(places)).await;
        drop(waiting);
        match permit {
            Ok(Ok(permit)) => Ok(Place { _permit: permit, has_waited: true }),
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }
}

/// Returns the error of an operation that was not sent.
pub(super) fn overloaded() -> Error {
    Error::new(ErrorKind::Overloaded, "too many operations wait for the shared store")
}

/// Counts an operation that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn large_values_are_on_their_way_one_after_the_other() {
        let places = Places::new(100, Duration::from_secs(60));
        let has_place = |bytes| {
            let mut context = Context::from_waker(Waker::noop());
            matches!(pin!(places.enter(Traffic::Fill(bytes))).poll(&mut context), Poll::Ready(Ok(_)))
        };
        let one = places.enter(Traffic::Fill(700_000)).await.unwrap();
        assert!(has_place(300_000) && has_place(0) && !has_place(400_000) && !has_place(usize::MAX));
        drop(one);
        assert!(has_place(usize::MAX));
    }

    /// Otherwise leases would stay until their term ends, because a burst of calls asks for others.
    #[tokio::test]
    async fn the_end_of_a_lease_does_not_wait_behind_requests_for_others() {
        let places = Places::new(1, Duration::from_secs(60));
        let has_place = |traffic| {
            let mut context = Context::from_waker(Waker::noop());
            matches!(pin!(places.enter(traffic)).poll(&mut context), Poll::Ready(Ok(_)))
        };
        let _first = places.enter(Traffic::Acquire(0)).await.unwrap();
        assert!(!has_place(Traffic::Acquire(0)));
        for traffic in [Traffic::Write(0), Traffic::Fill(0), Traffic::Read(0)] {
            assert!(has_place(traffic), "{traffic:?}");
        }
    }
}
