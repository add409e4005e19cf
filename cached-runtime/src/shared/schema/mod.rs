//! Schema fingerprints: numbers that identify a type as serde sees it.
//!
//! There is no reflection, so a type is deserialized from made-up values, again and again, each time along another
//! variant or with another value, until each of its parts was requested or nothing new is found. What it requested is
//! described by a string, which is hashed; `docs/WIRE.md` specifies it.

mod access;
mod description;
mod deserializer;
#[cfg(test)]
mod tests;
mod tracer;
mod types;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use self::deserializer::{Stop, Value};
use self::tracer::Tracer;
use self::types::{ROOT, Request, Shape};

/// What is known of a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema {
    /// The first 8 bytes of the SHA-256 of the description of the type. It depends only on the definition of the type,
    /// not on its module nor on the order of its fields.
    pub(crate) fingerprint: u64,
    /// Whether a part of the type is decoded as what the data contains, before its type is known: inside `flatten`,
    /// `tag` and `untagged`.
    pub(crate) is_self_describing: bool,
}

impl Schema {
    /// Returns the schema of a type, which may look different to codecs that are human-readable and to others.
    pub(crate) fn of<V: DeserializeOwned>(human_readable: bool) -> Self {
        let types = trace::<V>(human_readable).types;
        let digest = Sha256::digest(description::describe(std::any::type_name::<V>(), &types));
        let fingerprint = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mut parts = types.iter().flat_map(|each| &each.parts);
        let is_any = |request: &Request| request.shape == Shape::Any;
        Self { fingerprint, is_self_describing: parts.any(|part| part.requests.iter().any(is_any)) }
    }
}

/// Returns the string that is hashed.
#[cfg(test)]
fn describe<V: DeserializeOwned>(human_readable: bool) -> String {
    description::describe(std::any::type_name::<V>(), &trace::<V>(human_readable).types)
}

/// Finds out what can be found out about a type. It never fails.
fn trace<V: DeserializeOwned>(human_readable: bool) -> Tracer {
    let mut tracer = Tracer::new(human_readable);
    while tracer.begin_pass() {
        let value = Value { tracer: &mut tracer, part: ROOT };
        // A manual `impl Deserialize` may panic. The tracer is consistent whenever it calls one.
        match catch_unwind(AssertUnwindSafe(|| V::deserialize(value).map(drop))) {
            Ok(Ok(()) | Err(Stop::NoValue)) => {}
            Ok(Err(Stop::Rejected)) => tracer.reject_last(),
            Err(_) => tracer.reject_last_after_panic(),
        }
    }
    tracer
}
