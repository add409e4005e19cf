//! The Lua scripts that the server runs.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use sha1::{Digest as _, Sha1};

use crate::store::traffic::Traffic;
use crate::{LastAttempt, Lease, LeaseMode, ValueId};

/// A Lua script.
///
/// The body is enclosed in code that returns its result together with a nonce, so that the reply to another command is
/// not taken for the reply to the script.
pub(super) struct Script {
    body: &'static str,
    /// For any server. `ARGV` begins with the nonce.
    pub(super) plain: Enclosed,
    /// For one server. `ARGV` begins with the nonce and the identity of the server. On another server, the body is not
    /// run, and the result is the identity of that server.
    pub(super) of_one_server: Enclosed,
}

impl Script {
    const fn new(body: &'static str) -> Self {
        let plain = Enclosed::new("local first = 2");
        let of_one_server = Enclosed::new(
            r"local first = 3
local id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ':' ..
  string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if id ~= arguments[2] then return {arguments[1], 0, id} end",
        );
        Self { body, plain, of_one_server }
    }

    /// Returns the source and the digest of one form of the script.
    pub(super) fn text(&self, form: fn(&Self) -> &Enclosed) -> &ScriptText {
        form(self).text(self.body)
    }
}

/// One form of a script.
pub(super) struct Enclosed {
    prologue: &'static str,
    text: OnceLock<ScriptText>,
}

/// A script as it is sent: usually as its digest only.
pub(super) struct ScriptText {
    pub(super) source: Value,
    /// The SHA-1 of the source in hexadecimal, by which the server knows the script.
    pub(super) digest: Value,
}

impl Enclosed {
    const fn new(prologue: &'static str) -> Self {
        Self { prologue, text: OnceLock::new() }
    }

    fn text(&self, body: &str) -> &ScriptText {
        self.text.get_or_init(|| {
            let prologue = self.prologue;
            let source = format!(
                r"local arguments, ARGV = ARGV, {{}}
{prologue}
for i = first, #arguments do ARGV[i - first + 1] = arguments[i] end
local function run()
{body}
end
local result = run()
if type(result) == 'table' and result.err then return result end
return {{arguments[1], 1, result}}"
            );
            let digest = base16ct::lower::encode_string(&Sha1::digest(&source));
            ScriptText { source: Value::Bytes(source.into()), digest: Value::Bytes(digest.into()) }
        })
    }
}

/// The maximum number of keys of a script: Lua cannot pass more than some thousand arguments. It is more than a batch has, which
/// would take two round trips within one deadline otherwise.
pub(super) const MAX_KEYS: usize = 4_000;

/// Returns the values of all `KEYS`.
pub(super) static READ: Script = Script::new("return redis.call('MGET', unpack(KEYS))");

/// Returns the size of the value at the only key.
pub(super) static SIZE: Script = Script::new("return redis.call('STRLEN', KEYS[1])");

/// Removes all `KEYS`; returns their number.
pub(super) static REMOVE: Script = Script::new("return redis.call('UNLINK', unpack(KEYS))");

// `KEYS` of each of the following scripts are the value and its lease. A value that is not a string was not stored by this
// crate; it is a miss, and may be replaced.
//
// The string at the key of the lease is the token in 32 digits, followed by the letter of the last attempt (see `attempt`).
// Without a lease it is the letter alone, for a while. Anything else is no lease, and may be replaced: nothing else would end it.

macro_rules! acquire {
    () => {
        r"local size = redis.pcall('STRLEN', KEYS[1])
if type(size) == 'table' then
  if not string.find(size.err, 'WRONGTYPE', 1, true) then return size end
elseif ARGV[3] ~= 'any' and ARGV[3] ~= 'over' and (size > 0 or redis.call('EXISTS', KEYS[1]) == 1) then
  if tostring(size) ~= ARGV[3] then return {0, 1, false, false} end
  if redis.call('GETRANGE', KEYS[1], -16, -1) ~= ARGV[4] then return {0, 1, false, false} end
end
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'table' then
  if not string.find(held.err, 'WRONGTYPE', 1, true) then return held end
  held = ''
end
local last = held or ''
if #last > 1 then
  local is_lease = (#last == 32 or #last == 33) and string.find(last, '^%x+%a?$')
  if is_lease and ARGV[3] ~= 'over' then return {0, 0, string.sub(last, 1, 32), string.sub(last, 33)} end
  last = ''
end
local set = redis.pcall('SET', KEYS[2], ARGV[1] .. last, 'PX', ARGV[2])
if set.err then return set end
return {1, 0, false, last}"
    };
}

/// `ARGV`: the token, the term, and which keys with a value may be leased: none if nothing follows; those with the value of
/// this size and end; those with any value, if "any" follows; or also those with a lease, which then ends, if "over" follows.
/// Returns whether the lease was granted, whether a value is why not, otherwise the token of the current lease, and the letter of
/// the last attempt.
///
/// It neither reads nor returns the value, which may be large.
pub(super) static ACQUIRE: Script = Script::new(acquire!());

/// Begins each script that needs the lease: `ARGV[1]` is the token.
macro_rules! if_held {
    ($then:literal) => {
        concat!(
            r"local held = redis.pcall('GET', KEYS[2])
if type(held) ~= 'string' or string.sub(held, 1, 32) ~= ARGV[1] then return 0 end
",
            $then
        )
    };
}

macro_rules! extend {
    () => {
        if_held!("return redis.call('PEXPIRE', KEYS[2], ARGV[2])")
    };
}

macro_rules! fill {
    () => {
        if_held!(
            r"local stored = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
if stored.err then return stored end
return 1"
        )
    };
}

macro_rules! release {
    () => {
        if_held!(
            r"if ARGV[2] == '' or redis.pcall('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]).err then redis.call('DEL', KEYS[2]) end
return 1"
        )
    };
}

/// `ARGV`: the token and the term. Returns whether the lease was still held.
pub(super) static EXTEND: Script = Script::new(extend!());

/// `ARGV`: the token, the value and the ttl. Returns whether the lease was still held. If the server rejects the value, the
/// lease ends too; not if a [`BATCH`] skips the fill: then the caller releases it, as after any failure.
pub(super) static FILL: Script = Script::new(fill!());

/// `KEYS`: also the name of a value that was stored before. `ARGV`: the token and the ttl. Gives that value the name of the
/// key; returns whether the lease was still held, and the value is there.
pub(super) static RENAME: Script = Script::new(
    r"local held = redis.pcall('GET', KEYS[2])
if type(held) ~= 'string' or string.sub(held, 1, 32) ~= ARGV[1] or redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('UNLINK', KEYS[3])
  return 0
end
redis.call('RENAME', KEYS[3], KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1",
);

/// How long a value has a name of its own at most, if the process ends before it is renamed, in milliseconds.
pub(super) const STAGED_MILLIS: i64 = 30_000;

/// `ARGV`: the token, the letter of the attempt, and for how long it is kept. Returns whether the lease was still held. A
/// server that is out of memory keeps nothing.
pub(super) static RELEASE: Script = Script::new(release!());

/// Several of the scripts above as one. `KEYS` are those of each, `ARGV` for each its letter, the number of its arguments, and
/// the arguments. Returns the result of each, which may be an error.
///
/// A server that is out of memory rejects only the first write of a script. So once it has rejected one, the others that take
/// memory are skipped, with the same error; those that do come first (see the order of [`Batched`]).
pub(super) static BATCH: Script = Script::new(concat!(
    "local scripts = {
A = function(KEYS, ARGV)
",
    acquire!(),
    "
end,
F = function(KEYS, ARGV)
",
    fill!(),
    "
end,
E = function(KEYS, ARGV)
",
    extend!(),
    "
end,
R = function(KEYS, ARGV)
",
    release!(),
    "
end}
local takes_memory = {A = true, F = true}
local results, full, at = {}, false, 1
for i = 1, #KEYS / 2 do
  local letter, count = ARGV[at], tonumber(ARGV[at + 1])
  local arguments = {unpack(ARGV, at + 2, at + 1 + count)}
  at = at + 2 + count
  local is_done, result = true, full
  if not (full and takes_memory[letter]) then
    is_done, result = pcall(scripts[letter], {KEYS[2 * i - 1], KEYS[2 * i]}, arguments)
    if not is_done and type(result) ~= 'table' then result = {err = 'ERR Error running script: ' .. result} end
    if type(result) == 'table' and result.err and string.find(result.err, 'OOM ', 1, true) then full = result end
  end
  results[i] = result
end
return results"
));

/// A script that can be part of [`BATCH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Batched {
    // Those that take memory come first.
    Acquire,
    Fill,
    Extend,
    Release,
}

impl Batched {
    /// Returns the script for one operation.
    pub(super) fn alone(self) -> &'static Script {
        match self {
            Self::Acquire => &ACQUIRE,
            Self::Fill => &FILL,
            Self::Extend => &EXTEND,
            Self::Release => &RELEASE,
        }
    }

    /// Returns what an operation with arguments of this size is.
    pub(super) fn traffic(self, bytes: usize) -> Traffic {
        match self {
            Self::Acquire => Traffic::Acquire(bytes),
            Self::Fill | Self::Extend | Self::Release => Traffic::Write(bytes),
        }
    }

    /// Returns the letter of the script in [`BATCH`].
    pub(super) fn letter(self) -> Value {
        Value::from_static_str(match self {
            Self::Acquire => "A",
            Self::Fill => "F",
            Self::Extend => "E",
            Self::Release => "R",
        })
    }
}

/// `ARGV`: the value, and the ttl if there is one. The order matters: a server that is out of memory rejects
/// only the first write of a script.
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

/// `ARGV`: the value, and the ttl if there is one. Returns the present value, or nil if the value was stored.
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

/// Returns a duration in whole milliseconds, rounded up so that nothing expires early. It is at least 1, and
/// at most what the server can add to its clock.
pub(super) fn millis(duration: Duration) -> Value {
    const MAX: u128 = 1 << 53;
    let millis = duration.as_nanos().div_ceil(1_000_000).clamp(1, MAX);
    Value::from(millis.to_string())
}

/// Returns the token of a lease as the server stores it.
pub(super) fn token(lease: Lease) -> Value {
    Value::from(format!("{:032x}", lease.token()))
}

/// Returns the arguments of [`ACQUIRE`] that say which value may be replaced.
pub(super) fn replaced(mode: LeaseMode) -> Vec<Value> {
    match mode {
        LeaseMode::IfAbsent => Vec::new(),
        LeaseMode::Replace => vec![Value::from_static_str("any")],
        LeaseMode::TakeOver => vec![Value::from_static_str("over")],
        LeaseMode::IfUnchanged(id) => {
            vec![Value::from(id.size().to_string()), Value::Bytes(Bytes::copy_from_slice(id.end()))]
        }
    }
}

/// Returns the letter that says how an attempt ended; none if nothing is known.
pub(super) fn attempt(attempt: LastAttempt) -> Value {
    Value::from_static_str(match attempt {
        LastAttempt::Unknown => "",
        LastAttempt::Failed => FAILED,
        LastAttempt::NotStored => NOT_STORED,
    })
}

/// Returns how the last attempt ended, according to its letter.
pub(super) fn last_attempt(letter: &[u8]) -> LastAttempt {
    if letter == FAILED.as_bytes() {
        LastAttempt::Failed
    } else if letter == NOT_STORED.as_bytes() {
        LastAttempt::NotStored
    } else {
        LastAttempt::Unknown
    }
}

// The script takes that many bytes.
const _: () = assert!(ValueId::END_BYTES == 16);

const FAILED: &str = "x";
const NOT_STORED: &str = "n";

/// For how long the end of an attempt is kept without another lease: waiting callers ask several times meanwhile.
pub(super) const ATTEMPT_MEMORY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_rounded_up_and_bounded() {
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
