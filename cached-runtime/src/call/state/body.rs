//! What goes on while the body runs.

use std::sync::Arc;

use super::{CallState, Part};
use crate::BoxFuture;
use crate::call::flight::HEARTBEAT;
use crate::call::poll_guard::Entered;
use crate::shared::HeldLease;
use crate::signature::{KeyType, ReturnKind, TimeoutOutput};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn enter(&self) -> Option<Entered> {
        match &self.part {
            // Either may hold the lease of the key.
            Part::Leads(_) | Part::Alone { .. } => Some(self.cache.flights.enter(&self.key)),
            Part::None | Part::Inside => None,
        }
    }

    pub(super) fn upkeep(&self) -> Option<BoxFuture<'static, TimeoutOutput<O::Output>>> {
        // Without a runtime there are no timers, and nothing to keep alive either.
        tokio::runtime::Handle::try_current().ok()?;
        let flight = match &self.part {
            Part::Leads(flight) => Some(Arc::clone(flight)),
            Part::None | Part::Alone { .. } | Part::Inside => None,
        };
        let keep_alive = self.held.as_ref().map(HeldLease::keep_alive);
        let limit = self.cache.policy.timeout.zip(self.cache.rules.timed_out);
        if flight.is_none() && keep_alive.is_none() && limit.is_none() {
            return None;
        }
        let heartbeat = async move {
            match flight {
                Some(flight) => loop {
                    tokio::time::sleep(HEARTBEAT).await;
                    flight.beat();
                },
                None => std::future::pending().await,
            }
        };
        let lease = async move {
            match keep_alive {
                Some(keep_alive) => {
                    keep_alive.await;
                    std::future::pending().await
                }
                None => std::future::pending().await,
            }
        };
        let end = async move {
            match limit {
                Some((limit, timed_out)) => {
                    tokio::time::sleep(limit).await;
                    timed_out
                }
                None => std::future::pending().await,
            }
        };
        Some(Box::pin(async {
            tokio::select! {
                timed_out = end => timed_out,
                never = heartbeat => never,
                never = lease => never,
            }
        }))
    }
}
