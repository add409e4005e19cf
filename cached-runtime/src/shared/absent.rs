//! The replacement of `tier` in builds without shared stores: the same interface on types that have no values.

#![allow(
    dead_code,
    clippy::unused_async,
    reason = "types without values are neither constructed nor awaited"
)]

use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::ShutdownReport;
use crate::memory::{CachedValue, DerivedTags, Fill, WriteAction};
use crate::policy::{Counters, Policy};
use crate::{BoxFuture, Result};

#[derive(Debug)]
pub(crate) struct Tier<K, V> {
    never: Infallible,
    types: PhantomData<fn(K) -> V>,
}

#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    pub(crate) cached: Option<CachedValue<V>>,
    pub(crate) lease_request: Option<Box<LeaseRequest>>,
}

#[derive(Debug)]
pub(crate) struct TierRead<K, V>(Tier<K, V>);

impl<K, V> Future for TierRead<K, V> {
    type Output = SharedRead<V>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<SharedRead<V>> {
        match self.0.never {}
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest(Infallible);

#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    Acquired(HeldLease),
    Filled,
    Busy(LeaseRequest),
    Failed,
    NotStorable,
    Unavailable,
    Overloaded,
}

#[derive(Debug)]
pub(crate) struct HeldLease(Infallible);

#[derive(Debug)]
pub(crate) struct Payload(Infallible);

impl<K, V> Tier<K, V> {
    pub(crate) fn read(&self, _: &K, _: &[String]) -> TierRead<K, V> {
        match self.never {}
    }

    pub(crate) fn replace_request(&self, _: &K, _: &[String]) -> Option<LeaseRequest> {
        match self.never {}
    }

    pub(crate) async fn acquire(&self, _: LeaseRequest) -> LeaseAnswer {
        match self.never {}
    }

    pub(crate) fn report_lost_lease(&self) {
        match self.never {}
    }

    pub(crate) async fn watch(&self, _: &LeaseRequest) -> Option<std::future::Pending<()>> {
        match self.never {}
    }

    pub(crate) async fn peek(&self, _: &K, _: &[String]) -> Option<CachedValue<V>> {
        match self.never {}
    }

    pub(crate) fn encode(&self, _: &V, _: Duration, _: &DerivedTags) -> Result<Payload> {
        match self.never {}
    }

    pub(crate) async fn put(&self, _: &K, _: &[String], _: Payload) -> Result<()> {
        match self.never {}
    }

    pub(crate) async fn remove(&self, _: &K) -> Result<()> {
        match self.never {}
    }

    pub(crate) async fn expire(&self, _: &K, _: &[String]) -> Result<()> {
        match self.never {}
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        match self.never {}
    }

    pub(crate) fn entry_name(&self, _: &K) -> Result<String> {
        match self.never {}
    }
}

impl LeaseRequest {
    pub(crate) fn with_fallback(self, _: bool) -> Self {
        match self.0 {}
    }
}

impl HeldLease {
    pub(crate) async fn finish(self, _: WriteAction<Payload>, _: bool) -> Fill {
        match self.0 {}
    }

    pub(crate) fn keep_alive(&self) -> std::future::Pending<()> {
        match self.0 {}
    }
}

pub(crate) fn clear(_: &Policy, _: &str, _: &'static Counters) -> BoxFuture<'static, Result<()>> {
    Box::pin(std::future::ready(Ok(())))
}

pub(crate) async fn shut_down_stores(_: Instant) -> ShutdownReport {
    ShutdownReport::default()
}
