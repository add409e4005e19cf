//! Which computations of this process wait for which flights, so that those that wait for each other are found.
//!
//! A computation waits for a flight if a call that its body makes follows that flight, or has begun it in a task of its
//! own. When a call is about to close a circle, it computes instead. Waits that the tasks of a user hide are not in the
//! graph; they end with the wait budget.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::flight::Flight;

/// The edges: for each flight, those that its computation waits for. Only computations that wait lock it.
static WAITS: LazyLock<Mutex<HashMap<FlightId, Vec<FlightId>>>> = LazyLock::new(Mutex::default);

/// Identifies a flight as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlightId(usize);

impl FlightId {
    pub(super) fn of<K, S, H>(flight: &Arc<Flight<K, S, H>>) -> Self {
        Self(Arc::as_ptr(flight).cast::<()>() as usize)
    }
}

/// The wait of some computations for a flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Wait {
    waiting: Vec<FlightId>,
    flight: FlightId,
}

impl Wait {
    /// Records that computations wait for a flight; returns `None` if that flight waits for one of them.
    pub(super) fn begin(waiting: Vec<FlightId>, flight: FlightId) -> Option<Self> {
        if !waiting.is_empty() {
            let mut waits = lock();
            if reaches(&waits, flight, &waiting) {
                return None;
            }
            for waiting in &waiting {
                waits.entry(*waiting).or_default().push(flight);
            }
        }
        Some(Self { waiting, flight })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waits = lock();
        for waiting in &self.waiting {
            let Some(flights) = waits.get_mut(waiting) else { continue };
            if let Some(at) = flights.iter().position(|flight| *flight == self.flight) {
                flights.swap_remove(at);
            }
            if flights.is_empty() {
                waits.remove(waiting);
            }
        }
    }
}

/// Returns `true` if a flight is one of `ends`, or waits for one of them, directly or through others.
fn reaches(waits: &HashMap<FlightId, Vec<FlightId>>, flight: FlightId, ends: &[FlightId]) -> bool {
    let (mut seen, mut next) = (HashSet::from([flight]), vec![flight]);
    while let Some(flight) = next.pop() {
        if ends.contains(&flight) {
            return true;
        }
        let awaited = waits.get(&flight).into_iter().flatten();
        next.extend(awaited.filter(|awaited| seen.insert(**awaited)));
    }
    false
}

/// Locks the graph. A panic under the lock is not possible: it runs no user code.
fn lock() -> MutexGuard<'static, HashMap<FlightId, Vec<FlightId>>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{FlightId, Wait, lock};

    #[test]
    fn wait_that_closes_a_circle_is_found() {
        let [a, b, c, d] = [1, 3, 5, 7].map(FlightId);
        let first = Wait::begin(vec![a], b).unwrap();
        let second = Wait::begin(vec![b], c).unwrap();
        assert!(Wait::begin(vec![c], a).is_none());
        assert!(Wait::begin(vec![d, c], b).is_none());
        assert!(Wait::begin(vec![a], a).is_none());
        let third = Wait::begin(vec![d], a).unwrap();
        drop(second);
        let fourth = Wait::begin(vec![c], a).unwrap();
        drop((first, third, fourth));
        assert!([a, b, c, d].iter().all(|flight| !lock().contains_key(flight)));
    }
}
