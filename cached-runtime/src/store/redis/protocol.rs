//! What is said to the server, and how its answers read.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::types::{Resp3Frame as Frame, Value};
use sha1::{Digest as _, Sha1};

use crate::{Acquired, Error, ErrorKind, Lease, LeaseId, Result};

/// A Lua script, of which usually only the digest is sent.
pub(super) struct Script {
    text: &'static str,
    digest: OnceLock<Bytes>,
}

impl Script {
    const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new() }
    }

    pub(super) fn text(&self) -> Value {
        Value::from_static_str(self.text)
    }

    pub(super) fn digest(&self) -> Value {
        let digest = self.digest.get_or_init(|| {
            let mut hex = String::with_capacity(40);
            for byte in Sha1::digest(self.text) {
                let _ = write!(hex, "{byte:02x}"); // Writing into a `String` does not fail.
            }
            hex.into()
        });
        Value::Bytes(digest.clone())
    }
}

// KEYS: the value, its lease. A value that is not a string is somebody else's: a miss, and free to be replaced.

/// ARGV: token, term, "1" to lease a key that has a value. Answers the value, whether the lease was won, and else the
/// token of whoever holds it.
pub(super) static ACQUIRE: Script = Script::new(
    r"local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then
  if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
  value = false
end
if value and ARGV[3] ~= '1' then return {value, 0, false} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {value, 1, false} end
local holder = redis.pcall('GET', KEYS[2])
return {value, 0, type(holder) == 'string' and holder}",
);

/// ARGV: token, term. Answers whether the lease was still ours.
pub(super) static EXTEND: Script = Script::new(
    r"if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])",
);

/// ARGV: token, value, ttl. Answers whether the lease was still ours. A value that can not be stored ends it too.
pub(super) static FILL: Script = Script::new(
    r"if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local stored = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
if stored.err then return stored end
return 1",
);

/// ARGV: token. Answers whether the lease was still ours.
pub(super) static RELEASE: Script = Script::new(
    r"if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])",
);

/// ARGV: value, and the ttl if there is one. In this order: a server that is full refuses only the first write.
pub(super) static PUT: Script = Script::new(
    r"local stored
if ARGV[2] then
  stored = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  stored = redis.pcall('SET', KEYS[1], ARGV[1])
end
redis.call('DEL', KEYS[2])
return stored",
);

/// ARGV: value, and the ttl if there is one. Answers what was there before, or nothing if the value was stored.
pub(super) static ADD: Script = Script::new(
    r"local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then return value end
if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
if ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[1])
end
return false",
);

/// A duration as the server takes it: whole milliseconds, so that nothing ends early; at least one, and no more
/// than it can add to its clock.
pub(super) fn millis(duration: Duration) -> Value {
    const MOST: u128 = 1 << 53;
    let millis = duration.as_nanos().div_ceil(1_000_000).clamp(1, MOST);
    Value::from(millis.to_string())
}

/// A lease as the server stores it.
pub(super) fn token(lease: Lease) -> Value {
    Value::from(format!("{:032x}", lease.token()))
}

/// The value under a key.
pub(super) fn value(answer: Frame) -> Result<Option<Bytes>> {
    match answer {
        Frame::Null => Ok(None),
        Frame::BlobString { data, .. } => Ok(Some(data)),
        other => match error_of(&other) {
            Some(message) if message.starts_with("WRONGTYPE") => Ok(None),
            _ => Err(unexpected(&other)),
        },
    }
}

/// The values under so many keys.
pub(super) fn values(answer: Frame, count: usize) -> Result<Vec<Option<Bytes>>> {
    match answer {
        Frame::Array { data, .. } if data.len() == count => data.into_iter().map(value).collect(),
        other => Err(unexpected(&other)),
    }
}

/// What `ACQUIRE` found.
pub(super) fn acquired(answer: Frame, lease: Lease) -> Result<Acquired> {
    let Frame::Array { data, .. } = answer else { return Err(unexpected(&answer)) };
    let Ok([found, won, holder]) = <[Frame; 3]>::try_from(data) else { return Err(garbled()) };
    let lease = flag(&won)?.then_some(lease);
    // Whatever it is that lies there.
    let number = |token: &Bytes| u128::from(BuildHasherDefault::<DefaultHasher>::default().hash_one(token));
    let holder = value(holder)?.map(|token| LeaseId::new(number(&token)));
    Ok(Acquired { value: value(found)?, lease, holder })
}

/// Whether the server did it.
pub(super) fn flag(answer: &Frame) -> Result<bool> {
    match answer {
        Frame::Number { data: 0, .. } => Ok(false),
        Frame::Number { data: 1, .. } => Ok(true),
        other => Err(unexpected(other)),
    }
}

/// That the server did it.
pub(super) fn done(answer: &Frame) -> Result<()> {
    match answer {
        Frame::Number { .. } | Frame::SimpleString { .. } | Frame::BlobString { .. } => Ok(()),
        other => Err(unexpected(other)),
    }
}

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

fn unexpected(answer: &Frame) -> Error {
    error_of(answer).map_or_else(garbled, refusal)
}

fn garbled() -> Error {
    Error::new(ErrorKind::Protocol, "the answer of the redis server was not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_milliseconds_that_the_server_can_add() {
        for (duration, sent) in [
            (Duration::ZERO, "1"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_micros(1001), "2"),
            (Duration::from_secs(60), "60000"),
            (Duration::MAX, "9007199254740992"),
        ] {
            assert_eq!(millis(duration).as_str().as_deref(), Some(sent));
        }
    }

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

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        let number = |data| Frame::Number { data, attributes: None };
        let array = |data| Frame::Array { data, attributes: None };
        let lease = Lease::new(1);
        assert_eq!(value(number(1)).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(values(array(vec![Frame::Null]), 2).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(acquired(array(vec![Frame::Null]), lease).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(acquired(Frame::Null, lease).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(flag(&number(2)).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(done(&Frame::Null).unwrap_err().kind(), ErrorKind::Protocol);
    }
}
