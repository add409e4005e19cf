//! The replies.

use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

use super::commands::Command;
use super::lines::{CRLF, digits, first_line, split_word, unexpected_line, violation};
use crate::Error;

/// The reply to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `VA`: an item.
    Item { value: Bytes, version: u64, kind: ItemKind },
    /// `VA`: an item whose value is larger than the limit, and is discarded.
    Skipped { version: u64 },
    /// The value of each of several keys; a reservation is none, and neither is a value larger than the limit.
    Values(Vec<Option<Bytes>>),
    /// `HD`: there is an item, whose value has this size in bytes.
    Header { size: usize, version: u64, kind: ItemKind },
    /// `HD`: the command succeeded. The version is 0 if the command does not request it.
    Done { version: u64 },
    /// `EN`: there is no item to read.
    Miss,
    /// `EX`: the item has another version.
    Exists,
    /// `NF`: there is no item to change.
    NotFound,
    /// `NS`: the condition did not hold.
    NotStored,
    /// `SERVER_ERROR object too large for cache`; the old value is removed.
    TooLarge,
    /// Any other `SERVER_ERROR`.
    ServerError,
}

/// What an item is, according to its client flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Value,
    /// It says who holds a lease, or how the last attempt ended.
    Reservation,
}

impl ItemKind {
    /// Returns the client flags of an item of this kind. Those of a reservation are a number that no client library uses.
    pub(crate) const fn client_flags(self) -> u32 {
        match self {
            Self::Value => 0,
            Self::Reservation => 0xCAC4_ED01,
        }
    }

    /// Returns what an item with these client flags is. Other programs may store values with any flags.
    fn from_client_flags(flags: &[u8]) -> Self {
        let is_reservation = digits(flags) == Some(u64::from(Self::Reservation.client_flags()));
        if is_reservation { Self::Reservation } else { Self::Value }
    }
}

/// The result of parsing a buffer.
#[derive(Debug)]
pub(crate) enum Parsed<T> {
    /// A complete reply, taken from the buffer.
    Complete(T),
    /// An incomplete reply, left in the buffer, which must have at least so many bytes before parsing can
    /// succeed.
    Need(usize),
    /// A value that is larger than the limit. So many bytes of the stream must be discarded, from this position in
    /// the buffer on, before parsing continues, with the next reply if there is one.
    Discard { at: usize, bytes: usize, reply: Option<Reply> },
}

/// Takes the reply to a command from the buffer, if it is complete.
///
/// An error means that it is unknown where the next reply begins, so that the connection must be closed.
pub(crate) fn parse(
    buffer: &mut BytesMut,
    command: &Command,
    number: u32,
    max_value: usize,
) -> Result<Parsed<Reply>, Error> {
    if let Command::Values(keys) = command {
        return parse_values(buffer, keys, max_value);
    }
    let Some(line) = first_line(buffer)? else {
        return Ok(Parsed::Need(buffer.len() + 1));
    };
    let end = line.len() + CRLF.len();
    let (code, rest) = split_word(line);

    let reply = match (command, code) {
        (Command::Value, b"VA") => {
            let (size, flags) = split_word(rest);
            let size = parse_size(size)?;
            let Flags { version, kind, .. } = parse_flags(flags, number)?;
            if is_too_large(size, max_value) {
                buffer.advance(end);
                let reply = Some(Reply::Skipped { version });
                return Ok(Parsed::Discard { at: 0, bytes: size + CRLF.len(), reply });
            }
            let whole = end + size + CRLF.len();
            if buffer.len() < whole {
                return Ok(Parsed::Need(whole));
            }
            check_end(&buffer[..whole])?;
            buffer.advance(end);
            let value = take_value(buffer, size);
            buffer.advance(CRLF.len());
            return Ok(Parsed::Complete(Reply::Item { value, version, kind }));
        }
        // Not every version of the server repeats the number here.
        (Command::Value | Command::Header, b"EN") if rest.is_empty() => Reply::Miss,
        (Command::Value | Command::Header, b"EN") => parse_flags(rest, number).map(|_| Reply::Miss)?,
        (Command::Header, b"HD") => {
            let Flags { size, version, kind } = parse_flags(rest, number)?;
            Reply::Header { size, version, kind }
        }
        (Command::Store | Command::Delete, b"HD") => {
            Reply::Done { version: parse_flags(rest, number)?.version }
        }
        (Command::Store | Command::Delete, b"EX") => parse_flags(rest, number).map(|_| Reply::Exists)?,
        (Command::Store | Command::Delete, b"NF") => parse_flags(rest, number).map(|_| Reply::NotFound)?,
        (Command::Store, b"NS") => parse_flags(rest, number).map(|_| Reply::NotStored)?,
        (_, b"SERVER_ERROR") => server_error(rest),
        // Includes `ERROR` and `CLIENT_ERROR`, after which the number of further lines is unknown.
        _ => return Err(unexpected_line(line)),
    };
    buffer.advance(end);
    Ok(Parsed::Complete(reply))
}

/// Takes the reply to a `get` from the buffer. It ends with a line of its own.
fn parse_values(buffer: &mut BytesMut, keys: &[u8], max_value: usize) -> Result<Parsed<Reply>, Error> {
    // The part before the first space is empty.
    let mut keys = keys.split(|&byte| byte == b' ').skip(1);
    let (mut found, mut at) = (Vec::<Option<Range<usize>>>::new(), 0);
    loop {
        let Some(line) = first_line(&buffer[at..])? else {
            return Ok(Parsed::Need(buffer.len() + 1));
        };
        if line == b"END" {
            break;
        }
        let start = at + line.len() + CRLF.len();
        let (code, rest) = split_word(line);
        match code {
            b"VALUE" => {
                let (key, rest) = split_word(rest);
                let (flags, size) = split_word(rest);
                let size = parse_size(size)?;
                if is_too_large(size, max_value) {
                    // Without its header and the value, the reply is that of a server that does not have the key.
                    remove(buffer, at, start - at);
                    return Ok(Parsed::Discard { at, bytes: size + CRLF.len(), reply: None });
                }
                // The server returns the values in the order of the keys, without the missing ones.
                loop {
                    match keys.next() {
                        Some(requested) if requested == key => break,
                        Some(_) => found.push(None),
                        None => return Err(violation("memcached replied to another command")),
                    }
                }
                let is_value = ItemKind::from_client_flags(flags) == ItemKind::Value;
                found.push(is_value.then_some(start..start + size));
                at = start + size + CRLF.len();
                if buffer.len() < at {
                    return Ok(Parsed::Need(at));
                }
                check_end(&buffer[..at])?;
            }
            b"SERVER_ERROR" if found.is_empty() => {
                let reply = server_error(rest);
                buffer.advance(start);
                return Ok(Parsed::Complete(reply));
            }
            _ => return Err(unexpected_line(line)),
        }
    }
    found.extend(keys.map(|_| None));

    // The values share the memory of the reply: a value that is kept for long has to be copied.
    let reply = buffer.split_to(at + b"END\r\n".len()).freeze();
    let values = found.into_iter().map(|range| range.map(|range| reply.slice(range))).collect();
    Ok(Parsed::Complete(Reply::Values(values)))
}

/// Removes up to `count` bytes of a buffer at a position; returns how many there were.
pub(crate) fn remove(buffer: &mut BytesMut, at: usize, count: usize) -> usize {
    let removed = count.min(buffer.len().saturating_sub(at));
    if removed == 0 {
        return 0;
    }
    let rest = buffer.split_off(at + removed);
    buffer.truncate(at);
    buffer.extend_from_slice(&rest);
    removed
}

/// Returns `true` if a value must be discarded.
const fn is_too_large(size: usize, max_value: usize) -> bool {
    size > max_value.saturating_add(MAX_VALUE_EXCESS)
}

/// Parses the size of a value, which must be one that could have been stored.
fn parse_size(size: &[u8]) -> Result<usize, Error> {
    digits(size)
        .and_then(|size| usize::try_from(size).ok())
        .filter(|&size| size <= MAX_ITEM_BYTES)
        .ok_or_else(|| violation("memcached announced a value of an impossible size"))
}

/// Checks that a value is followed by CRLF.
fn check_end(value: &[u8]) -> Result<(), Error> {
    if value.ends_with(CRLF) {
        return Ok(());
    }
    Err(violation("a value of memcached has another size than announced"))
}

/// The maximum item size that a server can be started with.
const MAX_ITEM_BYTES: usize = 1 << 30;

/// How much a value may exceed the configured maximum, in bytes: other processes may have another
/// configuration.
const MAX_VALUE_EXCESS: usize = 16 * 1024;

/// Up to this size, a value is copied, so that it does not keep the whole buffer alive.
const MAX_COPIED_BYTES: usize = 4 * 1024;

/// Takes a value from the buffer.
fn take_value(buffer: &mut BytesMut, size: usize) -> Bytes {
    if size > MAX_COPIED_BYTES {
        return buffer.split_to(size).freeze();
    }
    let value = Bytes::copy_from_slice(&buffer[..size]);
    buffer.advance(size);
    value
}

/// The flags of a reply.
struct Flags {
    size: usize,
    version: u64,
    kind: ItemKind,
}

/// Parses the size (`s`), the version (`c`) and the client flags (`f`), and checks the number of the batch (`O`). Other flags
/// are skipped.
fn parse_flags(mut flags: &[u8], batch: u32) -> Result<Flags, Error> {
    let (mut size, mut version, mut kind, mut number) = (0, 0, ItemKind::Value, None);
    while !flags.is_empty() {
        let (flag, rest) = split_word(flags);
        match flag {
            [b's', text @ ..] => size = parse_size(text)?,
            [b'f', text @ ..] => kind = ItemKind::from_client_flags(text),
            [b'c', text @ ..] => {
                version = digits(text).ok_or_else(|| violation("a version of memcached is not a number"))?;
            }
            [b'O', text @ ..] => number = digits(text),
            _ => {}
        }
        flags = rest;
    }
    if number != Some(u64::from(batch)) {
        return Err(violation("memcached replied to another command"));
    }
    Ok(Flags { size, version, kind })
}

/// Returns the reply for a `SERVER_ERROR`, after which the connection can be used.
fn server_error(reason: &[u8]) -> Reply {
    if reason.starts_with(b"object too large") { Reply::TooLarge } else { Reply::ServerError }
}

#[cfg(test)]
mod tests;
