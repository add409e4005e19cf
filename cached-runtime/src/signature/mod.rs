//! What the signature of a function says: its arguments as key parts, the kind of its return type, and arguments as
//! the text of tags.
//!
//! The expansion selects these by autoref dispatch, so that `Result` and `Option` are recognized by type.

mod absent;
mod argument;
mod argument_errors;
mod cache;
mod into_output;
mod key_options;
mod key_part;
mod key_parts;
mod option_checks;
mod return_kind;
mod return_type;
mod return_type_errors;
mod shared_key;
mod tag_text;

pub(crate) use absent::Absent;
pub use argument::Arg;
pub use argument_errors::{CanKeyBy, CanKeySharedBy};
pub use cache::Cache;
pub(crate) use into_output::FromValue;
pub use into_output::IntoOutput;
pub use key_options::{with_tags, with_weight};
pub(crate) use key_part::KeyType;
pub use key_parts::KeyParts;
pub(crate) use key_parts::Probe;
pub use option_checks::{caching_errors, caching_none, timed_out, with_fallback};
pub(crate) use return_kind::{ReturnKind, TimeoutOutput};
pub use return_type::ReturnType;
pub use return_type_errors::CanCache;
pub use shared_key::SharedKeyParts;
pub use tag_text::TagText;
