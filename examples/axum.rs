//! A small web service whose handlers call cached functions.
//!
//! It listens on a free port, sends itself a few requests, and exits.
//!
//! ```text
//! $ cargo run --example axum --features axum
//! GET /products/1 -> 200 OK: chair, 40
//! GET /products/1 -> 200 OK: chair, 40
//! GET /products/9 -> 404 Not Found: no such product
//! PUT /products/1/price/35 -> 204 No Content
//! GET /products/1 -> 200 OK: chair, 35
//! GET /caches -> 200 OK: axum::product: 1 hits, 3 computed
//! ```

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use cached_runtime::async_cached;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
struct Product {
    name: &'static str,
    price: u64,
}

/// Stands in for a database.
type Db = Arc<Mutex<HashMap<u64, Product>>>;

/// The key is what identifies the product. The database is skipped.
#[async_cached(ttl = "5m", cache_none = "10s", skip(db))]
async fn product(db: &Db, id: u64) -> Option<Product> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    db.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
}

async fn show(State(db): State<Db>, Path(id): Path<u64>) -> Result<String, (StatusCode, &'static str)> {
    let product = product(&db, id).await.ok_or((StatusCode::NOT_FOUND, "no such product"))?;
    Ok(format!("{}, {}", product.name, product.price))
}

async fn set_price(State(db): State<Db>, Path((id, price)): Path<(u64, u64)>) -> StatusCode {
    if let Some(product) = db.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
        product.price = price;
    }
    // First the database, then the cache: a call that is computing the old price now cannot store it.
    match product::invalidate(id).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn caches() -> String {
    let line = |cache: cached_runtime::CacheInfo| {
        let stats = cache.stats();
        format!("{}: {} hits, {} computed", cache.name(), stats.hits, stats.computed)
    };
    cached_runtime::caches().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let db = Db::default();
    db.lock().unwrap_or_else(PoisonError::into_inner).insert(1, Product { name: "chair", price: 40 });
    let service = Router::new()
        .route("/products/{id}", get(show))
        .route("/products/{id}/price/{price}", put(set_price))
        .route("/caches", get(caches))
        .with_state(db);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, service).await });

    for request in [
        "GET /products/1",
        "GET /products/1",
        "GET /products/9",
        "PUT /products/1/price/35",
        "GET /products/1",
        "GET /caches",
    ] {
        println!("{request} -> {}", ask(address, request).await?);
    }
    Ok(())
}

/// Sends a request; returns the status and the body of the response.
async fn ask(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    connection.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ");
    Ok(if body.is_empty() { status.to_owned() } else { format!("{status}: {body}") })
}
