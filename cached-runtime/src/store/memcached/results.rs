//! Replies as results.

use bytes::Bytes;

use super::protocol::Reply;
use crate::{Error, ErrorKind, Result};

pub(super) fn unless_reserved(value: Option<Bytes>) -> Option<Bytes> {
    value.filter(|value| !value.is_empty())
}

/// The value, the version, and whether the reservation is ours.
pub(super) fn item_of(reply: Reply) -> Result<(Option<Bytes>, u64, bool)> {
    match reply {
        Reply::Item { version: 0, .. } => Err(Error::new(
            ErrorKind::Config,
            "memcached keeps no versions (it was started with -C), and so has no leases",
        )),
        Reply::Item { value, version, won } => Ok((unless_reserved(Some(value)), version, won)),
        other => Err(refused(&other)),
    }
}

pub(super) fn array<const N: usize>(replies: Vec<Reply>) -> Result<[Reply; N]> {
    replies.try_into().map_err(|_| not_understood())
}

pub(super) fn first(replies: Vec<Reply>) -> Result<Reply> {
    replies.into_iter().next().ok_or_else(not_understood)
}

/// The error that a reply is that brings nothing of what was asked for.
pub(super) fn refused(reply: &Reply) -> Error {
    match reply {
        Reply::TooLarge => too_large(),
        Reply::Refused => {
            Error::new(ErrorKind::Rejected, "memcached refused, most likely for lack of memory")
        }
        _ => not_understood(),
    }
}

pub(super) fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, "the value is larger than memcached takes")
}

pub(super) fn not_understood() -> Error {
    Error::new(ErrorKind::Protocol, "memcached answered something else than it was asked")
}
