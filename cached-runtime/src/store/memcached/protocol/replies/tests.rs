use super::super::handshake::{parse_authentication, parse_stats};
use super::super::lines::MAX_LINE_BYTES;
use super::*;
use crate::ErrorKind;

const MAX_VALUE: usize = 10_000;
const NUMBER: u32 = 70;

fn all(stream: &[u8], commands: &[Command]) -> Vec<Reply> {
    let mut buffer = BytesMut::from(stream);
    let replies = commands
        .iter()
        .map(|command| match parse(&mut buffer, command, NUMBER, MAX_VALUE) {
            Ok(Parsed::Complete(reply)) => reply,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(buffer.is_empty());
    replies
}

fn three() -> Command {
    Command::Values(b" a b c"[..].into())
}

fn item(value: &'static [u8], version: u64, kind: ItemKind) -> Reply {
    Reply::Item { value: Bytes::from_static(value), version, kind }
}

/// Returns a stream with every reply, large and small values, and values that look like replies.
fn conversation() -> (Vec<u8>, Vec<Command>, Vec<Reply>) {
    let large = vec![b'\n'; MAX_COPIED_BYTES + 1];
    let mut stream = Vec::new();
    let (mut commands, mut replies) = (Vec::new(), Vec::new());
    let mut say = |bytes: &[u8], command, reply| {
        stream.extend_from_slice(bytes);
        commands.push(command);
        replies.push(reply);
    };
    say(b"VA 2 c7 O70\r\nhi\r\n", Command::Value, item(b"hi", 7, ItemKind::Value));
    let reservation = ItemKind::Reservation;
    say(
        b"VA 1 c18446744073709551615 f3401903361 O70\r\n-\r\n",
        Command::Value,
        item(b"-", u64::MAX, reservation),
    );
    say(b"VA 0 c1 f7 O70 W\r\n\r\n", Command::Value, item(b"", 1, ItemKind::Value));
    say(b"VA 0 s0 O70 Z c4\r\n\r\n", Command::Value, item(b"", 4, ItemKind::Value));
    say(b"VA 9 O70\r\nEN\r\nVA 1\r\r\n", Command::Value, item(b"EN\r\nVA 1\r", 0, ItemKind::Value));
    say(b"EN\r\n", Command::Value, Reply::Miss);
    say(b"EN O70\r\n", Command::Header, Reply::Miss);
    let header = |size, version, kind| Reply::Header { size, version, kind };
    say(b"HD s900 c12 f0 O70 Z\r\n", Command::Header, header(900, 12, ItemKind::Value));
    say(b"HD f3401903361 s33 c2 O70\r\n", Command::Header, header(33, 2, reservation));
    say(b"HD O70\r\n", Command::Delete, Reply::Done { version: 0 });
    say(b"HD c9 O70\r\n", Command::Store, Reply::Done { version: 9 });
    say(b"EX c0 O70\r\n", Command::Store, Reply::Exists);
    say(b"NF O70\r\n", Command::Delete, Reply::NotFound);
    say(b"NS c0 O70\r\n", Command::Store, Reply::NotStored);
    say(b"SERVER_ERROR object too large for cache\r\n", Command::Store, Reply::TooLarge);
    say(b"SERVER_ERROR out of memory storing object\r\n", Command::Store, Reply::ServerError);
    let mut bytes = format!("VA {} c5 O70\r\n", large.len()).into_bytes();
    bytes.extend_from_slice(&large);
    bytes.extend_from_slice(b"\r\n");
    say(&bytes, Command::Value, Reply::Item { value: large.into(), version: 5, kind: ItemKind::Value });
    say(b"VA 1 O70\r\nx\r\n", Command::Value, item(b"x", 0, ItemKind::Value));

    let value = |text: &[u8]| Some(Bytes::copy_from_slice(text));
    say(b"END\r\n", three(), Reply::Values(vec![None, None, None]));
    say(b"VALUE b 0 0\r\n\r\nEND\r\n", three(), Reply::Values(vec![None, value(b""), None]));
    say(
        b"VALUE a 3401903361 1\r\n-\r\nVALUE b 3401903360 1\r\n-\r\nEND\r\n",
        three(),
        Reply::Values(vec![None, value(b"-"), None]),
    );
    say(
        b"VALUE a 0 5\r\nEND\r\n\r\nVALUE c 32 2\r\nhi\r\nEND\r\n",
        three(),
        Reply::Values(vec![value(b"END\r\n"), None, value(b"hi")]),
    );
    let large = vec![b'E'; MAX_COPIED_BYTES + 1];
    let mut bytes = format!("VALUE a 0 1\r\nx\r\nVALUE b 0 {}\r\n", large.len()).into_bytes();
    bytes.extend_from_slice(&large);
    bytes.extend_from_slice(b"\r\nVALUE c 0 1\r\ny\r\nEND\r\n");
    say(&bytes, three(), Reply::Values(vec![value(b"x"), value(&large), value(b"y")]));
    say(b"SERVER_ERROR out of memory writing get response\r\n", three(), Reply::ServerError);
    say(b"END\r\n", three(), Reply::Values(vec![None, None, None]));
    (stream, commands, replies)
}

#[test]
fn replies_are_parsed() {
    let (stream, commands, replies) = conversation();
    assert_eq!(all(&stream, &commands), replies);
}

#[test]
fn replies_can_be_split_anywhere() {
    let (stream, commands, replies) = conversation();
    for piece in (1..40).chain([MAX_COPIED_BYTES, MAX_COPIED_BYTES + 1, stream.len() - 1]) {
        let mut buffer = BytesMut::new();
        let (mut got, mut need) = (Vec::new(), 0);
        for chunk in stream.chunks(piece) {
            buffer.extend_from_slice(chunk);
            while got.len() < commands.len() && buffer.len() >= need {
                match parse(&mut buffer, &commands[got.len()], NUMBER, MAX_VALUE).unwrap() {
                    Parsed::Complete(reply) => (got.push(reply), need = 0).1,
                    Parsed::Need(more) => {
                        assert!(more > buffer.len(), "more bytes are needed than present");
                        need = more;
                    }
                    Parsed::Discard { .. } => panic!("no value is too large"),
                }
            }
        }
        assert_eq!(got, replies, "in pieces of {piece}");
    }
}

#[test]
fn value_above_the_limit_is_discarded() {
    let body = vec![b'V'; MAX_VALUE + MAX_VALUE_EXCESS + 1];
    let mut stream = format!("VA {} c5 O70\r\n", body.len()).into_bytes();
    stream.extend_from_slice(&body);
    stream.extend_from_slice(format!("\r\nVALUE a 0 1\r\nx\r\nVALUE b 0 {}\r\n", body.len()).as_bytes());
    stream.extend_from_slice(&body);
    stream.extend_from_slice(b"\r\nVALUE c 0 1\r\ny\r\nEND\r\nHD O70\r\n");
    let commands = [Command::Value, three(), Command::Delete];
    let value = |text: &'static [u8]| Some(Bytes::from_static(text));
    let replies = [
        Reply::Skipped { version: 5 },
        Reply::Values(vec![value(b"x"), None, value(b"y")]),
        Reply::Done { version: 0 },
    ];
    for piece in [1, 7, 1000, stream.len()] {
        let (mut buffer, mut got, mut discard) = (BytesMut::new(), Vec::new(), (0, 0));
        for chunk in stream.chunks(piece) {
            buffer.extend_from_slice(chunk);
            loop {
                discard.1 -= remove(&mut buffer, discard.0, discard.1);
                if discard.1 > 0 || got.len() == commands.len() {
                    break;
                }
                match parse(&mut buffer, &commands[got.len()], NUMBER, MAX_VALUE).unwrap() {
                    Parsed::Complete(reply) => got.push(reply),
                    Parsed::Need(_) => break,
                    Parsed::Discard { at, bytes, reply } => {
                        got.extend(reply);
                        discard = (at, bytes);
                    }
                }
            }
            assert!(buffer.len() <= piece + 64, "the value is not kept");
        }
        assert_eq!(got, replies, "in pieces of {piece}");
    }
}

#[test]
fn incomplete_reply_is_left_in_the_buffer() {
    let (stream, commands, replies) = conversation();
    let mut start = 0;
    for (command, reply) in commands.iter().zip(&replies) {
        let mut rest = BytesMut::from(&stream[start..]);
        assert!(
            matches!(parse(&mut rest, command, NUMBER, MAX_VALUE), Ok(Parsed::Complete(r)) if r == *reply)
        );
        let end = stream.len() - rest.len();
        for cut in start..end {
            let mut part = BytesMut::from(&stream[start..cut]);
            assert!(
                matches!(parse(&mut part, command, NUMBER, MAX_VALUE), Ok(Parsed::Need(_))),
                "cut at {cut}"
            );
            assert_eq!(part.len(), cut - start, "nothing is taken from the buffer");
        }
        start = end;
    }
}

#[test]
fn malformed_replies_are_errors_without_allocation() {
    let endless = vec![b'A'; MAX_LINE_BYTES];
    for stream in [
        &b"VA 18446744073709551615 O70\r\n"[..],
        b"VA 18446744073709551616 O70\r\n",
        b"VA 99999999999999999999999999 O70\r\n",
        b"VA 1073741825 O70\r\n",
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
        let error = parse(&mut buffer, &Command::Value, NUMBER, MAX_VALUE)
            .expect_err(&String::from_utf8_lossy(stream));
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(buffer.capacity(), capacity);
    }
}

#[test]
fn malformed_values_are_errors_without_allocation() {
    for stream in [
        &b"VALUE a 0 18446744073709551616\r\n"[..],
        b"VALUE a 0 1073741825\r\n",
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
        let error = parse(&mut buffer, &three(), NUMBER, MAX_VALUE)
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
        let stream: Vec<u8> = (0..next() % 9).flat_map(|_| words[next() % words.len()].to_vec()).collect();
        for command in [three(), Command::Value, Command::Header, Command::Store, Command::Delete] {
            let mut buffer = BytesMut::from(&stream[..]);
            while let Ok(Parsed::Complete(_)) = parse(&mut buffer, &command, NUMBER, MAX_VALUE) {}
        }
        let _ = parse_stats(&mut BytesMut::from(&stream[..]));
        let _ = parse_authentication(&mut BytesMut::from(&stream[..]));
    }
}

#[test]
fn small_value_does_not_keep_the_buffer() {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.extend_from_slice(b"VA 2 O70\r\nhi\r\n");
    let start = buffer.as_ptr();
    let Ok(Parsed::Complete(Reply::Item { value, .. })) =
        parse(&mut buffer, &Command::Value, NUMBER, MAX_VALUE)
    else {
        panic!("no value");
    };
    assert!(!(start as usize..start as usize + 64 * 1024).contains(&(value.as_ptr() as usize)));
}
