//! Memcached's meta protocol: commands to bytes, bytes to replies, without any input or output.
//!
//! <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>

mod commands;
mod handshake;
mod lines;
mod replies;

pub(super) use self::commands::{Name, Operation, Script, When, seconds};
pub(super) use self::handshake::{Epoch, GREETING, authenticate, parse_authenticated, parse_greeting};
pub(super) use self::replies::{Parsed, Reply, parse};
