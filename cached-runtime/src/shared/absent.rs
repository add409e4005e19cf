//! What stands for `tier` in a build without shared stores: a tier that nobody can have.

#![allow(dead_code, clippy::unused_async, reason = "what nobody can have is never made, nor waited for")]

use std::convert::Infallible;
use std::marker::PhantomData;
use std::time::Duration;

use crate::memory::Told;
use crate::memory::{Fill, Kept, Leaves};
use crate::policy::Counters;
use crate::policy::Policy;
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
pub(crate) struct Look<V> {
    pub(crate) kept: Option<Kept<V>>,
    pub(crate) vacant: Option<Vacant>,
}

#[derive(Debug, Clone)]
pub(crate) struct Vacant(Infallible);

#[derive(Debug)]
pub(crate) enum Acquiring {
    Held(Held),
    Filled,
    Busy(Vacant),
    TakenOver,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Held(Infallible);

#[derive(Debug)]
pub(crate) struct Payload(Infallible);

impl<K, V> Tier<K, V> {
    pub(crate) async fn look(&self, _: &K, _: &[String]) -> Look<V> {
        match self.never {}
    }

    pub(crate) fn occupied(&self, _: &K, _: &[String]) -> Option<Vacant> {
        match self.never {}
    }

    pub(crate) async fn acquire(&self, _: Vacant) -> Acquiring {
        match self.never {}
    }

    pub(crate) async fn watch(&self, _: &Vacant) -> Option<std::future::Pending<()>> {
        match self.never {}
    }

    pub(crate) async fn peek(&self, _: &K, _: &[String]) -> Option<Kept<V>> {
        match self.never {}
    }

    pub(crate) fn encode(&self, _: &V, _: Duration, _: &Told) -> Result<Payload> {
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

    pub(crate) fn name(&self, _: &K) -> String {
        match self.never {}
    }
}

impl Held {
    pub(crate) async fn settle(self, _: Leaves<Payload>, _: bool) -> Fill {
        match self.0 {}
    }

    pub(crate) fn keeper(&self) -> std::future::Pending<()> {
        match self.0 {}
    }
}
