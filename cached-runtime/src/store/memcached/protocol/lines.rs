//! The lines of the protocol.

use crate::{Error, ErrorKind};

pub(super) const CRLF: &[u8] = b"\r\n";

/// The maximum length of a line: a header is a code, a size and a few flags; an error is a short sentence.
pub(super) const MAX_LINE_BYTES: usize = 1024;

/// Returns the first line without its CRLF; `None` if it is not complete.
pub(super) fn first_line(buffer: &[u8]) -> Result<Option<&[u8]>, Error> {
    let window = &buffer[..buffer.len().min(MAX_LINE_BYTES)];
    match memchr::memchr(b'\n', window) {
        Some(0) => Err(violation("a line of memcached ends without a carriage return")),
        Some(at) if window[at - 1] != b'\r' => {
            Err(violation("a line of memcached ends without a carriage return"))
        }
        Some(at) => Ok(Some(&buffer[..at - 1])),
        None if window.len() == MAX_LINE_BYTES => Err(violation("a line of memcached is too long")),
        None => Ok(None),
    }
}

/// Splits a line at its first space.
pub(super) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

/// Parses a number of digits only: without sign, space or overflow.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Returns the error for a line that is no reply to the command.
pub(super) fn unexpected_line(line: &[u8]) -> Error {
    if line.starts_with(b"CLIENT_ERROR unauthenticated") || line.starts_with(b"CLIENT_ERROR authentication") {
        return Error::new(ErrorKind::Rejected, "memcached rejected the credentials");
    }
    violation("the reply is not one of memcached")
}

pub(super) fn violation(what: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}
