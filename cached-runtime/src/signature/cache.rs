//! The type that messages of the compiler are about.

/// Whatever remembers, for messages.
#[derive(Debug)]
pub struct Cache;
