//! The conversion of replies to results.

use bytes::Bytes;

use super::protocol::Reply;
use crate::{Error, ErrorKind, Result};

/// Returns the value, or `None` for the empty value of a reservation.
pub(super) fn without_reservation(value: Bytes) -> Option<Bytes> {
    Some(value).filter(|value| !value.is_empty())
}

/// What an item is.
pub(super) enum Occupant {
    Value(Bytes),
    /// A value that is too large to be read.
    Skipped,
    /// A reservation, which the command has made if it has `won`.
    Reservation {
        won: bool,
    },
}

/// Returns what an item is, and its version.
pub(super) fn item(reply: Reply) -> Result<(Occupant, u64)> {
    match reply {
        Reply::Item { version: 0, .. } | Reply::Skipped { version: 0 } => Err(Error::new(
            ErrorKind::Config,
            "memcached was started with `-C`, without versions, which leases require",
        )),
        Reply::Item { value, version, won } => Ok(match without_reservation(value) {
            Some(value) => (Occupant::Value(value), version),
            None => (Occupant::Reservation { won }, version),
        }),
        Reply::Skipped { version } => Ok((Occupant::Skipped, version)),
        other => Err(unexpected_reply(&other)),
    }
}

/// Returns the replies to a batch of `N` commands.
pub(super) fn array<const N: usize>(replies: Vec<Reply>) -> Result<[Reply; N]> {
    replies.try_into().map_err(|_| protocol_violation())
}

/// Returns the reply to the first command of a batch.
pub(super) fn first(replies: Vec<Reply>) -> Result<Reply> {
    replies.into_iter().next().ok_or_else(protocol_violation)
}

/// Returns the error for a reply that is not one of those that a command expects.
pub(super) fn unexpected_reply(reply: &Reply) -> Error {
    match reply {
        Reply::TooLarge => too_large(),
        Reply::ServerError => {
            Error::new(ErrorKind::Rejected, "memcached rejected the command, most likely for lack of memory")
        }
        _ => protocol_violation(),
    }
}

pub(super) fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, "the value is larger than memcached accepts")
}

pub(super) fn protocol_violation() -> Error {
    Error::new(ErrorKind::Protocol, "the reply of memcached does not match the command")
}
