//! The span around a computation, and the events of calls: the feature `tracing`.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use cached_runtime::{async_cached, uncached};
use cached_tests::map_store::MapStore;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument as _, Metadata, Subscriber, info_span};
use tracing_core::span::Current;

/// What a thread traces: a line for each event and each span that begins, with the spans in which that was.
#[derive(Debug, Clone, Default)]
struct Trace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// The spans, by number.
    spans: BTreeMap<u64, &'static Metadata<'static>>,
    /// The numbers of those that were entered, the outermost first.
    entered: Vec<u64>,
}

impl Trace {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let trace = Self::default();
        (trace.clone(), tracing::subscriber::set_default(trace))
    }

    /// Returns what was traced since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().lines)
    }
}

impl State {
    fn add(&mut self, name: &str, parent: Option<u64>, fields: &str) {
        let spans: Vec<_> = match parent {
            Some(parent) => vec![self.spans[&parent].name()],
            None => self.entered.iter().map(|id| self.spans[id].name()).collect(),
        };
        self.lines.push(format!("[{}] {name} {fields}", spans.join(" ")).trim_end().to_owned());
    }
}

impl Subscriber for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "cached_runtime::trace" || metadata.target() == "user"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut state = self.0.lock().unwrap();
        let id = state.spans.len() as u64 + 1;
        let mut fields = Fields::default();
        span.record(&mut fields);
        state.add(span.metadata().name(), None, &fields.0);
        state.spans.insert(id, span.metadata());
        Id::from_u64(id)
    }

    fn current_span(&self) -> Current {
        let state = self.0.lock().unwrap();
        let current = state.entered.last().map(|id| Current::new(Id::from_u64(*id), state.spans[id]));
        current.unwrap_or_else(Current::none)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, id: &Id) {
        self.0.lock().unwrap().entered.push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        let mut state = self.0.lock().unwrap();
        let place = state.entered.iter().rposition(|entered| *entered == id.into_u64()).unwrap();
        state.entered.remove(place);
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().add("event", event.parent().map(Id::into_u64), &fields.0);
    }
}

/// The fields of a span or an event as text.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

/// Returns the line of a span or an event of the crate about a key.
fn line(spans: &str, what: &str, key: &str, more: &str) -> String {
    let cache = key.split(':').next().unwrap().trim_end_matches(".v1");
    format!("[{spans}] {what} cache={cache:?} key={key:?} {more}").trim_end().to_owned()
}

fn computation(spans: &str, key: &str, cause: &str) -> Vec<String> {
    let cause = format!("cause={cause:?}");
    let inside = format!("{spans} cached.compute").trim_start().to_owned();
    vec![
        line(spans, "cached.compute", key, &cause),
        line("cached.compute", "event message=runs the function", key, &cause),
        format!("[{inside}] event message=the body"),
    ]
}

#[async_cached(ttl = 60, name = "traced.memory")]
async fn in_memory(id: u32) -> u32 {
    // A body that is polled more than once is in its span each time, and has one span.
    tokio::task::yield_now().await;
    tracing::info!(target: "user", "the body");
    id
}

#[tokio::test]
async fn a_computation_has_a_span_and_every_call_an_event() {
    let (trace, _guard) = Trace::start();
    let key = in_memory::key(1).unwrap();

    in_memory(1).await;
    assert_eq!(trace.take(), computation("", &key, "miss"));
    in_memory(1).await;
    assert_eq!(trace.take(), [line("", "event message=a hit in memory", &key, "")]);
    in_memory::refresh(1).await;
    assert_eq!(trace.take(), computation("", &key, "refresh"));
    uncached(in_memory(1)).await;
    assert_eq!(trace.take(), computation("", &key, "uncached"));

    in_memory::clear().await.unwrap();
    tokio::join!(in_memory(1), in_memory(1));
    let mut expected = computation("", &key, "miss");
    expected.push(line("", "event message=joined the computation of another call", &key, ""));
    assert_eq!(trace.take(), expected);
}

#[async_cached(ttl = 60, stale_while_revalidate = 60, name = "traced.stale")]
async fn stale(id: u32) -> u32 {
    tracing::info!(target: "user", "the body");
    id
}

#[tokio::test]
async fn a_refresh_in_the_background_is_in_the_span_of_its_caller() {
    let (trace, _guard) = Trace::start();
    let key = stale::key(1).unwrap();
    stale(1).await;
    stale::expire(1).await.unwrap();
    trace.take();

    stale(1).instrument(info_span!(target: "user", "request")).await;
    while stale::stats().background_refreshes == 0 {
        tokio::task::yield_now().await;
    }
    let mut expected = vec!["[] request".to_owned(), line("request", "event message=a stale hit", &key, "")];
    expected.extend(computation("request", &key, "background"));
    assert_eq!(trace.take(), expected);
}

#[async_cached(ttl = 60, stale_if_error = 60, max_concurrent = 1, name = "traced.bounded")]
async fn bounded(id: u32) -> Result<u32, String> {
    if id == 1 && bounded::stats().computed > 1 {
        return Box::pin(bounded(2)).await; // While it has the only place.
    }
    Ok(id)
}

#[tokio::test]
async fn a_stale_value_over_the_bound_is_an_event() {
    for id in [1, 2] {
        bounded(id).await.unwrap();
        bounded::expire(id).await.unwrap();
    }
    let (trace, _guard) = Trace::start();
    assert_eq!(bounded(1).await, Ok(2));
    let (outer, inner) = (bounded::key(1).unwrap(), bounded::key(2).unwrap());
    let mut expected = computation("", &outer, "miss");
    expected.retain(|line| !line.contains("the body"));
    expected.push(line("cached.compute", "event message=a stale hit", &inner, ""));
    assert_eq!(trace.take(), expected);
}

#[async_cached(ttl = 60, detached, name = "traced.detached")]
async fn in_a_task(id: u32) -> u32 {
    tracing::info!(target: "user", "the body");
    id
}

#[tokio::test]
async fn a_computation_in_a_task_is_in_the_span_of_its_caller() {
    let (trace, _guard) = Trace::start();
    let key = in_a_task::key(1).unwrap();
    in_a_task(1).instrument(info_span!(target: "user", "request")).await;
    let mut expected = vec!["[] request".to_owned()];
    expected.extend(computation("request", &key, "miss"));
    assert_eq!(trace.take(), expected);
}

static STORE: LazyLock<MapStore> = LazyLock::new(MapStore::default);

#[async_cached(ttl = 60, backend = &*STORE, name = "traced.shared")]
async fn shared(id: u32) -> u32 {
    tracing::info!(target: "user", "the body");
    id
}

#[tokio::test]
async fn a_shared_store_is_named() {
    let (trace, _guard) = Trace::start();
    let key = shared::key(1).unwrap();
    shared(1).await;
    assert_eq!(trace.take(), computation("", &key, "miss"));
    shared(1).await;
    assert_eq!(trace.take(), [line("", "event message=a hit in the shared store", &key, "")]);
}
