//! The minimal clients of both protocols: one command, one reply.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use crate::process::{Connection, Server};

pub(crate) fn redis_command(server: &Server, words: &[&str]) -> io::Result<String> {
    let mut connection = server.connect()?;
    if let Some(password) = server.password() {
        send(&mut connection, &["AUTH", password])?;
        receive(&mut connection)?;
    }
    send(&mut connection, words)?;
    receive(&mut connection)
}

fn send(connection: &mut Connection, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(request, "${}\r\n{word}\r\n", word.len()); // Writing into a `String` does not fail.
    }
    connection.get_mut().write_all(request.as_bytes())
}

/// Reads one reply in RESP2.
fn receive(connection: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    // A negative length is nil.
    let length = || rest.parse::<i64>().map(usize::try_from).map_err(io::Error::other);
    match kind {
        "+" | ":" => Ok(rest.into()),
        "-" => Ok(line.into()),
        "$" => {
            let Ok(length) = length()? else { return Ok("(nil)".into()) };
            let mut bytes = vec![0; length + 2];
            connection.read_exact(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        "*" => {
            let Ok(length) = length()? else { return Ok("(nil)".into()) };
            let elements: io::Result<Vec<String>> = (0..length).map(|_| receive(connection)).collect();
            Ok(elements?.join("\n"))
        }
        _ => Err(io::Error::other(format!("{line:?} is not a reply"))),
    }
}

pub(crate) fn memcached_command(server: &Server, request: &str) -> io::Result<String> {
    // The reply to the no-op marks the end of the reply before it.
    const END: &[u8] = b"\r\nMN\r\n";
    let mut connection = server.connect()?;
    connection.get_mut().write_all(format!("{request}\r\nmn\r\n").as_bytes())?;
    let mut reply = Vec::new();
    while !reply.ends_with(END) && reply != END[2..] {
        let received = connection.fill_buf()?;
        if received.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend_from_slice(received);
        let length = received.len();
        connection.consume(length);
    }
    reply.truncate(reply.len().saturating_sub(END.len()));
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

pub(crate) fn stats(reply: &str) -> BTreeMap<String, String> {
    let pairs = reply.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
