//! What the signature of a function says: its arguments as key parts, the kind of its return type, and arguments as
//! the text of tags.
//!
//! The expansion selects these by autoref dispatch, so that `Result` and `Option` are recognized by type.

mod key_parts;
mod return_kind;
mod tag_text;

pub use key_parts::{Arg, Cache, CanKeyBy, CanKeySharedBy, KeyParts, SharedKeyParts, with_tags};
pub(crate) use key_parts::{KeyType, Probe};
pub(crate) use return_kind::{Absent, FromValue, ReturnKind, TimeoutOutput};
pub use return_kind::{
    CanCache, IntoOutput, ReturnType, caching_errors, caching_none, timed_out, with_fallback, with_weight,
};
pub use tag_text::TagText;
