//! Options that travel with the key, because their types depend on it: `tags` and `weigh`.

use std::any::Any;
use std::fmt;
use std::hash::Hasher;

use super::key_parts::{KeyParts, WeighFn};
use super::return_kind::ReturnKind;

/// A key with its static tags: `tags("user:{id}")`.
pub struct WithTags<P, F> {
    parts: P,
    tags: F,
}

/// Returns a key with its static tags. `tags` is called only when they are needed, not for a hit in memory.
#[inline]
pub fn with_tags<P: KeyParts, F: Fn() -> Vec<String>>(parts: P, tags: F) -> WithTags<P, F> {
    WithTags { parts, tags }
}

impl<P: KeyParts, F: Fn() -> Vec<String>> KeyParts for WithTags<P, F> {
    type Owned = P::Owned;

    #[inline]
    fn hash_parts<H: Hasher>(&self, state: &mut H) {
        self.parts.hash_parts(state);
    }

    #[inline]
    fn equivalent(&self, owned: &P::Owned) -> bool {
        self.parts.equivalent(owned)
    }

    fn to_owned_key(&self) -> P::Owned {
        self.parts.to_owned_key()
    }

    fn tags(&self) -> Vec<String> {
        (self.tags)()
    }

    #[inline]
    fn weigh<S: 'static>(&self) -> Option<WeighFn<P::Owned, S>> {
        self.parts.weigh()
    }
}

impl<P: fmt::Debug, F> fmt::Debug for WithTags<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTags").field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// A key with the function that weighs entries: `weigh = |key, value| ...`.
#[derive(Debug)]
pub struct WithWeight<P: KeyParts, S> {
    parts: P,
    weigh: WeighFn<P::Owned, S>,
}

/// Returns a key with the function that weighs entries. The `kind` of the return type says what a value is.
#[inline]
pub fn with_weight<P: KeyParts, O: ReturnKind>(
    parts: P,
    _kind: O,
    weigh: WeighFn<P::Owned, O::Success>,
) -> WithWeight<P, O::Success> {
    WithWeight { parts, weigh }
}

impl<P: KeyParts, S: 'static> KeyParts for WithWeight<P, S> {
    type Owned = P::Owned;

    #[inline]
    fn hash_parts<H: Hasher>(&self, state: &mut H) {
        self.parts.hash_parts(state);
    }

    #[inline]
    fn equivalent(&self, owned: &P::Owned) -> bool {
        self.parts.equivalent(owned)
    }

    fn to_owned_key(&self) -> P::Owned {
        self.parts.to_owned_key()
    }

    fn tags(&self) -> Vec<String> {
        self.parts.tags()
    }

    #[inline]
    fn weigh<T: 'static>(&self) -> Option<WeighFn<P::Owned, T>> {
        // `T` is always `S`, which the compiler does not know.
        (&self.weigh as &dyn Any).downcast_ref().copied()
    }
}
