//! The state of a connection, shared by its operations and its supervisor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::util::redis_keyslot;
use tokio::sync::{Notify, watch};

use super::config::{Restarts, Topology};
use super::server_ids::ServerIds;
use super::watchers::Watchers;
use crate::{Error, ErrorKind, Key, Result};

/// The state of the connection of one runtime.
///
/// Operations record here what they observe; the supervisor checks the connection when [`Self::needs_check`]
/// is notified.
pub(super) struct ConnectionState {
    pub(super) topology: Topology,
    pub(super) status: watch::Sender<ConnectionStatus>,
    /// How many operations on each slot group in a row had no reply, weighted; see
    /// [`Self::record_missed_reply`].
    missed_replies: [AtomicU32; SlotGroups::COUNT],
    /// How many replies there were; the number may wrap around.
    pub(super) replies: AtomicU64,
    /// How many large values are on their way.
    transfers: AtomicU32,
    /// `true` after the server has replied that it is a read-only replica.
    pub(super) is_demoted: AtomicBool,
    /// How many replies in a row were not verified to be those to their commands.
    unverified_replies: AtomicU32,
    /// `true` after a reply that was not one to its command.
    has_mismatch: AtomicBool,
    pub(super) needs_check: Notify,
    pub(super) watchers: Watchers,
    /// The identities of the servers; `None` if restarts are trusted.
    pub(super) server_ids: Option<ServerIds>,
}

/// The current client, and how its attempts to connect went.
pub(super) struct ConnectionStatus {
    pub(super) client: Client,
    /// `true` as soon as the first attempt to connect has succeeded, has failed other than by its timeout, or has missed the
    /// deadline of an operation.
    pub(super) is_first_attempt_over: bool,
    /// The last error while connecting; `None` as soon as a connection is established.
    pub(super) connect_error: Option<Error>,
}

impl ConnectionState {
    pub(super) fn new(topology: Topology, restarts: Restarts, client: Client) -> Self {
        let status = ConnectionStatus { client, is_first_attempt_over: false, connect_error: None };
        Self {
            topology,
            status: watch::Sender::new(status),
            missed_replies: [const { AtomicU32::new(0) }; SlotGroups::COUNT],
            replies: AtomicU64::new(0),
            transfers: AtomicU32::new(0),
            is_demoted: AtomicBool::new(false),
            unverified_replies: AtomicU32::new(0),
            has_mismatch: AtomicBool::new(false),
            needs_check: Notify::new(),
            watchers: Watchers::default(),
            server_ids: match restarts {
                Restarts::Trusted => None,
                Restarts::Distrusted => Some(ServerIds::default()),
            },
        }
    }

    /// Returns `true` if there is no connection, unless the first attempt to connect is still under way.
    pub(super) fn is_known_down(&self) -> bool {
        let status = self.status.borrow();
        status.is_first_attempt_over && !status.client.is_connected()
    }

    /// Returns the client if it is connected.
    pub(super) fn connected_client(&self) -> Result<Client> {
        let client = self.status.borrow().client.clone();
        if client.is_connected() {
            return Ok(client);
        }
        Err(self.with_connect_error(Error::new(ErrorKind::Unreachable, "there is no connection to redis")))
    }

    /// Adds to an `Unreachable` error why there is no connection, or replaces it by an error that users must
    /// fix.
    pub(super) fn with_connect_error(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Unreachable {
            return error;
        }
        match &self.status.borrow().connect_error {
            Some(cause) if matches!(cause.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
                error.with_source(cause.clone())
            }
            Some(cause) => cause.clone(),
            None => error,
        }
    }

    /// Returns what the names of keys of this slot contain of the identity of the server: nothing if restarts are trusted;
    /// `None` if the identity is not known yet.
    pub(super) fn server_name(&self, slot: u16) -> Option<Arc<str>> {
        match &self.server_ids {
            None => Some("".into()),
            Some(servers) => servers.get(slot).map(|id| id.name),
        }
    }

    /// Records the outcome of an attempt to connect: its error, or `None`.
    ///
    /// If the first attempt takes too long, this process may be too busy. The operations that wait for it have a deadline that
    /// takes that into account.
    pub(super) fn record_attempt(&self, error: Option<Error>) {
        self.status.send_modify(|status| {
            status.is_first_attempt_over |= !error.as_ref().is_some_and(Error::is_timeout);
            status.connect_error = error;
        });
    }

    /// Records that an operation has waited for too long for the first attempt to connect.
    pub(super) fn end_first_attempt(&self) {
        self.status.send_modify(|status| status.is_first_attempt_over = true);
    }

    /// Records an operation on these slot groups that had no reply.
    fn record_missed_reply(&self, slot_groups: SlotGroups, cause: MissedReply) {
        let weight = match (cause, self.topology) {
            // The supervisor can ask a single server whether it responds, so one missed deadline suffices.
            (MissedReply::Deadline, Topology::Single) => MISSED_REPLIES_BEFORE_CHECK,
            (MissedReply::Deadline, Topology::Cluster) | (MissedReply::Cancelled, Topology::Single) => 1,
            // The supervisor cannot ask the node in question, so only missed deadlines count.
            (MissedReply::Cancelled, Topology::Cluster) => return,
        };
        for group in slot_groups.indices() {
            // If the counter wraps around, it has exceeded the threshold long before.
            let missed = self.missed_replies[group].fetch_add(weight, Relaxed).wrapping_add(weight);
            if missed >= MISSED_REPLIES_BEFORE_CHECK {
                self.needs_check.notify_one();
            }
        }
    }

    /// Records a reply from the servers of these slot groups.
    pub(super) fn record_reply(&self, slot_groups: SlotGroups) {
        self.replies.fetch_add(1, Relaxed);
        for group in slot_groups.indices() {
            self.missed_replies[group].store(0, Relaxed);
        }
    }

    /// Returns `true` if a server has missed so many replies that it may be unresponsive.
    pub(super) fn has_missed_replies(&self) -> bool {
        self.missed_replies.iter().any(|missed| missed.load(Relaxed) >= MISSED_REPLIES_BEFORE_CHECK)
    }

    /// Returns `true` while a large value is on its way, which explains missed replies: those behind it are late.
    pub(super) fn is_transferring(&self) -> bool {
        self.transfers.load(Relaxed) > 0
    }

    /// Returns an error if the server has not answered the last operations, nor any since there were so many replies.
    pub(super) fn check_replies(&self, replies: u64) -> Result<()> {
        if self.has_missed_replies() && self.replies.load(Relaxed) == replies {
            return Err(Error::new(
                ErrorKind::Timeout,
                "redis did not answer the operations before this one",
            ));
        }
        Ok(())
    }

    /// Records a reply that says by itself which command it belongs to.
    pub(super) fn record_verified_reply(&self) {
        self.unverified_replies.store(0, Relaxed);
    }

    /// Records a reply that does not say which command it belongs to, as that of a read.
    ///
    /// The client pairs replies and commands by their order. If a reply is lost or repeated on the way, every later
    /// reply is paired with another command, so the supervisor checks the order from time to time.
    pub(super) fn record_unverified_reply(&self) {
        if self.unverified_replies.fetch_add(1, Relaxed) >= MAX_UNVERIFIED_REPLIES {
            self.record_mismatch();
        }
    }

    /// Records a reply that is none to its command, so that the order of replies must be checked.
    pub(super) fn record_mismatch(&self) {
        self.unverified_replies.store(0, Relaxed);
        self.has_mismatch.store(true, Relaxed);
        self.needs_check.notify_one();
    }

    /// Returns `true` if the order of replies must be checked, once.
    pub(super) fn take_mismatch(&self) -> bool {
        self.has_mismatch.swap(false, Relaxed)
    }

    /// Records that the server is a read-only replica, so that its address may refer to another server now.
    pub(super) fn record_demotion(&self) {
        self.is_demoted.store(true, Relaxed);
        self.needs_check.notify_one();
    }
}

/// A set of slot groups, as bits. A group is 1/64 of the hash slots of a cluster; a single server is one
/// group.
///
/// Replies are counted for each group, so that an unresponsive node is noticed although other nodes reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotGroups(u64);

impl SlotGroups {
    const COUNT: usize = 64;
    pub(super) const ALL: Self = Self(u64::MAX);

    /// Returns the groups of these keys.
    pub(super) fn of(keys: &[Key], topology: Topology) -> Self {
        match topology {
            Topology::Single => Self(1),
            // On the server, the key is enclosed in braces (a hash tag), so it alone decides about the slot.
            Topology::Cluster => keys
                .iter()
                .map(|key| redis_keyslot(key.as_bytes()) / SLOTS_PER_GROUP)
                .fold(Self(0), |groups, group| Self(groups.0 | 1 << group)),
        }
    }

    /// Iterates over the groups in the set.
    fn indices(self) -> impl Iterator<Item = usize> {
        let mut remaining = self.0;
        std::iter::from_fn(move || {
            let first = remaining.trailing_zeros();
            remaining &= remaining.checked_sub(1)?;
            Some(first as usize)
        })
    }
}

/// A cluster has 16384 hash slots (Redis Cluster specification).
const SLOTS_PER_GROUP: u16 = 16384 / 64;

/// Why an operation had no reply.
#[derive(Debug, Clone, Copy)]
enum MissedReply {
    /// The server did not reply within the deadline.
    Deadline,
    /// The caller dropped the operation earlier.
    Cancelled,
}

/// A guard for a command that was sent. Dropping it records a missed reply.
pub(super) struct PendingReply<'a> {
    state: Option<&'a ConnectionState>,
    slot_groups: SlotGroups,
}

impl<'a> PendingReply<'a> {
    pub(super) const fn new(state: &'a ConnectionState, slot_groups: SlotGroups) -> Self {
        Self { state: Some(state), slot_groups }
    }

    /// The server missed the deadline.
    pub(super) fn timed_out(mut self) {
        if let Some(state) = self.state.take() {
            state.record_missed_reply(self.slot_groups, MissedReply::Deadline);
        }
    }

    /// The server replied.
    pub(super) fn replied(mut self) {
        if let Some(state) = self.state.take() {
            state.record_reply(self.slot_groups);
        }
    }

    /// The command failed for a reason that says nothing about the server.
    pub(super) fn dismiss(mut self) {
        self.state = None;
    }
}

impl Drop for PendingReply<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.state {
            state.record_missed_reply(self.slot_groups, MissedReply::Cancelled);
        }
    }
}

/// A guard for a large value on its way, until it has arrived or has missed its deadline.
pub(super) struct Transfer<'a>(&'a ConnectionState);

impl<'a> Transfer<'a> {
    pub(super) fn begin(state: &'a ConnectionState) -> Self {
        state.transfers.fetch_add(1, Relaxed);
        Self(state)
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.0.transfers.fetch_sub(1, Relaxed);
        // The supervisor has ignored what was missed meanwhile.
        if self.0.has_missed_replies() {
            self.0.needs_check.notify_one();
        }
    }
}

/// After how many reads in a row without a verified reply the supervisor checks the order of replies.
const MAX_UNVERIFIED_REPLIES: u32 = 256;

/// How many operations in a row may have no reply before the supervisor checks the connection.
const MISSED_REPLIES_BEFORE_CHECK: u32 = 3;

#[cfg(test)]
mod tests {
    use fred::types::Builder;
    use fred::types::config::Config;

    use super::*;

    #[test]
    fn a_first_attempt_that_takes_too_long_is_not_over() {
        let client = Builder::from_config(Config::from_url("redis://127.0.0.1:1").unwrap()).build().unwrap();
        let state = ConnectionState::new(Topology::Single, Restarts::Trusted, client);
        let is_over = || state.status.borrow().is_first_attempt_over;
        let error = |kind| Some(Error::new(kind, "not connected"));
        state.record_attempt(error(ErrorKind::Timeout));
        assert!(!is_over() && !state.is_known_down());
        state.end_first_attempt();
        assert!(is_over() && state.is_known_down());
        let error_of_attempt = state.connected_client().unwrap_err();
        assert!(std::error::Error::source(&error_of_attempt).is_some(), "it says why");

        state.status.send_modify(|status| status.is_first_attempt_over = false);
        state.record_attempt(error(ErrorKind::Unreachable));
        assert!(is_over());
    }
}
