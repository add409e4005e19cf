//! What is published to the recorder of the crate `metrics`, and that the guide lists all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cached_runtime::{async_cached, configure, publish_metrics};
use cached_tests::in_own_process;
use cached_tests::map_store::MapStore;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::task::yield_now;

static STORE: LazyLock<MapStore> = LazyLock::new(MapStore::default);

#[async_cached(ttl = 60, name = "metrics.double")]
async fn double(n: u64) -> u64 {
    yield_now().await;
    2 * n
}

#[async_cached(ttl = 60, name = "metrics.generic")]
async fn generic<T: Send + Sync + 'static>(n: u64) -> u64 {
    let _ = n;
    size_of::<T>() as u64
}

#[async_cached(ttl = 60, name = "metrics.stored", backend = &*STORE)]
async fn stored(n: u64) -> u64 {
    n
}

/// Runs the future on this thread, and returns what Prometheus would scrape after it.
fn scrape(future: impl Future<Output = ()>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(future);
        publish_metrics();
    });
    handle.render()
}

async fn use_all(n: u64) {
    tokio::join!(double(n), double(n));
    double(n).await;
    generic::<u8>(n).await;
    generic::<u16>(n).await;
    stored(n).await;
    stored(n).await;
}

/// Returns the value of a time series, by the beginning of its name and parts of its labels.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_it = |line: &&str| {
        let (head, _) = line.split_once(['{', ' ']).unwrap_or_default();
        head == name && labels.iter().all(|label| line.contains(label))
    };
    text.lines().find(is_it)?.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn counters_are_published_for_each_instance() {
    let text = scrape(use_all(1));
    let double = ["function=\"metrics.double\"", "cache=\"metrics.double\"", "backend=\"memory\""];
    for (name, expected) in [
        ("cached_hits_total", 1.0),
        ("cached_computed_total", 1.0),
        ("cached_joined_total", 1.0),
        ("cached_errors_total", 0.0),
        ("cached_entries", 1.0),
        ("cached_weight", 1.0),
        ("cached_computations_in_flight", 0.0),
    ] {
        assert!(value(&text, name, &double).is_some_and(|value| value >= expected), "{name} in\n{text}");
    }
    for instance in ["generic<u8>", "generic<u16>"] {
        assert!(value(&text, "cached_computed_total", &[instance]).is_some(), "{instance} in\n{text}");
    }
    let stored = ["cache=\"metrics.stored\"", "backend=\"custom\""];
    assert!(value(&text, "cached_shared_hits_total", &stored).is_some_and(|hits| hits >= 1.0), "{text}");
}

#[test]
fn durations_and_sizes_are_recorded_as_they_happen() {
    let text = scrape(async {
        for n in 100..103 {
            tokio::join!(double(n), double(n));
            stored(n).await;
        }
    });
    let double = "cache=\"metrics.double\"";
    let count = |name: &str, labels: &[&str]| value(&text, &format!("{name}_count"), labels);
    let computed = count("cached_computation_duration_seconds", &[double, "cause=\"miss\""]);
    assert_eq!(computed, Some(3.0), "{text}");
    assert_eq!(count("cached_wait_duration_seconds", &[double]), Some(3.0), "{text}");
    assert_eq!(count("cached_value_size_bytes", &["cache=\"metrics.stored\""]), Some(3.0), "{text}");
    for operation in ["get", "acquire", "fill"] {
        let labels = [&*format!("operation=\"{operation}\""), "outcome=\"ok\""];
        assert_eq!(
            count("cached_store_operation_duration_seconds", &labels),
            Some(3.0),
            "{labels:?} in\n{text}"
        );
    }
    assert_eq!(count("cached_read_batch_keys", &[]), Some(3.0), "{text}");
}

#[async_cached(ttl = 60, name = "metrics.lost", backend = cached_runtime::store("lost"))]
async fn lost(n: u64) -> u64 {
    n
}

#[test]
fn failures_of_a_store_are_published() {
    in_own_process!();
    configure().store("lost", "redis://127.0.0.1:1").install().unwrap();
    let text = scrape(async {
        lost(1).await;
        lost::invalidate(1).await.unwrap_err();
    });
    let cache = ["cache=\"metrics.lost\"", "backend=\"lost\""];
    assert!(value(&text, "cached_store_errors_total", &cache).is_some_and(|errors| errors >= 2.0), "{text}");
    assert_eq!(value(&text, "cached_store_up", &["server=\"lost\""]), Some(0.0), "{text}");
    assert_eq!(value(&text, "cached_pending_invalidations", &["server=\"lost\""]), Some(1.0), "{text}");
    let failed = ["operation=\"remove\"", "outcome=\"error\""];
    let count = value(&text, "cached_store_operation_duration_seconds_count", &failed);
    assert!(count.is_some_and(|count| count >= 1.0), "{text}");
}

/// The name of each metric, with its labels.
type Series = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_guide_lists_every_metric_with_its_labels() {
    let guide = include_str!("../../cached-runtime/docs/guide/operating.md");
    let listed: Series = guide
        .lines()
        .filter(|line| line.starts_with("| `cached_"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (cells[1].trim_matches('`').to_owned(), words(cells[3]))
        })
        .collect();
    assert_eq!(published(&scrape(use_all(2))), listed);
}

fn published(text: &str) -> Series {
    let mut series = Series::new();
    for line in text.lines().filter(|line| line.starts_with("cached_")) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let name =
            ["_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        let labels = rest.split("=\"").map(|part| part.rsplit([',', '{', '"']).next().unwrap());
        let labels = labels.take(rest.matches("=\"").count()).filter(|label| *label != "quantile");
        series.entry(name.to_owned()).or_default().extend(labels.map(str::to_owned));
    }
    series
}
