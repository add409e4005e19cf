//! The scripts that the server runs, and their arguments.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use sha1::{Digest as _, Sha1};

use crate::Lease;

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
}
