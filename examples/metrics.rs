//! What Prometheus scrapes: the counters are published before each scrape, and the histograms recorded as things happen.
//!
//! ```text
//! $ cargo run --example metrics --features metrics
//! cached_computation_duration_seconds_count{cache="shop.price",cause="miss"} 2
//! cached_computed_total{function="shop.price",cache="shop.price",backend="memory"} 2
//! cached_entries{function="shop.price",cache="shop.price",backend="memory"} 2
//! cached_hits_total{function="shop.price",cache="shop.price",backend="memory"} 2
//! cached_weight{function="shop.price",cache="shop.price",backend="memory"} 2
//! ```
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use cached_runtime::{async_cached, publish_metrics};
use metrics_exporter_prometheus::PrometheusBuilder;

#[async_cached(ttl = 60, name = "shop.price")]
async fn price(id: u64) -> u64 {
    100 * id
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A service answers `GET /metrics` with what it renders.
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    for id in [1, 2, 1, 1] {
        price(id).await;
    }
    publish_metrics();
    let text = prometheus.render();
    // Sorted, and without what is zero or a duration.
    let is_printed = |line: &&str| {
        line.contains("shop.price")
            && !line.ends_with(" 0")
            && !line.contains("quantile")
            && !line.contains("_sum")
    };
    let mut lines: Vec<_> = text.lines().filter(is_printed).collect();
    lines.sort_unstable();
    println!("{}", lines.join("\n"));
    Ok(())
}
