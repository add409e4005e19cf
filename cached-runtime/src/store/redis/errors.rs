//! The conversion of errors of the server and of the client.

use std::fmt;

use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::types::Resp3Frame as Frame;

use crate::{Error, ErrorKind};

/// Returns the message of a reply that is an error.
pub(super) fn message_of(reply: &Frame) -> Option<&str> {
    match reply {
        Frame::SimpleError { data, .. } => Some(data),
        Frame::BlobError { data, .. } => Some(std::str::from_utf8(data).unwrap_or_default()),
        _ => None,
    }
}

/// Returns the error code that a message of the server begins with, also if the error comes from a script.
pub(super) fn code(message: &str) -> &str {
    let word = |text: &'_ str| text.split([' ', ':']).next().map_or(0, str::len);
    // Before 7.0: `ERR Error running script (call to f_..): @user_script:2: -OOM command not allowed ..`
    if message.starts_with("ERR Error running script")
        && let Some((_, inner)) = message.rsplit_once(": -")
    {
        return &inner[..word(inner)];
    }
    &message[..word(message)]
}

/// Returns `true` for the error of a read-only replica, also as the result of one script of a batch.
pub(super) fn is_read_only(reply: &Frame) -> bool {
    match reply {
        Frame::Array { data, .. } => data.iter().any(is_read_only),
        reply => message_of(reply).is_some_and(|message| code(message) == "READONLY"),
    }
}

/// Returns the error for an error message of the server.
pub(super) fn from_server(message: &str) -> Error {
    let (kind, what) = match code(message) {
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => {
            (ErrorKind::Unreachable, "redis is not ready")
        }
        "READONLY" => (ErrorKind::Rejected, "redis is a read-only replica"),
        "OOM" => (ErrorKind::Rejected, "redis is out of memory"),
        "MISCONF" | "NOREPLICAS" => (ErrorKind::Rejected, "redis does not accept writes"),
        "NOAUTH" | "WRONGPASS" => (ErrorKind::Rejected, "redis rejected the credentials"),
        "NOPERM" => (ErrorKind::Rejected, "the redis user lacks a permission"),
        _ => (ErrorKind::Rejected, "redis rejected the command"),
    };
    Error::new(kind, what).with_source(Message::new(message))
}

/// Returns `true` if a key has something else than a string, which this crate does not store.
pub(super) fn is_wrong_type(error: &ClientError) -> bool {
    code(error.details()) == "WRONGTYPE"
}

/// Returns `true` for an error of the client that is an error message of the server.
pub(super) fn is_reply(error: &ClientError) -> bool {
    let is_code = |word: &str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase());
    match error.kind() {
        Cause::Auth => true,
        Cause::Unknown => is_code(code(error.details())),
        _ => false,
    }
}

/// Returns the error for an error of the client.
pub(super) fn from_client(error: &ClientError) -> Error {
    let details = error.details();
    let (kind, what) = match error.kind() {
        _ if is_reply(error) => return from_server(details),
        Cause::Timeout => (ErrorKind::Timeout, "redis did not reply within the deadline"),
        // The client asks for the slots when it connects, and a part of the cluster is down.
        Cause::Protocol if details.contains("cluster state") => {
            (ErrorKind::Unreachable, "the redis cluster does not serve all of its slots")
        }
        Cause::Protocol | Cause::Parse => (ErrorKind::Protocol, "cannot parse the reply of redis"),
        Cause::Config | Cause::Url => (ErrorKind::Config, "the redis server does not match the url"),
        _ => (ErrorKind::Unreachable, "cannot reach redis"),
    };
    Error::new(kind, what).with_source(Message::new(details))
}

/// A message of the server or of the client, without arguments and control characters.
#[derive(Debug)]
struct Message(String);

impl Message {
    fn new(text: &str) -> Self {
        // The password would follow in
        // `ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' ..`.
        let text = text.split(", with args").next().unwrap_or_default();
        Self(text.chars().take(200).filter(|c| !c.is_control()).collect())
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Message {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_recognized_inside_and_outside_of_scripts() {
        for (message, kind) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Rejected),
            (
                "READONLY You can't write against a read only replica. script: 1f, on @user_script:7.",
                ErrorKind::Rejected,
            ),
            (
                "ERR Error running script (call to f_1f): @user_script:7: -LOADING Redis is loading",
                ErrorKind::Unreachable,
            ),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::Unreachable),
            ("", ErrorKind::Rejected),
        ] {
            assert_eq!(from_server(message).kind(), kind, "{message}");
        }
        assert_eq!(code("ERR Error running script (call to f_1f): @user_script:7: -OOM command"), "OOM");
    }

    #[test]
    fn a_read_only_replica_is_recognized_in_a_batch() {
        let error = |message: &str| Frame::SimpleError { data: message.into(), attributes: None };
        let batch = |results| Frame::Array { data: results, attributes: None };
        let reply = |last| batch(vec![Frame::Null, batch(vec![error("OOM full"), last])]);
        assert!(is_read_only(&reply(error("READONLY You can't write against a read only replica."))));
        assert!(!is_read_only(&reply(Frame::Null)));
    }

    #[test]
    fn a_cluster_that_is_down_is_unreachable() {
        // The words of the client.
        let error = ClientError::new(Cause::Protocol, "Invalid or missing cluster state.");
        assert_eq!(from_client(&error).kind(), ErrorKind::Unreachable);
        assert_eq!(from_client(&ClientError::new(Cause::Protocol, "")).kind(), ErrorKind::Protocol);
    }

    #[test]
    fn arguments_in_a_message_of_the_server_are_removed() {
        let error =
            from_server("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 's3cret'");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
