//! The commands of the handshake.

use bytes::{Buf as _, BytesMut};

use super::lines::{CRLF, digits, first_line, split_word, unexpected_line, violation};
use super::replies::Parsed;
use crate::Error;

/// The command that asks for the statistics of the server; see [`parse_stats`].
pub(crate) const STATS: &[u8] = b"stats\r\n";

/// Identifies one run of one server. Versions are comparable only within an epoch.
///
/// The versions of Memcached count from 1 after every start, so that a lease from an earlier epoch could
/// match a later item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) u32);

/// Takes the reply to [`STATS`] from the buffer. Returns `None` as the epoch if the server does not say when
/// it was started.
pub(crate) fn parse_stats(buffer: &mut BytesMut) -> Result<Parsed<Option<Epoch>>, Error> {
    let (mut pid, mut uptime, mut time) = (None, None, None);
    let mut at = 0;
    loop {
        if at > MAX_STATS_BYTES {
            return Err(violation("the statistics of memcached are too long"));
        }
        let Some(line) = first_line(&buffer[at..])? else {
            return Ok(Parsed::Need(buffer.len() + 1));
        };
        at += line.len() + CRLF.len();
        if line == b"END" {
            break;
        }
        let (b"STAT", rest) = split_word(line) else {
            return Err(unexpected_line(line));
        };
        let (name, value) = split_word(rest);
        match name {
            b"pid" => pid = digits(value),
            b"uptime" => uptime = digits(value),
            b"time" => time = digits(value),
            b"version" if !has_meta_protocol(value) => {
                return Err(violation("memcached is older than 1.6"));
            }
            _ => {}
        }
    }
    buffer.advance(at);

    let (Some(pid), Some(uptime), Some(time)) = (pid, uptime, time) else {
        return Ok(Parsed::Complete(None));
    };
    // Both count seconds of the same clock, so their difference is constant.
    let started = time.wrapping_sub(uptime);
    let mixed = (started ^ pid.rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Ok(Parsed::Complete(Some(Epoch((mixed >> 32) as u32))))
}

/// Returns the command that authenticates the client. A server without authentication takes it for a `set`,
/// so its expiration time is in the past.
pub(crate) fn authenticate(user: &str, password: &str) -> Vec<u8> {
    format!("set auth 0 -1 {}\r\n{user} {password}\r\n", user.len() + 1 + password.len()).into_bytes()
}

/// Takes the reply to [`authenticate`] from the buffer.
pub(crate) fn parse_authentication(buffer: &mut BytesMut) -> Result<Parsed<()>, Error> {
    let Some(line) = first_line(buffer)? else {
        return Ok(Parsed::Need(buffer.len() + 1));
    };
    if line != b"STORED" {
        return Err(unexpected_line(line));
    }
    let end = line.len() + CRLF.len();
    buffer.advance(end);
    Ok(Parsed::Complete(()))
}

/// The maximum size of the statistics: about fifty times those of version 1.6.
const MAX_STATS_BYTES: usize = 128 * 1024;

/// Returns `true` if a version, such as `1.6.18`, has the current meta protocol. An unknown format is
/// accepted, because another server may implement the protocol.
fn has_meta_protocol(version: &[u8]) -> bool {
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
    fn epoch_differs_for_each_run_of_a_server() {
        let stats = |pid: u32, uptime: u32, time: u32| {
            format!(
                "STAT pid {pid}\r\nSTAT uptime {uptime}\r\nSTAT time {time}\r\nSTAT version 1.6.18\r\nEND\r\n"
            )
        };
        let epoch = |text: String| match parse_stats(&mut BytesMut::from(text.as_bytes())) {
            Ok(Parsed::Complete(epoch)) => epoch,
            other => panic!("{other:?}"),
        };
        let first = epoch(stats(7, 10, 1_700_000_010));
        assert!(first.is_some());
        assert_eq!(first, epoch(stats(7, 60, 1_700_000_060)));
        assert_ne!(first, epoch(stats(8, 10, 1_700_000_010)));
        assert_ne!(first, epoch(stats(7, 9, 1_700_000_010)));
        assert_eq!(epoch("STAT pid 1\r\nEND\r\n".to_owned()), None);

        let whole = stats(7, 10, 1_700_000_010);
        for cut in 0..whole.len() {
            let part = parse_stats(&mut BytesMut::from(&whole.as_bytes()[..cut]));
            assert!(matches!(part, Ok(Parsed::Need(_))), "cut at {cut}");
        }
    }

    #[test]
    fn authentication_matches_the_specification() {
        assert_eq!(authenticate("u", "pw"), b"set auth 0 -1 4\r\nu pw\r\n");
    }

    #[test]
    fn unsupported_server_is_an_error() {
        let kind = |text: &str| parse_stats(&mut BytesMut::from(text.as_bytes())).unwrap_err().kind();
        assert_eq!(kind("CLIENT_ERROR unauthenticated\r\n"), ErrorKind::Rejected);
        assert_eq!(kind("STAT version 1.5.22\r\n"), ErrorKind::Protocol);
        assert_eq!(kind("-ERR unknown command\r\n"), ErrorKind::Protocol);
        assert_eq!(kind(&"STAT a b\r\n".repeat(MAX_STATS_BYTES)), ErrorKind::Protocol);

        let refused =
            parse_authentication(&mut BytesMut::from(&b"CLIENT_ERROR authentication failure\r\n"[..]));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    }
}
