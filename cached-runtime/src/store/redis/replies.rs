//! How the answers of the server read.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use fred::types::Resp3Frame as Frame;

use super::errors::{error_of, refusal};
use crate::{Acquired, Error, ErrorKind, Lease, LeaseId, Result};

/// The value under a key.
pub(super) fn value(answer: Frame) -> Result<Option<Bytes>> {
    match answer {
        Frame::Null => Ok(None),
        Frame::BlobString { data, .. } => Ok(Some(data)),
        other => match error_of(&other) {
            Some(message) if message.starts_with("WRONGTYPE") => Ok(None),
            _ => Err(unexpected(&other)),
        },
    }
}

/// The values under so many keys.
pub(super) fn values(answer: Frame, count: usize) -> Result<Vec<Option<Bytes>>> {
    match answer {
        Frame::Array { data, .. } if data.len() == count => data.into_iter().map(value).collect(),
        other => Err(unexpected(&other)),
    }
}

/// What `ACQUIRE` found.
pub(super) fn acquired(answer: Frame, lease: Lease) -> Result<Acquired> {
    let Frame::Array { data, .. } = answer else { return Err(unexpected(&answer)) };
    let Ok([found, won, holder]) = <[Frame; 3]>::try_from(data) else { return Err(garbled()) };
    let lease = flag(&won)?.then_some(lease);
    // Whatever it is that lies there.
    let number = |token: &Bytes| u128::from(BuildHasherDefault::<DefaultHasher>::default().hash_one(token));
    let holder = value(holder)?.map(|token| LeaseId::new(number(&token)));
    Ok(Acquired { value: value(found)?, lease, holder })
}

/// Whether the server did it.
pub(super) fn flag(answer: &Frame) -> Result<bool> {
    match answer {
        Frame::Number { data: 0, .. } => Ok(false),
        Frame::Number { data: 1, .. } => Ok(true),
        other => Err(unexpected(other)),
    }
}

/// That the server did it.
pub(super) fn done(answer: &Frame) -> Result<()> {
    match answer {
        Frame::Number { .. } | Frame::SimpleString { .. } | Frame::BlobString { .. } => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn unexpected(answer: &Frame) -> Error {
    error_of(answer).map_or_else(garbled, refusal)
}

fn garbled() -> Error {
    Error::new(ErrorKind::Protocol, "the answer of the redis server was not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        let number = |data| Frame::Number { data, attributes: None };
        let array = |data| Frame::Array { data, attributes: None };
        let lease = Lease::new(1);
        assert_eq!(value(number(1)).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(values(array(vec![Frame::Null]), 2).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(acquired(array(vec![Frame::Null]), lease).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(acquired(Frame::Null, lease).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(flag(&number(2)).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(done(&Frame::Null).unwrap_err().kind(), ErrorKind::Protocol);
    }
}
