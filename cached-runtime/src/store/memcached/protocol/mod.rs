//! The protocol of Memcached, without IO: commands to bytes, and bytes to replies.
//!
//! It is specified in <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.

mod commands;
mod handshake;
mod lines;
mod replies;

pub(super) use self::commands::{Batch, Command, ServerKey, StoreCondition, exptime};
pub(super) use self::handshake::{Epoch, STATS, authenticate, parse_authentication, parse_stats};
pub(super) use self::replies::{ItemKind, Parsed, Reply, parse, remove};
