//! The layer `signature`, with its private items accessible.

#[path = "../../cached-runtime/src/signature/key_part.rs"]
mod key_part;
#[path = "../../cached-runtime/src/signature/key_parts.rs"]
mod key_parts;
#[path = "../../cached-runtime/src/signature/return_kind.rs"]
mod return_kind;

pub(crate) use key_part::KeyType;
pub(crate) use key_parts::{KeyParts, Probe};
pub(crate) use return_kind::{Fallible, ReturnKind, TimeoutOutput};
