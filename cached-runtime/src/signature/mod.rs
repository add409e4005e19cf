//! What the signature of a function says: its arguments as key parts, the kind of its return type, and arguments as
//! the text of tags.
//!
//! The expansion selects these by autoref dispatch, so that `Result` and `Option` are recognized by type.

mod key_parts;
mod return_kind;
mod tag_text;

pub use key_parts::{Arg, Cache, KeyedBy, Parts, SharedKeyedBy, SharedParts, tagged};
pub(crate) use key_parts::{KeyType, Probe};
pub(crate) use return_kind::{Absent, FromValue, Outcome, TooLate};
pub use return_kind::{Remembers, Shape, Stands, failing, kept, none, too_late, weighed};
pub use tag_text::Spelled;
