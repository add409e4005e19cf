//! How many requests the cache keeps from a slow origin.
//!
//! The origin is an HTTP server in this program. It takes 50 ms for each request and counts the requests.
//!
//! ```text
//! $ cargo run --example quickstart
//!                                       calls     time   requests to the origin
//! the first call                            1    50 ms   1
//! the second call                           1     0 ms   0
//! 1000 callers at once, nothing stored   1000    60 ms   1
//! the same again                         1000     0 ms   0
//! the same after `invalidate`            1000    60 ms   1
//! the first user a second later             1    50 ms   1
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cached_runtime::async_cached;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Returns the user with this id; the result is cached in memory for one second.
#[async_cached(ttl = 1, skip(origin))]
async fn user(origin: &Origin, id: u64) -> io::Result<String> {
    origin.get(&format!("/users/{id}")).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let origin = Arc::new(Origin::start().await?);
    println!("{:36} {:>6} {:>8}   requests to the origin", "", "calls", "time");

    show("the first call", &origin, 1, 1).await?;
    show("the second call", &origin, 1, 1).await?;
    show("1000 callers at once, nothing stored", &origin, 2, 1000).await?;
    show("the same again", &origin, 2, 1000).await?;
    user::invalidate(2).await?;
    show("the same after `invalidate`", &origin, 2, 1000).await?;
    sleep(Duration::from_secs(1)).await;
    show("the first user a second later", &origin, 1, 1).await?;
    Ok(())
}

/// Calls the function from `callers` tasks at once, and prints the time and the requests that this took.
async fn show(what: &str, origin: &Arc<Origin>, id: u64, callers: u64) -> io::Result<()> {
    let (began, before) = (Instant::now(), origin.requests());
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let origin = Arc::clone(origin);
        tasks.spawn(async move { user(&origin, id).await });
    }
    for user in tasks.join_all().await {
        assert_eq!(user?, format!("this is /users/{id}"));
    }
    let (millis, requests) = (began.elapsed().as_millis() / 10 * 10, origin.requests() - before);
    println!("{what:36} {callers:6} {millis:5} ms   {requests}");
    Ok(())
}

/// A slow HTTP server on the loopback interface, with its client.
struct Origin {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Origin {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let requests = Arc::new(AtomicU64::new(0));
        let origin = Self { address: listener.local_addr()?, requests: Arc::clone(&requests) };
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, Arc::clone(&requests)));
            }
        });
        Ok(origin)
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn get(&self, path: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect(self.address).await?;
        connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut response = String::new();
        connection.read_to_string(&mut response).await?;
        let (_, body) = response.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
        Ok(body.to_owned())
    }
}

/// Responds to the one request of a connection, after 50 ms.
async fn answer(mut connection: TcpStream, requests: Arc<AtomicU64>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(connection.read_u8().await?);
    }
    requests.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_millis(50)).await;
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    connection.write_all(format!("HTTP/1.0 200 OK\r\n\r\nthis is {path}").as_bytes()).await
}
