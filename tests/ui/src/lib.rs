//! What the compiler says about a use of the attribute, and what it does not: see `mistakes/` and `shapes/`.

#[cfg(feature = "store")]
mod store;

#[cfg(feature = "store")]
pub use store::{Nowhere, STORE};
