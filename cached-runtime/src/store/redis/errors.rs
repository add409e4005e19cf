//! What the errors of the server and of the client mean.

use std::fmt;

use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::types::Resp3Frame as Frame;

use crate::{Error, ErrorKind};

/// The message of an answer that is an error.
pub(super) fn error_of(answer: &Frame) -> Option<&str> {
    match answer {
        Frame::SimpleError { data, .. } => Some(data),
        Frame::BlobError { data, .. } => Some(std::str::from_utf8(data).unwrap_or_default()),
        _ => None,
    }
}

/// The word that an error message of the server begins with, also when it comes out of a script.
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

/// What an error message of the server means to the caller.
pub(super) fn refusal(message: &str) -> Error {
    let (kind, what) = match code(message) {
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => {
            (ErrorKind::Unreachable, "the redis server is not ready")
        }
        "READONLY" => (ErrorKind::Rejected, "the redis server is a read-only replica"),
        "OOM" => (ErrorKind::Rejected, "the redis server is out of memory"),
        "MISCONF" | "NOREPLICAS" => (ErrorKind::Rejected, "the redis server does not take writes"),
        "NOAUTH" | "WRONGPASS" => (ErrorKind::Rejected, "the redis server wants other credentials"),
        "NOPERM" => (ErrorKind::Rejected, "the redis user lacks a permission"),
        _ => (ErrorKind::Rejected, "the redis server refused the command"),
    };
    Error::new(kind, what).with_source(Said::by(message))
}

/// What a failure of the client means to the caller.
pub(super) fn failure(error: &ClientError) -> Error {
    let details = error.details();
    let is_code = |word: &str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase());
    let (kind, what) = match error.kind() {
        Cause::Auth => return refusal(details),
        Cause::Unknown if is_code(code(details)) => return refusal(details),
        Cause::Timeout => (ErrorKind::Timeout, "the redis server did not answer in time"),
        Cause::Protocol | Cause::Parse => {
            (ErrorKind::Protocol, "the answer of the redis server was not understood")
        }
        Cause::Config | Cause::Url => (ErrorKind::Config, "the redis server is not what the url says"),
        _ => (ErrorKind::Unreachable, "the redis server can not be reached"),
    };
    Error::new(kind, what).with_source(Said::by(details))
}

/// What a server or the client said, fit to be shown.
#[derive(Debug)]
struct Said(String);

impl Said {
    fn by(text: &str) -> Self {
        // `ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' ..`: there the password would follow.
        let text = text.split(", with args").next().unwrap_or_default();
        Self(text.chars().take(200).filter(|c| !c.is_control()).collect())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_recognised_inside_and_outside_of_scripts() {
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
            assert_eq!(refusal(message).kind(), kind, "{message}");
        }
        assert_eq!(code("ERR Error running script (call to f_1f): @user_script:7: -OOM command"), "OOM");
    }

    #[test]
    fn a_server_that_repeats_its_arguments_does_not_betray_them() {
        let error = refusal("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 's3cret'");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
