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
    pub(super) verbs: Vec<Verb>,
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
        self.verbs.push(Verb::Values(self.bytes[start..].into()));
        self.bytes.extend_from_slice(CRLF);
        self
    }

    /// The value and its version. Replies: [`Reply::Item`], [`Reply::Miss`].
    pub(super) fn read_with_version(mut self, name: Name<'_>) -> Self {
        self.begin(Verb::Value, "mg ", name);
        self.end(" v c")
    }

    /// The value and its version; if there is none, an empty one for so many seconds, which is a `won` item.
    /// Reply: [`Reply::Item`].
    pub(super) fn read_or_reserve(mut self, name: Name<'_>, seconds: i32) -> Self {
        self.begin(Verb::Value, "mg ", name);
        self.end(format_args!(" v c N{seconds}"))
    }

    /// The version. Replies: [`Reply::Done`], [`Reply::Miss`].
    pub(super) fn read_version(mut self, name: Name<'_>) -> Self {
        self.begin(Verb::Version, "mg ", name);
        self.end(" c")
    }

    /// Gives what is there so many seconds from now, and answers as [`Script::read_version`]. The version stays.
    pub(super) fn touch(mut self, name: Name<'_>, seconds: i32) -> Self {
        self.begin(Verb::Version, "mg ", name);
        self.end(format_args!(" c T{seconds}"))
    }

    /// Stores a value. Replies: [`Reply::Done`] with the new version, [`Reply::Exists`], [`Reply::Absent`],
    /// [`Reply::NotStored`].
    pub(super) fn store(mut self, name: Name<'_>, value: &[u8], seconds: i32, when: When) -> Self {
        self.bytes.reserve(name.len() + value.len() + 64);
        self.begin(Verb::Store, "ms ", name);
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
        self.begin(Verb::Store, "ms ", name);
        let mut script = self.end(format_args!(" 0 MA c C{version}"));
        script.bytes.extend_from_slice(CRLF);
        script
    }

    /// Deletes an item, whatever its version. Replies: [`Reply::Done`], [`Reply::Absent`].
    pub(super) fn delete(mut self, name: Name<'_>) -> Self {
        self.begin(Verb::Delete, "md ", name);
        self.end("")
    }

    /// Deletes an item of this version. Replies: [`Reply::Done`], [`Reply::Absent`], [`Reply::Exists`].
    pub(super) fn delete_version(mut self, name: Name<'_>, version: u64) -> Self {
        self.begin(Verb::Delete, "md ", name);
        self.end(format_args!(" C{version}"))
    }

    fn end(mut self, flags: impl fmt::Display) -> Self {
        // Writing into a `Vec` does not fail.
        let _ = write!(self.bytes, "{flags} O{}\r\n", self.number);
        self
    }

    fn begin(&mut self, verb: Verb, command: &str, name: Name<'_>) {
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
pub(super) enum Verb {
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
    verb: &Verb,
    number: u32,
    max_value: usize,
) -> Result<Parsed<Reply>, Error> {
    if let Verb::Values(keys) = verb {
        return parse_values(buffer, keys, max_value);
    }
    let Some(line) = first_line(buffer)? else {
        return Ok(Parsed::Need(buffer.len() + 1));
    };
    let end = line.len() + CRLF.len();
    let (code, rest) = split_word(line);

    let reply = match (verb, code) {
        (Verb::Value, b"VA") => {
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
        (Verb::Value | Verb::Version, b"EN") if rest.is_empty() => Reply::Miss,
        (Verb::Value | Verb::Version, b"EN") => flags_of(rest, number).map(|_| Reply::Miss)?,
        (Verb::Version | Verb::Store | Verb::Delete, b"HD") => {
            Reply::Done { version: flags_of(rest, number)?.version }
        }
        (Verb::Store | Verb::Delete, b"EX") => flags_of(rest, number).map(|_| Reply::Exists)?,
        (Verb::Store | Verb::Delete, b"NF") => flags_of(rest, number).map(|_| Reply::Absent)?,
        (Verb::Store, b"NS") => flags_of(rest, number).map(|_| Reply::NotStored)?,
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
        return Error::new(ErrorKind::Refused, "memcached wants other credentials");
    }
    violation("the answer is not one that memcached gives")
}

fn violation(what: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 10_000;
    const NUMBER: u32 = 70;

    const NAME: Name<'static> = Name { prefix: "p:", key: "k", suffix: ".l" };

    fn all(stream: &[u8], verbs: &[Verb]) -> Vec<Reply> {
        let mut buffer = BytesMut::from(stream);
        let replies = verbs
            .iter()
            .map(|verb| match parse(&mut buffer, verb, NUMBER, MAX) {
                Ok(Parsed::Whole(reply)) => reply,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(buffer.is_empty());
        replies
    }

    fn three() -> Verb {
        Verb::Values(b" a b c"[..].into())
    }

    fn item(value: &'static [u8], version: u64, won: bool) -> Reply {
        Reply::Item { value: Bytes::from_static(value), version, won }
    }

    /// Every reply of the server, large and small values, and values that look like replies.
    fn conversation() -> (Vec<u8>, Vec<Verb>, Vec<Reply>) {
        let large = vec![b'\n'; COPIED + 1];
        let mut stream = Vec::new();
        let (mut verbs, mut replies) = (Vec::new(), Vec::new());
        let mut say = |bytes: &[u8], verb, reply| {
            stream.extend_from_slice(bytes);
            verbs.push(verb);
            replies.push(reply);
        };
        say(b"VA 2 c7 O70\r\nhi\r\n", Verb::Value, item(b"hi", 7, false));
        say(b"VA 0 c18446744073709551615 O70 W\r\n\r\n", Verb::Value, item(b"", u64::MAX, true));
        say(b"VA 0 s0 O70 Z c4\r\n\r\n", Verb::Value, item(b"", 4, false));
        say(b"VA 9 O70\r\nEN\r\nVA 1\r\r\n", Verb::Value, item(b"EN\r\nVA 1\r", 0, false));
        say(b"EN\r\n", Verb::Value, Reply::Miss);
        say(b"EN O70\r\n", Verb::Version, Reply::Miss);
        say(b"HD c12 O70 Z\r\n", Verb::Version, Reply::Done { version: 12 });
        say(b"HD O70\r\n", Verb::Delete, Reply::Done { version: 0 });
        say(b"HD c9 O70\r\n", Verb::Store, Reply::Done { version: 9 });
        say(b"EX c0 O70\r\n", Verb::Store, Reply::Exists);
        say(b"NF O70\r\n", Verb::Delete, Reply::Absent);
        say(b"NS c0 O70\r\n", Verb::Store, Reply::NotStored);
        say(b"SERVER_ERROR object too large for cache\r\n", Verb::Store, Reply::TooLarge);
        say(b"SERVER_ERROR out of memory storing object\r\n", Verb::Store, Reply::Refused);
        let mut bytes = format!("VA {} c5 O70\r\n", large.len()).into_bytes();
        bytes.extend_from_slice(&large);
        bytes.extend_from_slice(b"\r\n");
        say(&bytes, Verb::Value, Reply::Item { value: large.into(), version: 5, won: false });
        say(b"VA 1 O70\r\nx\r\n", Verb::Value, item(b"x", 0, false));

        let value = |text: &[u8]| Some(Bytes::copy_from_slice(text));
        say(b"END\r\n", three(), Reply::Values(vec![None, None, None]));
        say(b"VALUE b 0 0\r\n\r\nEND\r\n", three(), Reply::Values(vec![None, value(b""), None]));
        say(
            b"VALUE a 0 5\r\nEND\r\n\r\nVALUE c 32 2\r\nhi\r\nEND\r\n",
            three(),
            Reply::Values(vec![value(b"END\r\n"), None, value(b"hi")]),
        );
        let large = vec![b'E'; COPIED + 1];
        let mut bytes = format!("VALUE a 0 1\r\nx\r\nVALUE b 0 {}\r\n", large.len()).into_bytes();
        bytes.extend_from_slice(&large);
        bytes.extend_from_slice(b"\r\nVALUE c 0 1\r\ny\r\nEND\r\n");
        say(&bytes, three(), Reply::Values(vec![value(b"x"), value(&large), value(b"y")]));
        say(b"SERVER_ERROR out of memory writing get response\r\n", three(), Reply::Refused);
        say(b"END\r\n", three(), Reply::Values(vec![None, None, None]));
        (stream, verbs, replies)
    }

    #[test]
    fn replies_are_understood() {
        let (stream, verbs, replies) = conversation();
        assert_eq!(all(&stream, &verbs), replies);
    }

    #[test]
    fn it_does_not_matter_where_the_network_splits_replies() {
        let (stream, verbs, replies) = conversation();
        for piece in (1..40).chain([COPIED, COPIED + 1, stream.len() - 1]) {
            let mut buffer = BytesMut::new();
            let (mut got, mut need) = (Vec::new(), 0);
            for chunk in stream.chunks(piece) {
                buffer.extend_from_slice(chunk);
                while got.len() < verbs.len() && buffer.len() >= need {
                    match parse(&mut buffer, &verbs[got.len()], NUMBER, MAX).unwrap() {
                        Parsed::Whole(reply) => (got.push(reply), need = 0).1,
                        Parsed::Need(more) => {
                            assert!(more > buffer.len(), "never asks for what it has");
                            need = more;
                        }
                    }
                }
            }
            assert_eq!(got, replies, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_reply_that_is_cut_off_anywhere_is_neither_an_answer_nor_an_error() {
        let (stream, verbs, replies) = conversation();
        let mut start = 0;
        for (verb, reply) in verbs.iter().zip(&replies) {
            let mut rest = BytesMut::from(&stream[start..]);
            assert!(
                matches!(parse(&mut rest, verb, NUMBER, MAX), Ok(Parsed::Whole(whole)) if whole == *reply)
            );
            let end = stream.len() - rest.len();
            for cut in start..end {
                let mut part = BytesMut::from(&stream[start..cut]);
                assert!(matches!(parse(&mut part, verb, NUMBER, MAX), Ok(Parsed::Need(_))), "cut at {cut}");
                assert_eq!(part.len(), cut - start, "nothing is taken off");
            }
            start = end;
        }
    }

    #[test]
    fn hostile_replies_are_errors_and_cost_nothing() {
        let endless = vec![b'A'; MAX_LINE];
        for stream in [
            &b"VA 18446744073709551615 O70\r\n"[..],
            b"VA 18446744073709551616 O70\r\n",
            b"VA 99999999999999999999999999 O70\r\n",
            b"VA 1073741824 O70\r\n",
            b"VA 26385 O70\r\n",
            b"VA -1 O70\r\n",
            b"VA 1\r\nx\r\n",
            b"VA 1 O71\r\nx\r\n",
            b"VA 1 O\r\nx\r\n",
            b"EN O7\r\n",
            b"VA +1 O70\r\n\r\n",
            b"VA\r\n",
            b"VA  1 O70\r\nx\r\n",
            b"VA 0x1 O70\r\nx\r\n",
            b"VA 1 c-1 O70\r\nx\r\n",
            b"VA 1 c18446744073709551616 O70\r\nx\r\n",
            b"VA 1 O70\r\nxyz",
            b"VA 1 O70\nx\n",
            b"\n",
            b"\r\n",
            b"HD O70\r\n",
            b"NS O70\r\n",
            b"VAL 1 O70\r\nx\r\n",
            b"ERROR\r\n",
            b"CLIENT_ERROR bad command line format\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"-ERR unknown command 'mg'\r\n",
            b"\0\0\0\0\n",
            &endless,
        ] {
            let mut buffer = BytesMut::from(stream);
            let capacity = buffer.capacity();
            let error =
                parse(&mut buffer, &Verb::Value, NUMBER, MAX).expect_err(&String::from_utf8_lossy(stream));
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert_eq!(buffer.capacity(), capacity);
        }
    }

    #[test]
    fn hostile_values_are_errors_and_cost_nothing() {
        for stream in [
            &b"VALUE a 0 18446744073709551616\r\n"[..],
            b"VALUE a 0 26385\r\n",
            b"VALUE a 0 -1\r\n",
            b"VALUE a 0\r\n\r\n",
            b"VALUE a 0 1 7\r\nx\r\n",
            b"VALUE a 0 1\r\nxyz",
            b"VALUE d 0 1\r\nx\r\nEND\r\n",
            b"VALUE  0 1\r\nx\r\nEND\r\n",
            b"VALUE b 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
            b"VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
            b"VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n",
            b"EN\r\n",
            b"END \r\r\n",
            b"VA 1 O70\r\nx\r\n",
            b"ERROR\r\n",
        ] {
            let mut buffer = BytesMut::from(stream);
            let capacity = buffer.capacity();
            let error = parse(&mut buffer, &three(), NUMBER, MAX)
                .map(|parsed| format!("{parsed:?} of {}", String::from_utf8_lossy(stream)))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert_eq!(buffer.capacity(), capacity);
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        let words = [
            &b"VA "[..],
            b"HD",
            b"EN",
            b" c",
            b"\r\n",
            b"\n",
            b"0",
            b"7",
            b"-",
            b"STAT pid ",
            b"END",
            b"VALUE b 0 ",
            b"\xff",
        ];
        for _ in 0..20_000 {
            let stream: Vec<u8> =
                (0..next() % 9).flat_map(|_| words[next() % words.len()].to_vec()).collect();
            for verb in [three(), Verb::Value, Verb::Version, Verb::Store, Verb::Delete] {
                let mut buffer = BytesMut::from(&stream[..]);
                while let Ok(Parsed::Whole(_)) = parse(&mut buffer, &verb, NUMBER, MAX) {}
            }
            let _ = parse_greeting(&mut BytesMut::from(&stream[..]));
            let _ = parse_authenticated(&mut BytesMut::from(&stream[..]));
        }
    }

    #[test]
    fn a_small_value_does_not_keep_the_buffer() {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        buffer.extend_from_slice(b"VA 2 O70\r\nhi\r\n");
        let start = buffer.as_ptr();
        let Ok(Parsed::Whole(Reply::Item { value, .. })) = parse(&mut buffer, &Verb::Value, NUMBER, MAX)
        else {
            panic!("no value");
        };
        assert!(!(start as usize..start as usize + 64 * 1024).contains(&(value.as_ptr() as usize)));
    }

    #[test]
    fn the_greeting_tells_one_life_of_a_server_from_the_next() {
        let greeting = |pid: u32, uptime: u32, time: u32| {
            format!(
                "STAT pid {pid}\r\nSTAT uptime {uptime}\r\nSTAT time {time}\r\nSTAT version 1.6.18\r\nEND\r\n"
            )
        };
        let epoch = |text: String| match parse_greeting(&mut BytesMut::from(text.as_bytes())) {
            Ok(Parsed::Whole(epoch)) => epoch,
            other => panic!("{other:?}"),
        };
        let first = epoch(greeting(7, 10, 1_700_000_010));
        assert!(first.is_some());
        assert_eq!(first, epoch(greeting(7, 60, 1_700_000_060)));
        assert_ne!(first, epoch(greeting(8, 10, 1_700_000_010)));
        assert_ne!(first, epoch(greeting(7, 9, 1_700_000_010)));
        assert_eq!(epoch("STAT pid 1\r\nEND\r\n".to_owned()), None);

        let whole = greeting(7, 10, 1_700_000_010);
        for cut in 0..whole.len() {
            let part = parse_greeting(&mut BytesMut::from(&whole.as_bytes()[..cut]));
            assert!(matches!(part, Ok(Parsed::Need(_))), "cut at {cut}");
        }
    }

    #[test]
    fn a_server_that_will_not_do_is_told_apart() {
        let kind = |text: &str| parse_greeting(&mut BytesMut::from(text.as_bytes())).unwrap_err().kind();
        assert_eq!(kind("CLIENT_ERROR unauthenticated\r\n"), ErrorKind::Refused);
        assert_eq!(kind("STAT version 1.5.22\r\n"), ErrorKind::Protocol);
        assert_eq!(kind("-ERR unknown command\r\n"), ErrorKind::Protocol);
        assert_eq!(kind(&"STAT a b\r\n".repeat(MAX_GREETING)), ErrorKind::Protocol);

        let refused =
            parse_authenticated(&mut BytesMut::from(&b"CLIENT_ERROR authentication failure\r\n"[..]));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Refused);
    }

    #[test]
    fn commands_are_as_documented() {
        let script = Script::numbered(8)
            .read([NAME, Name { suffix: "", ..NAME }])
            .read_with_version(NAME)
            .read_or_reserve(NAME, 9)
            .read_version(NAME)
            .touch(NAME, 9)
            .store(NAME, b"hi", 0, When::Always)
            .store(NAME, b"hi", 1, When::Vacant)
            .store(NAME, b"\r\n", 2, When::Version(3))
            .renew_version(NAME, 3)
            .delete(NAME)
            .delete_version(NAME, 3);
        assert_eq!(
            String::from_utf8(script.bytes).unwrap(),
            "get p:k.l p:k\r\nmg p:k.l v c O8\r\nmg p:k.l v c N9 O8\r\nmg p:k.l c O8\r\nmg p:k.l c T9 O8\r\n\
             ms p:k.l 2 T0 c O8\r\nhi\r\nms p:k.l 2 T1 c ME O8\r\nhi\r\nms p:k.l 2 T2 c C3 O8\r\n\r\n\r\n\
             ms p:k.l 0 MA c C3 O8\r\n\r\nmd p:k.l O8\r\nmd p:k.l C3 O8\r\n"
        );
        assert_eq!(script.verbs.len(), 11);
        assert_eq!(authenticate("u", "pw"), b"set auth 0 -1 4\r\nu pw\r\n");
    }

    #[test]
    fn a_ttl_is_never_shorter_than_asked_and_never_a_date_by_mistake() {
        let now = Duration::from_secs(1_800_000_000);
        let month = 60 * 60 * 24 * 30;
        for (asked, sent) in [
            (Duration::ZERO, 2),
            (Duration::from_nanos(1), 2),
            (Duration::from_secs(1), 2),
            (Duration::from_millis(1001), 3),
            (Duration::from_secs(month - 1), 2_592_000),
            (Duration::from_secs(month), 1_802_592_001),
            (Duration::from_secs(60 * month), 1_955_520_001),
            (Duration::MAX, 2_592_000),
        ] {
            assert_eq!(seconds(asked, now), sent, "{asked:?}");
        }
    }
}
