//! A value with its lifetime.

use std::time::Duration;

use crate::clock::Moment;

/// A remembered value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    expires: Moment,
}

impl<V> Entry<V> {
    pub(crate) fn new(value: V, ttl: Duration) -> Self {
        Self { value, expires: Moment::now().after(ttl) }
    }

    /// The value, as long as its lifetime lasts.
    #[inline]
    pub(crate) fn fresh(self) -> Option<V> {
        if self.expires.has_come() { None } else { Some(self.value) }
    }

    pub(crate) fn expires(&self) -> Moment {
        self.expires
    }
}
