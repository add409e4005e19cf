//! Keys that come with their tags or with the weight of their entries.

use std::any::Any;
use std::fmt;
use std::hash::Hasher;

use super::key_parts::{KeyParts, Weigh};
use super::return_kind::ReturnKind;

/// A key that comes with `tags("user:{id}")`.
pub struct WithTags<P, F> {
    parts: P,
    tags: F,
}

/// A key with its tags, which are made only when they are needed.
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
    fn are(&self, owned: &P::Owned) -> bool {
        self.parts.are(owned)
    }

    fn own(&self) -> P::Owned {
        self.parts.own()
    }

    fn tags(&self) -> Vec<String> {
        (self.tags)()
    }

    #[inline]
    fn weigh<S: 'static>(&self) -> Option<Weigh<P::Owned, S>> {
        self.parts.weigh()
    }
}

impl<P: fmt::Debug, F> fmt::Debug for WithTags<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTags").field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// A key that comes with `weigh = |key, value| ...`.
#[derive(Debug)]
pub struct WithWeight<P: KeyParts, S> {
    parts: P,
    weigh: Weigh<P::Owned, S>,
}

/// A key that comes with the weight of its entries: `weigh = |key, value| ...`
#[inline]
pub fn with_weight<P: KeyParts, O: ReturnKind>(
    parts: P,
    _outcome: O,
    weigh: Weigh<P::Owned, O::Success>,
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
    fn are(&self, owned: &P::Owned) -> bool {
        self.parts.are(owned)
    }

    fn own(&self) -> P::Owned {
        self.parts.own()
    }

    fn tags(&self) -> Vec<String> {
        self.parts.tags()
    }

    #[inline]
    fn weigh<T: 'static>(&self) -> Option<Weigh<P::Owned, T>> {
        // `T` is `S`; only the compiler does not know.
        (&self.weigh as &dyn Any).downcast_ref().copied()
    }
}
