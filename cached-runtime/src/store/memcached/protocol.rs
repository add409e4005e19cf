//! Memcached's meta protocol: commands to bytes, bytes to replies, without any input or output.
//!
//! <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>

use std::fmt;
use std::io::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::{Error, ErrorKind};

/// A key as the server knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) prefix: &'a str,
    pub(super) key: &'a str,
    pub(super) suffix: &'static str,
}

/// Commands that are sent in one piece, with what must be answered to each.
///
/// All meta commands carry the number of the script (`O`), which the server repeats: should a reply ever be lost on the way, as
/// proxies may lose it, the next one is not taken for it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) number: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) verbs: Vec<Operation>,
}

impl Script {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self::numbered(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn numbered(number: u32) -> Self {
        Self { number, bytes: Vec::new(), verbs: Vec::new() }
    }

    /// The values of several keys by one command, the classic `get`: the meta protocol has none for that. It carries
    /// no number, but each value comes with its key. Reply: [`Reply::Values`].
    pub(super) fn read<'a>(mut self, names: impl IntoIterator<Item = Name<'a>>) -> Self {
        self.bytes.extend_from_slice(b"get");
        let start = self.bytes.len();
        for name in names {
            self.write(" ", name);
        }
        self.verbs.push(Operation::Values(self.bytes[start..].into()));
        self.bytes.extend_from_slice(CRLF);
        self
    }

    /// The value and its version. Replies: [`Reply::Item`], [`Reply::Miss`].
    pub(super) fn read_with_version(mut self, name: Name<'_>) -> Self {
        self.begin(Operation::Value, "mg ", name);
        self.end(" v c")
    }

    /// The value and its version; if there is none, an empty one for so many seconds, which is a `won` item.
    /// Reply: [`Reply::Item`].
    pub(super) fn read_or_reserve(mut self, name: Name<'_>, seconds: i32) -> Self {
        self.begin(Operation::Value, "mg ", name);
        self.end(format_args!(" v c N{seconds}"))
    }

    /// The version. Replies: [`Reply::Done`], [`Reply::Miss`].
    pub(super) fn read_version(mut self, name: Name<'_>) -> Self {
        self.begin(Operation::Version, "mg ", name);
        self.end(" c")
    }

    /// Gives what is there so many seconds from now, and answers as [`Script::read_version`]. The version stays.
    pub(super) fn touch(mut self, name: Name<'_>, seconds: i32) -> Self {
        self.begin(Operation::Version, "mg ", name);
        self.end(format_args!(" c T{seconds}"))
    }

    /// Stores a value. Replies: [`Reply::Done`] with the new version, [`Reply::Exists`], [`Reply::Absent`],
    /// [`Reply::NotStored`].
    pub(super) fn store(mut self, name: Name<'_>, value: &[u8], seconds: i32, when: When) -> Self {
        self.bytes.reserve(name.len() + value.len() + 64);
        self.begin(Operation::Store, "ms ", name);
        let size = value.len();
        let mut script = match when {
            When::Always => self.end(format_args!(" {size} T{seconds} c")),
            When::Vacant => self.end(format_args!(" {size} T{seconds} c ME")),
            When::Version(version) => self.end(format_args!(" {size} T{seconds} c C{version}")),
        };
        script.bytes.extend_from_slice(value);
        script.bytes.extend_from_slice(CRLF);
        script
    }

    /// Gives an item of this version a new one, and leaves its value and its ttl alone: an append of nothing.
    /// Replies as [`Script::store`].
    pub(super) fn renew_version(mut self, name: Name<'_>, version: u64) -> Self {
        self.begin(Operation::Store, "ms ", name);
        let mut script = self.end(format_args!(" 0 MA c C{version}"));
        script.bytes.extend_from_slice(CRLF);
        script
    }

    /// Deletes an item, whatever its version. Replies: [`Reply::Done`], [`Reply::Absent`].
    pub(super) fn delete(mut self, name: Name<'_>) -> Self {
        self.begin(Operation::Delete, "md ", name);
        self.end("")
    }

    /// Deletes an item of this version. Replies: [`Reply::Done`], [`Reply::Absent`], [`Reply::Exists`].
    pub(super) fn delete_version(mut self, name: Name<'_>, version: u64) -> Self {
        self.begin(Operation::Delete, "md ", name);
        self.end(format_args!(" C{version}"))
    }

    fn end(mut self, flags: impl fmt::Display) -> Self {
        // Writing into a `Vec` does not fail.
        let _ = write!(self.bytes, "{flags} O{}\r\n", self.number);
        self
    }

    fn begin(&mut self, verb: Operation, command: &str, name: Name<'_>) {
        self.verbs.push(verb);
        self.write(command, name);
    }

    fn write(&mut self, before: &str, name: Name<'_>) {
        for part in [before, name.prefix, name.key, name.suffix] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }
}

impl Name<'_> {
    const fn len(&self) -> usize {
        self.prefix.len() + self.key.len() + self.suffix.len()
    }
}

/// On which condition a value is stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Always,
    Vacant,
    Version(u64),
}

/// What a command may be answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// The values of these keys, each after a space.
    Values(Box<[u8]>),
    Value,
    Version,
    Store,
    Delete,
}

/// What the server answered to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
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
pub(super) enum Parsed<T> {
    /// A whole reply, taken off the buffer.
    Whole(T),
    /// A part of one: the buffer must hold at least so many bytes before it is worth trying again.
    Need(usize),
}

/// Takes the next reply off the buffer, if it is there to its end.
///
/// An error means that we and the server no longer agree on where replies begin: the connection is of no use.
pub(super) fn parse(
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

/// The question that begins every connection; see [`parse_greeting`].
pub(super) const GREETING: &[u8] = b"stats\r\n";

/// Which life of which server this is: what is numbered by versions in one means nothing in another.
///
/// The versions of Memcached count from 1 after every start, so that a lease from before could fit an item from
/// after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u32);

/// Takes the answer to [`GREETING`] off the buffer: `None` if the server does not say when it was started.
pub(super) fn parse_greeting(buffer: &mut BytesMut) -> Result<Parsed<Option<Epoch>>, Error> {
    let (mut pid, mut uptime, mut time) = (None, None, None);
    let mut at = 0;
    loop {
        if at > MAX_GREETING {
            return Err(violation("the statistics of memcached do not end"));
        }
        let Some(line) = first_line(&buffer[at..])? else {
            return Ok(Parsed::Need(buffer.len() + 1));
        };
        at += line.len() + CRLF.len();
        if line == b"END" {
            break;
        }
        let (b"STAT", rest) = split_word(line) else {
            return Err(refusal(line));
        };
        let (name, value) = split_word(rest);
        match name {
            b"pid" => pid = digits(value),
            b"uptime" => uptime = digits(value),
            b"time" => time = digits(value),
            b"version" if !speaks_meta(value) => {
                return Err(violation("memcached 1.6 or newer is needed"));
            }
            _ => {}
        }
    }
    buffer.advance(at);

    let (Some(pid), Some(uptime), Some(time)) = (pid, uptime, time) else {
        return Ok(Parsed::Whole(None));
    };
    // Both follow the same clock of whole seconds, so that their difference stays.
    let started = time.wrapping_sub(uptime);
    let mixed = (started ^ pid.rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Ok(Parsed::Whole(Some(Epoch((mixed >> 32) as u32))))
}

/// The command that makes us known. A server that wants no credentials takes it for a `set`, so that it is one
/// that has expired.
pub(super) fn authenticate(user: &str, password: &str) -> Vec<u8> {
    format!("set auth 0 -1 {}\r\n{user} {password}\r\n", user.len() + 1 + password.len()).into_bytes()
}

/// Takes the answer to [`authenticate`] off the buffer.
pub(super) fn parse_authenticated(buffer: &mut BytesMut) -> Result<Parsed<()>, Error> {
    let Some(line) = first_line(buffer)? else {
        return Ok(Parsed::Need(buffer.len() + 1));
    };
    if line != b"STORED" {
        return Err(refusal(line));
    }
    let end = line.len() + CRLF.len();
    buffer.advance(end);
    Ok(Parsed::Whole(()))
}

/// Seconds that last at least that long, as the server takes them.
///
/// Its clock ticks once in a second, and what is due in `n` ticks is gone after `n - 1` to `n` seconds: one more
/// keeps a promise of `n`, and is at most two seconds too late. What exceeds 30 days would be taken for a date,
/// and so becomes one. What is past the last date that the server knows is cut to 30 days: a cache may always
/// forget earlier.
pub(super) fn seconds(duration: Duration, unix_time: Duration) -> i32 {
    const MONTH: u64 = 60 * 60 * 24 * 30;
    const MONTH_I32: i32 = 60 * 60 * 24 * 30;

    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    let ticks = whole.max(1).saturating_add(1);
    let sent = if ticks <= MONTH { ticks } else { ticks.saturating_add(unix_time.as_secs()) };
    i32::try_from(sent).unwrap_or(MONTH_I32)
}

const CRLF: &[u8] = b"\r\n";

/// A header is a code, a size and a few flags; an error is a short sentence.
const MAX_LINE: usize = 1024;

/// About fifty times what version 1.6 says.
const MAX_GREETING: usize = 128 * 1024;

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

/// The first line without its end, if it is there to its end.
fn first_line(buffer: &[u8]) -> Result<Option<&[u8]>, Error> {
    let window = &buffer[..buffer.len().min(MAX_LINE)];
    match memchr::memchr(b'\n', window) {
        Some(0) => Err(violation("a line of memcached ends without a carriage return")),
        Some(at) if window[at - 1] != b'\r' => {
            Err(violation("a line of memcached ends without a carriage return"))
        }
        Some(at) => Ok(Some(&buffer[..at - 1])),
        None if window.len() == MAX_LINE => Err(violation("a line of memcached does not end")),
        None => Ok(None),
    }
}

fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
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

/// Digits only: no sign, no space, no overflow.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a version, such as `1.6.18`, is one that has the meta protocol as it is today. One that can not be
/// read belongs to something else that may well speak it.
fn speaks_meta(version: &[u8]) -> bool {
    let mut parts = version.split(|&b| b == b'.').map(digits);
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= (1, 6),
        _ => true,
    }
}

/// What is in the way, though we and the server agree on where replies begin.
fn server_error(reason: &[u8]) -> Reply {
    if reason.starts_with(b"object too large") { Reply::TooLarge } else { Reply::Refused }
}

/// A line that is no answer to what was asked.
fn refusal(line: &[u8]) -> Error {
    if line.starts_with(b"CLIENT_ERROR unauthenticated") || line.starts_with(b"CLIENT_ERROR authentication") {
        return Error::new(ErrorKind::Rejected, "memcached wants other credentials");
    }
    violation("the answer is not one that memcached gives")
}

fn violation(what: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}

#[cfg(test)]
mod tests;
