//! What a type looks like to serde, told by letting it read made-up values.
//!
//! A type is read again and again, each time along another variant or with another value, until every part of it has
//! been asked for, or nothing new is learned. `docs/WIRE.md` describes the text that comes out of it.

mod access;
mod deserializer;
#[cfg(test)]
mod tests;
mod text;
mod tracer;
mod types;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use self::deserializer::{Stop, Value};
use self::tracer::Tracer;
use self::types::ROOT;

/// The first 8 bytes of the SHA-256 of what a type looks like, in encodings that are readable for people or not.
///
/// It depends on nothing but the source of the type: neither on its module, nor on the order of its fields.
pub(crate) fn fingerprint<V: DeserializeOwned>(human_readable: bool) -> u64 {
    let digest = Sha256::digest(describe::<V>(human_readable));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What is hashed.
fn describe<V: DeserializeOwned>(human_readable: bool) -> String {
    text::describe(std::any::type_name::<V>(), &trace::<V>(human_readable).types)
}

/// Finds out what can be found out; it does not fail.
fn trace<V: DeserializeOwned>(human_readable: bool) -> Tracer {
    let mut tracer = Tracer::new(human_readable);
    while tracer.next_pass() {
        let value = Value { tracer: &mut tracer, place: ROOT };
        // An `impl Deserialize` by hand may panic. The tracer is in order whenever it calls one.
        match catch_unwind(AssertUnwindSafe(|| V::deserialize(value).map(drop))) {
            Ok(Ok(()) | Err(Stop::Ours)) => {}
            Ok(Err(Stop::Theirs)) => tracer.refused(),
            Err(_) => tracer.panicked(),
        }
    }
    tracer
}
