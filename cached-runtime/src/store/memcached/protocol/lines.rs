//! The lines that replies consist of.

use crate::{Error, ErrorKind};

pub(super) const CRLF: &[u8] = b"\r\n";

/// A header is a code, a size and a few flags; an error is a short sentence.
pub(super) const MAX_LINE: usize = 1024;

/// The first line without its end, if it is there to its end.
pub(super) fn first_line(buffer: &[u8]) -> Result<Option<&[u8]>, Error> {
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

pub(super) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

/// Digits only: no sign, no space, no overflow.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A line that is no answer to what was asked.
pub(super) fn refusal(line: &[u8]) -> Error {
    if line.starts_with(b"CLIENT_ERROR unauthenticated") || line.starts_with(b"CLIENT_ERROR authentication") {
        return Error::new(ErrorKind::Rejected, "memcached wants other credentials");
    }
    violation("the answer is not one that memcached gives")
}

pub(super) fn violation(what: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}
