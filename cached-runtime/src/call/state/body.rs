//! The step that runs the body: what marks the key while it is polled, and what goes on beside it.

use std::future::pending;
use std::sync::Arc;

use tracing::Span;

use super::CallState;
use crate::call::liveness::HEARTBEAT_INTERVAL;
use crate::call::poll_guard::PollGuard;
use crate::signature::{KeyType, ReturnKind, TimeoutOutput};
use crate::util::timer::sleep;
use crate::{BoxFuture, trace};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn compute_span(&self) -> Span {
        trace::computation(&self.cache.namespace, self.purpose.cause(), || self.cache.display_key(&self.key))
    }

    pub(super) fn poll_guard(&self) -> Option<PollGuard<'_>> {
        // Not only the leader: an independent call may hold the lease of the key, for which a recursive call would wait.
        let flight = self.role.flight()?;
        Some(self.cache.flights.poll_guard(flight))
    }

    pub(super) fn keep_alive(&self) -> Option<BoxFuture<'static, TimeoutOutput<O::Output>>> {
        let flight = self.role.flight().map(Arc::clone);
        let timeout = self.cache.policy.timeout_now().zip(self.cache.options.timed_out);
        if flight.is_none() && timeout.is_none() {
            return None;
        }
        let heartbeat = async move {
            match flight {
                Some(flight) => loop {
                    sleep(HEARTBEAT_INTERVAL).await;
                    flight.liveness.record_poll();
                },
                None => pending().await,
            }
        };
        let timeout = async move {
            match timeout {
                Some((timeout, timed_out)) => {
                    sleep(timeout).await;
                    timed_out
                }
                None => pending().await,
            }
        };
        Some(Box::pin(async {
            tokio::select! {
                timed_out = timeout => timed_out,
                never = heartbeat => never,
            }
        }))
    }
}
