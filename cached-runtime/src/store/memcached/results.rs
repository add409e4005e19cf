//! The conversion of replies to results.

use bytes::Bytes;

use super::protocol::{ItemKind, Reply};
use super::reservation::Reservation;
use crate::{Error, ErrorKind, Result};

/// What an item is.
pub(super) enum Occupant {
    Value(Bytes),
    /// A value that is too large to be read.
    Skipped,
    /// A reservation, or the lock beside a value.
    Reservation(Reservation),
}

/// Returns what an item is, and its version; `None` if there is none.
pub(super) fn item(reply: Reply) -> Result<Option<(Occupant, u64)>> {
    let (occupant, version) = match reply {
        Reply::Item { value, version, kind: ItemKind::Value } => (Occupant::Value(value), version),
        Reply::Item { value, version, kind: ItemKind::Reservation } => {
            (Occupant::Reservation(Reservation::decode(&value)), version)
        }
        Reply::Skipped { version } => (Occupant::Skipped, version),
        Reply::Miss => return Ok(None),
        other => return Err(unexpected_reply(&other)),
    };
    Ok(Some((occupant, versioned(version)?)))
}

/// Returns what kind of item there is, and its version; `None` if there is none.
pub(super) fn header(reply: &Reply) -> Result<Option<(ItemKind, u64)>> {
    match *reply {
        Reply::Header { version, kind, .. } => Ok(Some((kind, versioned(version)?))),
        Reply::Miss => Ok(None),
        ref other => Err(unexpected_reply(other)),
    }
}

/// Returns the version of an item, unless the server keeps none.
pub(super) fn versioned(version: u64) -> Result<u64> {
    if version == 0 {
        return Err(Error::new(
            ErrorKind::Config,
            "memcached was started with `-C`, without versions, which leases require",
        ));
    }
    Ok(version)
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
