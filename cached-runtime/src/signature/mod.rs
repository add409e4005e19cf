//! What the signature of a function says: its arguments as key parts, its arguments as the text of tags, and the kind
//! of its return type.
//!
//! # How the types are found
//!
//! The macro sees tokens, not types: it cannot know that `ApiResult<User>` is a `Result`, or that `Id` is a float. So
//! an expansion writes `ReturnType::<ApiResult<User>>::new().kind()` and `Arg::new(&id).key_part()`, and the compiler
//! selects the method by the type. This is autoref-based specialization (David Tolnay, "Autoref-based stable
//! specialization", in <https://github.com/dtolnay/case-studies>), with chains of `Deref` in place of references so
//! that there can be more than two cases: method lookup tries `ReturnType` first; if no `kind` there applies to the
//! type, it tries the type that `ReturnType` derefs to, and so on.
//!
//! Each wrapper of a chain is a step, which has one case. The last case of each kind of type is an error step: its
//! method requires the traits that are missing, so that the compiler reports them once and where they are missing, and
//! returns a substitute that every other part of the expansion accepts. A method is defined at most once at each step,
//! so that a type with a mistake in it does not make the call ambiguous as well.
//!
//! Methods that end in `_again` do the same in the companions, where error steps require nothing: the mistake is
//! reported for the function only.

mod absent;
mod argument;
mod argument_errors;
mod cache;
mod error_options;
mod into_output;
mod key_options;
mod key_part;
mod key_parts;
mod option_checks;
mod result_kinds;
mod return_kind;
mod return_type;
mod return_type_errors;
mod share_err;
mod shared_key;
mod tag_text;

pub(crate) use absent::Absent;
pub use argument::Arg;
pub use argument_errors::{CanKeyBy, CanKeySharedBy};
pub use cache::Cache;
pub use error_options::{caching_errors, keeping_errors, sharing_errors, storing_errors};
pub(crate) use into_output::FromValue;
pub use into_output::IntoOutput;
pub use key_options::{with_tags, with_weight};
pub(crate) use key_part::KeyType;
pub use key_parts::KeyParts;
pub(crate) use key_parts::Probe;
pub use option_checks::{caching_none, timed_out, with_fallback};
pub(crate) use return_kind::{ReturnKind, TimeoutOutput};
pub use return_type::ReturnType;
pub use return_type_errors::CanCache;
pub use shared_key::SharedKeyParts;
pub use tag_text::TagText;
