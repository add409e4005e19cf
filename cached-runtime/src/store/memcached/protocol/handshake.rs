//! What a connection begins with.

use bytes::{Buf as _, BytesMut};

use super::lines::{CRLF, digits, first_line, refusal, split_word, violation};
use super::replies::Parsed;
use crate::Error;

/// The question that begins every connection; see [`parse_greeting`].
pub(in crate::store::memcached) const GREETING: &[u8] = b"stats\r\n";

/// Which life of which server this is: what is numbered by versions in one means nothing in another.
///
/// The versions of Memcached count from 1 after every start, so that a lease from before could fit an item from
/// after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::memcached) struct Epoch(pub(in crate::store::memcached) u32);

/// Takes the answer to [`GREETING`] off the buffer: `None` if the server does not say when it was started.
pub(in crate::store::memcached) fn parse_greeting(
    buffer: &mut BytesMut,
) -> Result<Parsed<Option<Epoch>>, Error> {
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
pub(in crate::store::memcached) fn authenticate(user: &str, password: &str) -> Vec<u8> {
    format!("set auth 0 -1 {}\r\n{user} {password}\r\n", user.len() + 1 + password.len()).into_bytes()
}

/// Takes the answer to [`authenticate`] off the buffer.
pub(in crate::store::memcached) fn parse_authenticated(buffer: &mut BytesMut) -> Result<Parsed<()>, Error> {
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

/// About fifty times what version 1.6 says.
const MAX_GREETING: usize = 128 * 1024;

/// Whether a version, such as `1.6.18`, is one that has the meta protocol as it is today. One that can not be
/// read belongs to something else that may well speak it.
fn speaks_meta(version: &[u8]) -> bool {
    let mut parts = version.split(|&b| b == b'.').map(digits);
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= (1, 6),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

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
    fn authentication_is_as_documented() {
        assert_eq!(authenticate("u", "pw"), b"set auth 0 -1 4\r\nu pw\r\n");
    }

    #[test]
    fn a_server_that_will_not_do_is_told_apart() {
        let kind = |text: &str| parse_greeting(&mut BytesMut::from(text.as_bytes())).unwrap_err().kind();
        assert_eq!(kind("CLIENT_ERROR unauthenticated\r\n"), ErrorKind::Rejected);
        assert_eq!(kind("STAT version 1.5.22\r\n"), ErrorKind::Protocol);
        assert_eq!(kind("-ERR unknown command\r\n"), ErrorKind::Protocol);
        assert_eq!(kind(&"STAT a b\r\n".repeat(MAX_GREETING)), ErrorKind::Protocol);

        let refused =
            parse_authenticated(&mut BytesMut::from(&b"CLIENT_ERROR authentication failure\r\n"[..]));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    }
}
