//! Where a reply of Redis or Memcached ends.

/// Returns the length of the first reply in these bytes, if it is complete and not a push of Redis.
pub(crate) fn first_reply(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'>' => None,
        b'A'..=b'Z' => of_memcached(bytes),
        _ => of_redis(bytes),
    }
}

/// A reply in RESP2 or RESP3.
fn of_redis(bytes: &[u8]) -> Option<usize> {
    let end = end_of_line(bytes)?;
    let number = || std::str::from_utf8(&bytes[1..end - 2]).ok()?.parse::<i64>().ok();
    // A negative number is nil.
    let size = || number().map(|number| usize::try_from(number).ok());
    let elements = |count: usize| (0..count).try_fold(end, |at, _| Some(at + of_redis(bytes.get(at..)?)?));
    let length = match bytes[0] {
        b'$' | b'=' | b'!' => size()?.map_or(end, |size| end + size + 2),
        b'*' | b'~' => elements(size()?.unwrap_or(0))?,
        b'%' => elements(2 * size()?.unwrap_or(0))?,
        _ => end,
    };
    (length <= bytes.len()).then_some(length)
}

/// A reply to a `get`, which ends with a line of its own, or to a meta command.
fn of_memcached(bytes: &[u8]) -> Option<usize> {
    let end = end_of_line(bytes)?;
    let mut words = bytes[..end - 2].split(|byte| *byte == b' ');
    let code = words.next()?;
    let size = |word: Option<&[u8]>| std::str::from_utf8(word?).ok()?.parse::<usize>().ok();
    let length = match code {
        b"VALUE" => {
            let next = end + size(words.nth(2))? + 2;
            next + of_memcached(bytes.get(next..)?)?
        }
        b"VA" => end + size(words.next())? + 2,
        _ => end,
    };
    (length <= bytes.len()).then_some(length)
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|two| two == b"\r\n").map(|at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_end_where_the_protocols_say() {
        for reply in [
            "+OK\r\n",
            ":1\r\n",
            "_\r\n",
            "$-1\r\n",
            "$3\r\na\r\n\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n_\r\n",
            "%1\r\n+a\r\n:1\r\n",
            "END\r\n",
            "VALUE a 0 2\r\n\r\n\r\nVALUE b 0 1\r\nx\r\nEND\r\n",
            "VA 2 c1 O1\r\nab\r\n",
            "HD O1\r\n",
        ] {
            let two = [reply, reply].concat();
            assert_eq!(first_reply(two.as_bytes()), Some(reply.len()), "{reply:?}");
            assert_eq!(first_reply(&reply.as_bytes()[..reply.len() - 1]), None, "{reply:?}");
        }
        assert_eq!(first_reply(b">1\r\n+a\r\n"), None);
    }
}
