//! The attribute macro of `cached-runtime`.
