//! What stands for [`tier`](crate::tier) in a build without shared stores: a tier that nobody can have.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::time::Duration;

use crate::policy::Policy;
use crate::stats::Counters;
use crate::{BoxFuture, Result};

pub(crate) fn clear(_: &Policy, _: &str, _: &'static Counters) -> BoxFuture<'static, Result<()>> {
    Box::pin(std::future::ready(Ok(())))
}

#[derive(Debug)]
pub(crate) struct Tier<K, V> {
    never: Infallible,
    types: PhantomData<fn(K) -> V>,
}

#[derive(Debug)]
pub(crate) struct Read<V> {
    pub(crate) value: Option<V>,
    pub(crate) held: Option<Held>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    Value,
    Lease,
}

#[derive(Debug)]
pub(crate) struct Held(Infallible);

#[derive(Debug)]
pub(crate) struct Payload(Infallible);

impl<K, V> Tier<K, V> {
    pub(crate) async fn read(&self, _: &K, _: Want) -> Read<V> {
        match self.never {}
    }

    pub(crate) async fn peek(&self, _: &K) -> Option<V> {
        match self.never {}
    }

    pub(crate) fn encode(&self, _: &V, _: Duration) -> Result<Payload> {
        match self.never {}
    }

    pub(crate) async fn put(&self, _: &K, _: Payload) -> Result<()> {
        match self.never {}
    }

    pub(crate) async fn remove(&self, _: &K) -> Result<()> {
        match self.never {}
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        match self.never {}
    }
}

impl Held {
    pub(crate) async fn fill(self, _: Payload) {
        match self.0 {}
    }

    pub(crate) async fn release(self) {
        match self.0 {}
    }

    pub(crate) fn keeper(&self) -> std::future::Pending<()> {
        match self.0 {}
    }
}
