//! Runs concurrent operations on cached functions and records their history.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cached_runtime::{BoxFuture, Result};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::model::{Event, Kind, NEVER, Operation, now};
use super::origin::Origin;
use super::random::Random;

/// The value of the functions: the version of the origin that they read.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Value {
    function: u64,
    key: u64,
    pub(super) version: u64,
    maker: u64,
}

impl Value {
    /// Returns the tags of the value.
    pub(super) fn tags(&self) -> Vec<String> {
        vec![Tag::Key(self.key).name(), Tag::All.name()]
    }
}

/// An error with the version that the function read, because errors can be cached too.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Fault(Value);

pub(super) type Answer = std::result::Result<Value, Fault>;

/// A cached function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) options: &'static str,
    pub(super) call: fn(u64, Plan) -> BoxFuture<'static, Answer>,
    pub(super) refresh: fn(u64, Plan) -> BoxFuture<'static, Answer>,
    pub(super) peek: fn(u64) -> BoxFuture<'static, Option<Answer>>,
    pub(super) invalidate: fn(u64) -> BoxFuture<'static, Result<()>>,
    pub(super) expire: fn(u64) -> BoxFuture<'static, Result<()>>,
    pub(super) put: fn(u64, Value) -> BoxFuture<'static, Result<()>>,
    pub(super) clear: fn() -> BoxFuture<'static, Result<()>>,
}

impl Function {
    /// Returns `true` if its values have both tags of their key.
    fn is_tagged(&self) -> bool {
        self.options.contains("tags")
    }
}

/// A tag of all functions that have tags.
#[derive(Debug, Clone, Copy)]
enum Tag {
    /// `"key:{key}"`
    Key(u64),
    /// `"all"`
    All,
}

impl Tag {
    fn name(self) -> String {
        match self {
            Self::Key(key) => format!("key:{key}"),
            Self::All => "all".to_owned(),
        }
    }
}

/// Defines a module of cached functions, one for each list of options. With `[tags]` the values have the tags of the key.
macro_rules! functions {
    ($module:ident { $($name:ident $([$tags:ident])? ($($options:tt)*),)* }) => {
        mod $module {
            $(mod $name {
                #[allow(unused_imports, reason = "the options may name them")]
                use super::super::*;
                use crate::history::runner::{Answer, Function, Plan};

                #[cached_runtime::async_cached(
                    $($options)*,
                    $($tags("key:{key}", "all"),)?
                    skip(plan)
                )]
                async fn value(key: u64, plan: Plan) -> Answer {
                    plan.compute(key).await
                }

                pub(super) const FUNCTION: Function = Function {
                    name: stringify!($name),
                    options: stringify!($($tags)? $($options)*),
                    call: |key, plan| Box::pin(value(key, plan)),
                    refresh: |key, plan| Box::pin(value::refresh(key, plan)),
                    peek: |key| Box::pin(value::peek(key)),
                    invalidate: |key| Box::pin(value::invalidate(key)),
                    expire: |key| Box::pin(value::expire(key)),
                    put: |key, new| Box::pin(value::put(key, new)),
                    clear: || Box::pin(value::clear()),
                };
            })*

            pub(super) const ALL: &[super::runner::Function] = &[$($name::FUNCTION),*];
        }
    };
}
pub(super) use functions;

/// The state that all tasks of a process share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) process: u64,
    pub(super) functions: &'static [Function],
    pub(super) keys: u64,
    pub(super) origin: Origin,
    pub(super) history: Mutex<Vec<Event>>,
    pub(super) done: AtomicU64,
    makers: AtomicU64,
}

impl World {
    pub(super) fn new(process: u64, functions: &'static [Function], keys: u64, origin: Origin) -> Arc<Self> {
        Arc::new(Self {
            process,
            functions,
            keys,
            origin,
            history: Mutex::default(),
            done: AtomicU64::new(0),
            makers: AtomicU64::new(0),
        })
    }

    /// Runs a number of operations, divided among tasks.
    pub(super) async fn run(self: &Arc<Self>, seed: u64, tasks: u64, operations: u64) {
        let mut set = JoinSet::new();
        for task in 0..tasks {
            let mut random = Random::new(seed ^ (self.process << 40) ^ (task << 48));
            let mut worker = Worker { world: Arc::clone(self), random: Random::new(random.next()) };
            set.spawn(async move {
                while worker.world.done.fetch_add(1, Ordering::Relaxed) < operations {
                    worker.operate().await;
                }
            });
        }
        while let Some(ended) = set.join_next().await {
            ended.unwrap();
        }
    }

    fn record(&self, event: Event) {
        self.history.lock().unwrap().push(event);
    }

    fn next_maker(&self) -> u64 {
        self.process << 40 | self.makers.fetch_add(1, Ordering::Relaxed)
    }
}

/// The behavior of one run of a function.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    world: Arc<World>,
    function: usize,
    operation: Operation,
    before: Pause,
    after: Pause,
    fails: bool,
}

impl Plan {
    pub(super) async fn compute(self, key: u64) -> Answer {
        let Self { world, function, operation, .. } = self;
        let (maker, begin) = (world.next_maker(), now());
        self.before.pass().await;
        let version = world.origin.version(function, key);
        self.after.pass().await;
        let (process, function) = (world.process, function as u64);
        world.record(Event {
            process,
            function,
            key,
            operation,
            begin,
            end: now(),
            version,
            maker,
            kind: if self.fails { Kind::Error } else { Kind::Value },
        });
        let value = Value { function, key, version, maker };
        if self.fails { Err(Fault(value)) } else { Ok(value) }
    }
}

/// A pause of random length.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pause {
    None,
    Yields(u64),
    Millis(u64),
}

impl Pause {
    pub(super) fn any(random: &mut Random) -> Self {
        match random.below(8) {
            0..3 => Self::None,
            3..7 => Self::Yields(1 + random.below(10)),
            _ => Self::Millis(random.below(4)),
        }
    }

    pub(super) async fn pass(self) {
        match self {
            Self::None => {}
            Self::Yields(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
            Self::Millis(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
    }
}

/// One task.
struct Worker {
    world: Arc<World>,
    random: Random,
}

impl Worker {
    async fn operate(&mut self) {
        let function = usize::try_from(self.random.below(self.world.functions.len() as u64)).unwrap();
        let key = self.random.below(self.world.keys);
        match self.random.below(100) {
            0..57 => self.read(Operation::Call, function, key).await,
            57..63 => self.read(Operation::Refresh, function, key).await,
            63..69 => self.read(Operation::Peek, function, key).await,
            69..80 => self.change(Operation::Invalidate, function, key).await,
            80..86 => self.change(Operation::Expire, function, key).await,
            86..93 => self.change(Operation::Put, function, key).await,
            93..95 => self.change(Operation::Clear, function, key).await,
            95..97 => self.change_tag(Operation::InvalidateTag, Tag::Key(key)).await,
            97..99 => self.change_tag(Operation::ExpireTag, Tag::Key(key)).await,
            _ if self.random.below(2) == 0 => self.change_tag(Operation::InvalidateTag, Tag::All).await,
            _ => self.change_tag(Operation::ExpireTag, Tag::All).await,
        }
    }

    async fn read(&mut self, operation: Operation, function: usize, key: u64) {
        let ops = self.world.functions[function];
        let plan = self.plan(operation, function);
        let call: BoxFuture<'static, Option<Answer>> = match operation {
            Operation::Peek => (ops.peek)(key),
            Operation::Refresh => some((ops.refresh)(key, plan)),
            _ => some((ops.call)(key, plan)),
        };
        let begin = now();
        let answer = self.maybe_drop(call).await;
        let end = now();
        let (kind, value) = match answer {
            Some(Some(Ok(value))) => (Kind::Value, value),
            Some(Some(Err(Fault(value)))) => (Kind::Error, value),
            Some(None) | None => return,
        };
        let asked = (function as u64, key);
        assert_eq!((value.function, value.key), asked, "{} returned the value of another key", ops.name);
        let process = self.world.process;
        let Value { function, version, maker, .. } = value;
        self.world.record(Event { process, function, key, operation, begin, end, version, maker, kind });
    }

    async fn change(&mut self, operation: Operation, function: usize, key: u64) {
        let world = Arc::clone(&self.world);
        let ops = world.functions[function];
        // An invalidation is checked also if the origin has not changed.
        if self.random.below(8) > 0 {
            world.origin.bump(function, key);
        }
        let maker = world.next_maker();
        let keys = if operation == Operation::Clear { 0..world.keys } else { key..key + 1 };
        let changed: Vec<_> = keys.map(|key| (function, key, world.origin.version(function, key))).collect();
        let begin = now();
        let change = match operation {
            Operation::Put => {
                let version = changed[0].2;
                (ops.put)(key, Value { function: function as u64, key, version, maker })
            }
            Operation::Clear => (ops.clear)(),
            Operation::Expire => (ops.expire)(key),
            _ => (ops.invalidate)(key),
        };
        self.finish(operation, begin, maker, change, &changed).await;
    }

    /// Invalidates or expires a tag, which is a change of every key that has it.
    async fn change_tag(&mut self, operation: Operation, tag: Tag) {
        let world = Arc::clone(&self.world);
        let tagged = (0..world.functions.len()).filter(|function| world.functions[*function].is_tagged());
        let keys = match tag {
            Tag::Key(key) => key..key + 1,
            Tag::All => 0..world.keys,
        };
        let all: Vec<_> = tagged.flat_map(|function| keys.clone().map(move |key| (function, key))).collect();
        for (function, key) in &all {
            if self.random.below(8) > 0 {
                world.origin.bump(*function, *key);
            }
        }
        let version = |(function, key)| (function, key, world.origin.version(function, key));
        let mut changed: Vec<_> = all.into_iter().map(version).collect();
        if changed.is_empty() {
            return;
        }
        // A random one of the changed keys is read afterwards.
        let first = usize::try_from(self.random.below(changed.len() as u64)).unwrap();
        changed.rotate_left(first);
        let begin = now();
        let change: BoxFuture<'static, Result<()>> = match operation {
            Operation::ExpireTag => Box::pin(cached_runtime::expire_tag(tag.name())),
            _ => Box::pin(cached_runtime::invalidate_tag(tag.name())),
        };
        self.finish(operation, begin, world.next_maker(), change, &changed).await;
    }

    /// Runs a change and records it for each function and key, with the version of the origin before the change.
    async fn finish(
        &mut self,
        operation: Operation,
        begin: u64,
        maker: u64,
        change: BoxFuture<'static, Result<()>>,
        changed: &[(usize, u64, u64)],
    ) {
        let is_done = matches!(self.maybe_drop(change).await, Some(Ok(())));
        let end = if is_done { now() } else { NEVER };
        for (function, key, version) in changed.iter().copied() {
            let (process, function, kind) = (self.world.process, function as u64, Kind::Value);
            self.world.record(Event { process, function, key, operation, begin, end, version, maker, kind });
        }
        // A read that starts as early as possible after the change.
        if self.random.below(2) == 0 {
            let (function, key, _) = changed[0];
            self.read(Operation::Call, function, key).await;
        }
    }

    /// Awaits a call, or drops it after a pause.
    async fn maybe_drop<T>(&mut self, call: BoxFuture<'static, T>) -> Option<T> {
        if self.random.below(8) > 0 {
            return Some(call.await);
        }
        let pause = Pause::any(&mut self.random);
        tokio::select! {
            biased;
            output = call => Some(output),
            () = pause.pass() => None,
        }
    }

    fn plan(&mut self, operation: Operation, function: usize) -> Plan {
        Plan {
            world: Arc::clone(&self.world),
            function,
            operation: if operation == Operation::Refresh {
                Operation::Recompute
            } else {
                Operation::Compute
            },
            before: Pause::any(&mut self.random),
            after: Pause::any(&mut self.random),
            fails: self.random.below(10) == 0,
        }
    }
}

fn some<T: 'static>(future: BoxFuture<'static, T>) -> BoxFuture<'static, Option<T>> {
    Box::pin(async { Some(future.await) })
}
