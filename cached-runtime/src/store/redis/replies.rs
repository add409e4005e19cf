//! The conversion of replies to results.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use fred::types::{Resp3Frame as Frame, Value};

use super::errors::{from_server, message_of};
use super::scripts;
use crate::{Acquired, Error, ErrorKind, LastAttempt, LeaseId, Result};

/// Returns the value of a key.
pub(super) fn value(reply: Frame) -> Result<Option<Bytes>> {
    match reply {
        Frame::Null => Ok(None),
        Frame::BlobString { data, .. } => Ok(Some(data)),
        other => match message_of(&other) {
            Some(message) if message.starts_with("WRONGTYPE") => Ok(None),
            _ => Err(unexpected(&other)),
        },
    }
}

/// Returns the values of `count` keys, from the reply to a script.
pub(super) fn values_of_script(reply: Frame, count: usize) -> Result<Vec<Option<Bytes>>> {
    match reply {
        Frame::Array { data, .. } if data.len() == count => data.into_iter().map(value).collect(),
        other => Err(unexpected(&other)),
    }
}

/// Returns the values of `count` keys.
pub(super) fn values(reply: Value, count: usize) -> Result<Vec<Option<Bytes>>> {
    let Value::Array(replies) = reply else { return Err(malformed()) };
    if replies.len() != count {
        return Err(malformed());
    }
    // Not collected, which would use the memory of the replies again: to shrink it costs more than to allocate.
    let mut values = Vec::with_capacity(count);
    for reply in replies {
        values.push(match reply {
            Value::Null => None,
            Value::Bytes(bytes) => Some(bytes),
            Value::String(text) => Some(text.into_inner()),
            _ => return Err(malformed()),
        });
    }
    Ok(values)
}

/// Returns the result of the script `ACQUIRE`.
pub(super) fn acquired(reply: Frame) -> Result<Acquired> {
    let Frame::Array { data, .. } = reply else { return Err(unexpected(&reply)) };
    let Ok([granted, filled, holder, last]) = <[Frame; 4]>::try_from(data) else { return Err(malformed()) };
    let (is_granted, is_filled) = (flag(&granted)?, flag(&filled)?);
    let holder = value(holder)?;
    let last = value(last)?.map_or(LastAttempt::Unknown, |letter| scripts::last_attempt(&letter));
    if is_filled {
        return Ok(Acquired::found());
    }
    if is_granted {
        return Ok(Acquired::granted().after(last));
    }
    // A hash identifies the lease even if another program has stored something else than a token.
    let number = |token: &Bytes| u128::from(BuildHasherDefault::<DefaultHasher>::default().hash_one(token));
    Ok(Acquired::held(holder.map(|token| LeaseId::new(number(&token)))).after(last))
}

/// Returns the results of the `count` scripts of a batch, each of which may be an error of the server.
pub(super) fn of_batch(reply: Frame, count: usize) -> Result<Vec<Frame>> {
    match reply {
        Frame::Array { data, .. } if data.len() == count => Ok(data),
        other => Err(unexpected(&other)),
    }
}

/// Returns the size of a value in bytes.
pub(super) fn size(reply: &Frame) -> Result<usize> {
    match reply {
        Frame::Number { data, .. } => usize::try_from(*data).map_err(|_| malformed()),
        other => Err(unexpected(other)),
    }
}

/// Returns whether the server did what a script asks for: 1 or 0.
pub(super) fn flag(reply: &Frame) -> Result<bool> {
    match reply {
        Frame::Number { data: 0, .. } => Ok(false),
        Frame::Number { data: 1, .. } => Ok(true),
        other => Err(unexpected(other)),
    }
}

/// Checks that a reply is not an error.
pub(super) fn done(reply: &Frame) -> Result<()> {
    match reply {
        Frame::Number { .. } | Frame::SimpleString { .. } | Frame::BlobString { .. } => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn unexpected(reply: &Frame) -> Error {
    message_of(reply).map_or_else(malformed, from_server)
}

pub(super) fn malformed() -> Error {
    Error::new(ErrorKind::Protocol, "cannot parse the reply of redis")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_of_another_shape_is_an_error() {
        let number = |data| Frame::Number { data, attributes: None };
        let array = |data| Frame::Array { data, attributes: None };
        assert_eq!(value(number(1)).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(values_of_script(array(vec![Frame::Null]), 2).unwrap_err().kind(), ErrorKind::Protocol);
        for reply in [Value::Null, Value::Integer(1), Value::Array(vec![]), Value::Array(vec![Value::Queued])]
        {
            assert_eq!(values(reply, 1).unwrap_err().kind(), ErrorKind::Protocol);
        }
        assert_eq!(acquired(array(vec![Frame::Null])).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(acquired(Frame::Null).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(flag(&number(2)).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(done(&Frame::Null).unwrap_err().kind(), ErrorKind::Protocol);
    }
}
