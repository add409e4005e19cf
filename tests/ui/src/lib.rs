//! Tests of what compiles and what does not: see `mistakes/` and `shapes/`.

#[cfg(feature = "store")]
mod store;

#[cfg(feature = "store")]
pub use store::{Nowhere, STORE};
