//! A store whose operations have names, so that a failure is reported by the name of the operation.

use std::time::Duration;

use bytes::Bytes;

use super::failure_log::OperationClass;
use crate::{Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch};

/// An operation of a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Get,
    Acquire,
    Extend,
    Fill,
    Release,
    Put,
    Add,
    Remove,
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
pub(crate) struct ObservedStore<'a>(pub(super) &'a dyn Store);

impl<'a> ObservedStore<'a> {
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
        Begun { operation: Operation::Acquire, result: self.0.acquire(key, lease, term, mode) }
    }

    pub(crate) fn extend<'k>(self, key: &'k Key, lease: &'k Lease, term: Duration) -> Begun<'k, bool>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Extend, result: self.0.extend(key, lease, term) }
    }

    pub(crate) fn fill<'k>(self, key: &'k Key, lease: Lease, value: Bytes, ttl: Duration) -> Begun<'k, bool>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Fill, result: self.0.fill(key, lease, value, ttl) }
    }

    pub(crate) fn release<'k>(self, key: &'k Key, lease: Lease, attempt: LastAttempt) -> Begun<'k, ()>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Release, result: self.0.release(key, lease, attempt) }
    }

    pub(crate) fn put<'k>(self, key: &'k Key, value: Bytes, ttl: Option<Duration>) -> Begun<'k, ()>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Put, result: self.0.put(key, value, ttl) }
    }

    pub(crate) fn add<'k>(self, key: &'k Key, value: Bytes, ttl: Option<Duration>) -> Begun<'k, Bytes>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Add, result: self.0.add(key, value, ttl) }
    }

    pub(crate) fn remove<'k>(self, key: &'k Key) -> Begun<'k, ()>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Remove, result: self.0.remove(key) }
    }

    pub(crate) fn watch<'k>(self, key: &'k Key) -> Begun<'k, Option<Watch>>
    where
        'a: 'k,
    {
        Begun { operation: Operation::Watch, result: self.0.watch(key) }
    }
}
