//! A store whose operations have names, so that a failure is reported by the name of the operation.

use std::time::Duration;

use bytes::Bytes;

use super::failure_log::OperationClass;
#[cfg(feature = "test-util")]
use super::written_keys::WrittenKeys;
use crate::{Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch};

/// An operation of a [`Store`], by the name of its method.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "test-util")]
/// # fn main() {
/// use cached_runtime::test::{Fault, Operation, TestStore};
///
/// TestStore::new().inject(Fault::lost_answer().on(Operation::Get));
/// # }
/// # #[cfg(not(feature = "test-util"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(not(feature = "test-util"), allow(unreachable_pub, reason = "it is exported for tests"))]
pub enum Operation {
    /// Reads values.
    Get,
    /// Requests the lease of a key.
    Acquire,
    /// Extends a lease.
    Extend,
    /// Stores a value, and gives the lease back.
    Fill,
    /// Gives a lease back.
    Release,
    /// Stores a value without a lease.
    Put,
    /// Stores a value where there is none.
    Add,
    /// Removes a value.
    Remove,
    /// Asks to be notified of a change.
    Watch,
}

impl Operation {
    /// Returns the name of the method.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Acquire => "acquire",
            Self::Extend => "extend",
            Self::Fill => "fill",
            Self::Release => "release",
            Self::Put => "put",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Watch => "watch",
        }
    }

    pub(super) const fn class(self) -> OperationClass {
        match self {
            Self::Get => OperationClass::Read,
            Self::Acquire | Self::Extend | Self::Release | Self::Watch => OperationClass::Lease,
            Self::Fill | Self::Put | Self::Add => OperationClass::Write,
            Self::Remove => OperationClass::Invalidation,
        }
    }
}

/// An operation that was begun: its name, and the future of its result.
pub(crate) struct Begun<'k, T> {
    pub(super) operation: Operation,
    pub(super) result: BoxFuture<'k, Result<T>>,
}

/// A store with the methods of [`Store`], which also say what they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObservedStore<'a> {
    pub(super) store: &'a dyn Store,
    /// The keys that are written, in an isolation.
    #[cfg(feature = "test-util")]
    pub(super) written: Option<&'a WrittenKeys>,
}

impl<'a> ObservedStore<'a> {
    /// Records a key that is written, in an isolation.
    #[cfg_attr(not(feature = "test-util"), allow(clippy::unused_self, reason = "there is no isolation"))]
    fn note(self, key: &Key) {
        #[cfg(feature = "test-util")]
        if let Some(written) = self.written {
            written.note(key);
        }
        #[cfg(not(feature = "test-util"))]
        let _ = key;
    }

    pub(crate) fn acquire<'k>(
        self,
        key: &'k Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> Begun<'k, Acquired>
    where
        'a: 'k,
    {
        self.note(key);
        Begun { operation: Operation::Acquire, result: self.store.acquire(key, lease, term, mode) }
    }

    pub(crate) fn extend<'k>(self, key: &'k Key, lease: &'k Lease, term: Duration) -> Begun<'k, bool>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Extend, result: self.store.extend(key, lease, term) }
    }

    pub(crate) fn fill<'k>(self, key: &'k Key, lease: Lease, value: Bytes, ttl: Duration) -> Begun<'k, bool>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Fill, result: self.store.fill(key, lease, value, ttl) }
    }

    pub(crate) fn release<'k>(self, key: &'k Key, lease: Lease, attempt: LastAttempt) -> Begun<'k, ()>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Release, result: self.store.release(key, lease, attempt) }
    }

    pub(crate) fn put<'k>(self, key: &'k Key, value: Bytes, ttl: Option<Duration>) -> Begun<'k, ()>
    where
        'a: 'k,
    {
        self.note(key);
        Begun { operation: Operation::Put, result: self.store.put(key, value, ttl) }
    }

    pub(crate) fn add<'k>(self, key: &'k Key, value: Bytes, ttl: Option<Duration>) -> Begun<'k, Bytes>
    where
        'a: 'k,
    {
        self.note(key);
        Begun { operation: Operation::Add, result: self.store.add(key, value, ttl) }
    }

    pub(crate) fn remove<'k>(self, key: &'k Key) -> Begun<'k, ()>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Remove, result: self.store.remove(key) }
    }

    pub(crate) fn watch<'k>(self, key: &'k Key) -> Begun<'k, Option<Watch>>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Watch, result: self.store.watch(key) }
    }
}
