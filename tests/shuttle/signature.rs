//! The layer `signature`, with its private items accessible.

#[path = "../../cached-runtime/src/signature/key_part.rs"]
mod key_part;
#[path = "../../cached-runtime/src/signature/key_parts.rs"]
mod key_parts;
#[path = "../../cached-runtime/src/signature/result_kinds.rs"]
mod result_kinds;
#[path = "../../cached-runtime/src/signature/return_kind.rs"]
mod return_kind;
#[path = "../../cached-runtime/src/signature/share_err.rs"]
mod share_err;

pub(crate) use key_part::KeyType;
pub(crate) use key_parts::{KeyParts, Probe};
pub(crate) use result_kinds::Fallible;
pub(crate) use return_kind::{ReturnKind, TimeoutOutput};

/// Returns the kind of a `Result` whose error is not shared.
pub(crate) fn fallible<T, E>() -> Fallible<T, E> {
    Fallible(std::marker::PhantomData)
}
