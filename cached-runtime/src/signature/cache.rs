//! The type for which the compiler reports missing traits.

/// Stands for the cache in bounds such as `Cache: CanKeyBy<T>`, which say that `T` lacks a trait.
///
/// A bound on `T` itself would make the compiler suggest a reference to `T`, which would not help.
#[derive(Debug)]
pub struct Cache;
