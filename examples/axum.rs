//! A web service: one function, cached in the process, in Redis or in Memcached, as the environment says.
//!
//! It listens on a free port, sends itself a few requests, and ends as at the end of a deployment. With `PORT=8080` it goes on until
//! Ctrl-C: open `/caches` then. Of the last command below, the store cannot be reached.
//!
//! ```text
//! $ cargo run --example axum --features service
//! GET /products/1 -> 200 OK: chair, 40 (Computed)
//! GET /products/1 -> 200 OK: chair, 40 (Memory)
//! GET /products/1 with no-cache -> 200 OK: chair, 40 (Computed)
//! GET /products/9 -> 404 Not Found: no such product
//! PUT /products/1/price/35 -> 204 No Content
//! GET /products/1 -> 200 OK: chair, 35 (Computed)
//! GET /ready -> 200 OK: ready
//! GET /metrics -> 200 OK: cached_computed_total{function="axum::product",cache="axum::product",backend="shared"} 4
//! GET /caches -> 200 OK: an HTML page that mentions axum::product
//! shutdown: 0 invalidations lost
//!
//! $ CACHED_SHARED_URL=$CACHED_REDIS_URL cargo run --example axum --features service
//! GET /products/1 -> 200 OK: chair, 40 (Computed)
//! GET /products/1 -> 200 OK: chair, 40 (Shared)
//! GET /products/1 with no-cache -> 200 OK: chair, 40 (Computed)
//! GET /products/9 -> 404 Not Found: no such product
//! PUT /products/1/price/35 -> 204 No Content
//! GET /products/1 -> 200 OK: chair, 35 (Computed)
//! GET /ready -> 200 OK: ready
//! GET /metrics -> 200 OK: cached_computed_total{function="axum::product",cache="axum::product",backend="shared"} 4
//! GET /caches -> 200 OK: an HTML page that mentions axum::product
//! shutdown: 0 invalidations lost
//!
//! $ CACHED_SHARED_URL=memcached://$CACHED_MEMCACHED_SERVERS cargo run --example axum --features service
//! GET /products/1 -> 200 OK: chair, 40 (Computed)
//! GET /products/1 -> 200 OK: chair, 40 (Shared)
//! GET /products/1 with no-cache -> 200 OK: chair, 40 (Computed)
//! GET /products/9 -> 404 Not Found: no such product
//! PUT /products/1/price/35 -> 204 No Content
//! GET /products/1 -> 200 OK: chair, 35 (Computed)
//! GET /ready -> 200 OK: ready
//! GET /metrics -> 200 OK: cached_computed_total{function="axum::product",cache="axum::product",backend="shared"} 4
//! GET /caches -> 200 OK: an HTML page that mentions axum::product
//! shutdown: 0 invalidations lost
//!
//! $ CACHED_SHARED_URL=redis://127.0.0.1:1 cargo run --example axum --features service
//! GET /products/1 -> 200 OK: chair, 40 (Computed)
//! GET /products/1 -> 200 OK: chair, 40 (Computed)
//! GET /products/1 with no-cache -> 200 OK: chair, 40 (Computed)
//! GET /products/9 -> 404 Not Found: no such product
//! PUT /products/1/price/35 -> 202 Accepted
//! GET /products/1 -> 200 OK: chair, 35 (Computed)
//! GET /ready -> 503 Service Unavailable: the store is down
//! GET /metrics -> 200 OK: cached_computed_total{function="axum::product",cache="axum::product",backend="shared"} 5
//! GET /caches -> 200 OK: an HTML page that mentions axum::product
//! shutdown: 1 invalidations lost
//! ```

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, put};
use cached_runtime::{ServerState, async_cached, health, inspector, publish_metrics, recompute, shutdown};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Product {
    name: String,
    price: u64,
}

/// Stands in for a database.
type Db = Arc<Mutex<HashMap<u64, Product>>>;

/// The key is what identifies the product. The database is skipped.
#[async_cached(ttl = "5m", cache_none = "10s", skip(db), backend = "shared")]
async fn product(db: &Db, id: u64) -> Option<Product> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    db.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
}

async fn show(State(db): State<Db>, Path(id): Path<u64>) -> Result<String, (StatusCode, &'static str)> {
    // `product(&db, id).await`, if the source were of no interest.
    let found = product::lookup(&db, id).await;
    let Product { name, price } = found.value.ok_or((StatusCode::NOT_FOUND, "no such product"))?;
    Ok(format!("{name}, {price} ({:?})", found.source))
}

async fn set_price(State(db): State<Db>, Path((id, price)): Path<(u64, u64)>) -> StatusCode {
    if let Some(product) = db.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
        product.price = price;
    }
    // First the database, then the cache: a call that is computing the old price now cannot store it.
    match product::invalidate(id).await {
        Ok(()) => StatusCode::NO_CONTENT,
        // The store has not confirmed it, and it is retried.
        Err(_) => StatusCode::ACCEPTED,
    }
}

/// Computes whatever is cached, and stores it, for a request with `Cache-Control: no-cache`.
async fn obey_no_cache(request: Request, next: Next) -> Response {
    let is_no_cache = request.headers().get(CACHE_CONTROL).is_some_and(|value| value == "no-cache");
    if is_no_cache { recompute(next.run(request)).await } else { next.run(request).await }
}

/// A service whose store is down still answers, but more slowly; the load balancer may prefer another. It has to send some
/// requests nevertheless: only an operation finds that the store is back.
async fn ready() -> (StatusCode, &'static str) {
    if health().iter().any(|server| server.state == ServerState::Down) {
        (StatusCode::SERVICE_UNAVAILABLE, "the store is down")
    } else {
        (StatusCode::OK, "ready")
    }
}

async fn metrics(State(prometheus): State<PrometheusHandle>) -> String {
    publish_metrics();
    prometheus.render()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    let db = Db::default();
    db.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(1, Product { name: "chair".to_owned(), price: 40 });
    let service = Router::new()
        .route("/products/{id}", get(show))
        .route("/products/{id}/price/{price}", put(set_price))
        .layer(middleware::from_fn(obey_no_cache))
        .with_state(db)
        .route("/ready", get(ready))
        .route("/metrics", get(metrics).with_state(prometheus))
        // In a service of your own on an internal port: it is for operators only.
        .nest_service("/caches", inspector().allow_changes());

    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await?;
    let address = listener.local_addr()?;
    let ended = async move {
        if port.is_some() {
            let _ = tokio::signal::ctrl_c().await;
        } else {
            demonstrate(address).await;
        }
    };
    // When no request is being answered any more, what the cache has begun ends.
    axum::serve(listener, service).with_graceful_shutdown(ended).await?;
    let report = shutdown(Duration::from_secs(2)).await;
    println!("shutdown: {} invalidations lost", report.invalidations_left);
    Ok(())
}

async fn demonstrate(address: SocketAddr) {
    for request in [
        "GET /products/1",
        "GET /products/1",
        "GET /products/1 with no-cache",
        "GET /products/9",
        "PUT /products/1/price/35",
        "GET /products/1",
        "GET /ready",
        "GET /metrics",
        "GET /caches",
    ] {
        let answer = ask(address, request).await.unwrap_or_else(|error| error.to_string());
        println!("{request} -> {answer}");
    }
}

/// Sends a request; returns the status and the body of the response, or what matters of it.
async fn ask(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let (line, cache_control) = match request.split_once(" with ") {
        Some((line, cache_control)) => (line, cache_control),
        None => (request, "max-age=60"),
    };
    let request = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncache-control: {cache_control}\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    connection.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ");
    let body = match line {
        "GET /metrics" => {
            body.lines().find(|line| line.starts_with("cached_computed_total{")).unwrap_or_default()
        }
        "GET /caches" if body.contains("axum::product") => "an HTML page that mentions axum::product",
        _ => body,
    };
    Ok(if body.is_empty() { status.to_owned() } else { format!("{status}: {body}") })
}
