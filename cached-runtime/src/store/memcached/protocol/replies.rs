//! Bytes to replies.

use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

use super::commands::Operation;
use super::lines::{CRLF, digits, first_line, refusal, split_word, violation};
use crate::Error;

/// What the server answered to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::memcached) enum Reply {
    /// `VA`: an item; an empty value is a reservation. `won`: made by this very command.
    Item { value: Bytes, version: u64, won: bool },
    /// What there is under each of several keys; an empty value is a reservation.
    Values(Vec<Option<Bytes>>),
    /// `HD`: it was done. The version is 0 if it was not asked for.
    Done { version: u64 },
    /// `EN`: nothing to read.
    Miss,
    /// `EX`: the item has another version.
    Exists,
    /// `NF`: there is no such item to change.
    Absent,
    /// `NS`: the condition did not hold.
    NotStored,
    /// `SERVER_ERROR object too large for cache`; what was there before is gone.
    TooLarge,
    /// Any other `SERVER_ERROR`.
    Refused,
}

/// What the parser made of the bytes so far.
#[derive(Debug)]
pub(in crate::store::memcached) enum Parsed<T> {
    /// A whole reply, taken off the buffer.
    Whole(T),
    /// A part of one: the buffer must hold at least so many bytes before it is worth trying again.
    Need(usize),
}

/// Takes the next reply off the buffer, if it is there to its end.
///
/// An error means that we and the server no longer agree on where replies begin: the connection is of no use.
pub(in crate::store::memcached) fn parse(
    buffer: &mut BytesMut,
    verb: &Operation,
    number: u32,
    max_value: usize,
) -> Result<Parsed<Reply>, Error> {
    if let Operation::Values(keys) = verb {
        return parse_values(buffer, keys, max_value);
    }
    let Some(line) = first_line(buffer)? else {
        return Ok(Parsed::Need(buffer.len() + 1));
    };
    let end = line.len() + CRLF.len();
    let (code, rest) = split_word(line);

    let reply = match (verb, code) {
        (Operation::Value, b"VA") => {
            let (size, flags) = split_word(rest);
            let size = announced(size, max_value)?;
            let Flags { version, won } = flags_of(flags, number)?;
            let whole = end + size + CRLF.len();
            if buffer.len() < whole {
                return Ok(Parsed::Need(whole));
            }
            ends_well(&buffer[..whole])?;
            buffer.advance(end);
            let value = take_value(buffer, size);
            buffer.advance(CRLF.len());
            return Ok(Parsed::Whole(Reply::Item { value, version, won }));
        }
        // Not every version repeats the number here.
        (Operation::Value | Operation::Version, b"EN") if rest.is_empty() => Reply::Miss,
        (Operation::Value | Operation::Version, b"EN") => flags_of(rest, number).map(|_| Reply::Miss)?,
        (Operation::Version | Operation::Store | Operation::Delete, b"HD") => {
            Reply::Done { version: flags_of(rest, number)?.version }
        }
        (Operation::Store | Operation::Delete, b"EX") => flags_of(rest, number).map(|_| Reply::Exists)?,
        (Operation::Store | Operation::Delete, b"NF") => flags_of(rest, number).map(|_| Reply::Absent)?,
        (Operation::Store, b"NS") => flags_of(rest, number).map(|_| Reply::NotStored)?,
        (_, b"SERVER_ERROR") => server_error(rest),
        // Also `ERROR` and `CLIENT_ERROR`: after these it is not certain how many more will follow.
        _ => return Err(refusal(line)),
    };
    buffer.advance(end);
    Ok(Parsed::Whole(reply))
}

/// The same for the values of several keys, which end with a line of their own.
fn parse_values(buffer: &mut BytesMut, keys: &[u8], max_value: usize) -> Result<Parsed<Reply>, Error> {
    // What comes before the first space is nothing.
    let mut keys = keys.split(|&byte| byte == b' ').skip(1);
    let (mut found, mut at) = (Vec::new(), 0);
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
                let (_, size) = split_word(rest);
                let size = announced(size, max_value)?;
                // In the order in which they were asked for, without those that are not there.
                loop {
                    match keys.next() {
                        Some(asked) if asked == key => break,
                        Some(_) => found.push(None),
                        None => return Err(violation("memcached answered another question")),
                    }
                }
                found.push(Some(start..start + size));
                at = start + size + CRLF.len();
                if buffer.len() < at {
                    return Ok(Parsed::Need(at));
                }
                ends_well(&buffer[..at])?;
            }
            b"SERVER_ERROR" if found.is_empty() => {
                let reply = server_error(rest);
                buffer.advance(start);
                return Ok(Parsed::Whole(reply));
            }
            _ => return Err(refusal(line)),
        }
    }
    found.extend(keys.map(|_| None));

    let mut taken = 0;
    let mut take = |range: Range<usize>| {
        buffer.advance(range.start - taken);
        taken = range.end;
        take_value(buffer, range.len())
    };
    let values = found.into_iter().map(|range| range.map(&mut take)).collect();
    buffer.advance(at + b"END\r\n".len() - taken);
    Ok(Parsed::Whole(Reply::Values(values)))
}

/// The size of a value, as far as it can be believed: it has to be one that we could have stored.
fn announced(size: &[u8], max_value: usize) -> Result<usize, Error> {
    digits(size)
        .and_then(|size| usize::try_from(size).ok())
        .filter(|&size| size <= max_value.saturating_add(VALUE_SLACK))
        .ok_or_else(|| violation("memcached announced a value of an impossible size"))
}

/// Whether what comes after a value is there.
fn ends_well(value: &[u8]) -> Result<(), Error> {
    if value.ends_with(CRLF) {
        return Ok(());
    }
    Err(violation("a value of memcached does not end where it should"))
}

/// How much larger than what we store a value may be that we read: others may be configured otherwise.
const VALUE_SLACK: usize = 16 * 1024;

/// Smaller values are copied, so that a few bytes do not keep a whole buffer alive; the buffer is used again.
const COPIED: usize = 4 * 1024;

fn take_value(buffer: &mut BytesMut, size: usize) -> Bytes {
    if size > COPIED {
        return buffer.split_to(size).freeze();
    }
    let value = Bytes::copy_from_slice(&buffer[..size]);
    buffer.advance(size);
    value
}

/// What the server says about an item beside its value.
struct Flags {
    version: u64,
    won: bool,
}

/// Version (`c`) and whether we won the reservation (`W`), once it is certain that this is an answer to the
/// script of this number (`O`); what we did not ask for is skipped.
fn flags_of(mut flags: &[u8], script: u32) -> Result<Flags, Error> {
    let (mut version, mut won, mut number) = (0, false, None);
    while !flags.is_empty() {
        let (flag, rest) = split_word(flags);
        match flag {
            b"W" => won = true,
            [b'c', text @ ..] => {
                version = digits(text).ok_or_else(|| violation("a version of memcached is not a number"))?;
            }
            [b'O', text @ ..] => number = digits(text),
            _ => {}
        }
        flags = rest;
    }
    if number != Some(u64::from(script)) {
        return Err(violation("memcached answered another question"));
    }
    Ok(Flags { version, won })
}

/// What is in the way, though we and the server agree on where replies begin.
fn server_error(reason: &[u8]) -> Reply {
    if reason.starts_with(b"object too large") { Reply::TooLarge } else { Reply::Refused }
}

#[cfg(test)]
mod tests;
