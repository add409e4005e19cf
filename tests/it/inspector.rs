//! The page about the functions and stores of the program, over HTTP and in a browser.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Html;
use axum::routing::get;
use cached_runtime::{Inspector, async_cached, configure, inspector};
use cached_tests::in_own_process;
use cached_tests::map_store::MapStore;
use cached_tests::server::RedisServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::servers::eventually;

static STORE: LazyLock<MapStore> = LazyLock::new(MapStore::default);

#[async_cached(ttl = 60, name = "shown.double", tags("doubles"))]
async fn double(n: u64) -> u64 {
    2 * n
}

#[async_cached(ttl = 60, name = "shown.stored", backend = &*STORE)]
async fn stored(n: u64) -> Option<u64> {
    n.checked_add(1)
}

#[async_cached(ttl = 60, name = "shown.generic")]
async fn generic<T: Send + Sync + 'static>(n: u64) -> usize {
    let _ = n;
    size_of::<T>()
}

#[allow(dead_code, reason = "it is listed without being called")]
#[async_cached(ttl = 60, name = "shown.unused")]
async fn unused(n: u64) -> u64 {
    n
}

/// A server with the page at `/caches`, and how often it was asked for it.
#[derive(Debug, Clone)]
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serves the page, and further pages by path and HTML.
    async fn start(inspector: Inspector, others: &[(&str, String)]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&server.requests);
        let count = move |request: Request, next: Next| {
            requests.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        };
        let mut router = Router::new().nest_service("/caches", inspector).layer(middleware::from_fn(count));
        for (path, html) in others {
            let html = html.clone();
            router = router.route(path, get(async || Html(html)));
        }
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Sends a request to the page, and returns the status and the rest of the answer.
    async fn send(&self, method: &str, headers: &str, body: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let host = self.address;
        let request = format!(
            "{method} /caches HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    async fn page(&self) -> String {
        let (status, page) = self.send("GET", "", "").await;
        assert_eq!(status, 200, "{page}");
        page
    }
}

/// Returns the part of a page that is about the function or the store whose name ends like this.
fn row<'a>(page: &'a str, name: &str) -> &'a str {
    let from = page.find(&format!("{name}<")).unwrap_or_else(|| panic!("{name} is not in {page}"));
    page[from..].split("</tr>").next().unwrap()
}

#[tokio::test]
async fn the_page_shows_functions_and_stores() {
    in_own_process!();
    let server = Server::start(inspector(), &[]).await;
    let page = server.page().await;
    assert!(row(&page, "shown.unused").contains("not used yet"), "{page}");

    for n in [1, 2, 2, 2] {
        double(n).await;
        stored(n).await;
        generic::<u16>(n).await;
        generic::<u32>(n).await;
    }
    let page = server.page().await;
    let double = row(&page, "shown.double");
    assert!(double.contains("<td>memory<td>4<td>50 %"), "{double}");
    assert!(double.contains("60s"), "{double}");
    assert!(row(&page, "shown.stored").contains("<td>custom<td>4<td>50 %"), "{page}");
    assert!(row(&page, "::generic&lt;u16&gt;&gt;").contains("<td>memory<td>4"), "{page}");
    assert!(row(&page, "::generic&lt;u32&gt;&gt;").contains("<td>memory<td>4"), "{page}");
    assert!(page.contains("<td>MapStore") && page.contains(">up<"), "{page}");
    assert!(!page.contains("<form"), "nothing can be changed: {page}");
    let headers = page.split("\r\n\r\n").next().unwrap();
    for header in [
        "content-security-policy: default-src 'none'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ] {
        assert!(headers.contains(header), "{headers}");
    }
    // Whatever `src`, `href` or URL it had would be loaded from elsewhere.
    assert!(
        ["src=", "href=", "url(", "http:", "https:", "@import"].iter().all(|text| !page.contains(text)),
        "{page}"
    );

    let (status, head) = server.send("HEAD", "", "").await;
    assert_eq!((status, head.split("\r\n\r\n").nth(1)), (200, Some("")));
    assert_eq!(server.send("DELETE", "", "").await.0, 405);
}

#[tokio::test]
async fn nothing_can_be_changed_unless_allowed() {
    in_own_process!();
    let server = Server::start(inspector(), &[]).await;
    stored(1).await;
    let (status, page) = server.send("POST", "", "clear=shown.stored").await;
    assert_eq!(status, 403);
    assert!(page.contains("allow_changes"), "{page}");
    assert_eq!(stored::peek(1).await, Some(Some(2)));
}

#[tokio::test]
async fn functions_can_be_cleared_and_tags_invalidated() {
    in_own_process!();
    let server = Server::start(inspector().allow_changes(), &[]).await;
    stored(1).await;
    double(1).await;
    assert!(row(&server.page().await, "shown.stored").contains("<button"));

    // A change needs a POST, whatever the query says.
    assert_eq!(server.send("GET", "", "clear=shown.stored").await.0, 200);
    assert_eq!(stored::peek(1).await, Some(Some(2)));

    let (status, page) = server.send("POST", "sec-fetch-site: same-origin\r\n", "clear=shown.stored").await;
    assert_eq!(status, 200);
    assert!(page.contains("Cleared shown.stored."), "{page}");
    assert_eq!(stored::peek(1).await, None);

    let (status, page) = server.send("POST", "", "tag=doubles").await;
    assert_eq!(status, 200);
    assert!(page.contains("with the tag doubles"), "{page}");
    assert_eq!(double::peek(1).await, None);
}

#[tokio::test]
async fn bad_changes_are_refused_with_a_reason() {
    in_own_process!();
    let server = Server::start(inspector().allow_changes(), &[]).await;
    stored(1).await;
    for (headers, body, expected, reason) in [
        ("sec-fetch-site: cross-site\r\n", "clear=shown.stored", 403, "other sites"),
        ("origin: http://evil.example\r\n", "clear=shown.stored", 403, "other sites"),
        ("", "clear=%3Cscript%3E", 404, "There is no function &lt;script&gt;."),
        ("", "drop=shown.stored", 400, "no change"),
        ("", "", 400, "no change"),
        ("", &format!("tag={}", "x".repeat(20_000)), 400, "too long"),
    ] {
        let (status, page) = server.send("POST", headers, body).await;
        assert_eq!(status, expected, "{headers} {body}");
        assert!(page.contains(reason), "{reason} is not in {page}");
    }
    assert_eq!(stored::peek(1).await, Some(Some(2)));
}

#[async_cached(ttl = 60, name = "shown.remote", backend = cached_runtime::store("<remote>"))]
async fn remote(n: u64) -> u64 {
    n
}

#[tokio::test]
async fn a_change_that_the_store_does_not_confirm_is_reported() {
    in_own_process!();
    let mut redis = RedisServer::start();
    configure().store("<remote>", redis.url()).install().unwrap();
    let server = Server::start(inspector().allow_changes(), &[]).await;
    // The default deadlines are short, and the machine may be busy.
    eventually("the server is up", async || {
        assert_eq!(remote(1).await, 1);
        row(&server.page().await, "&lt;remote&gt;").contains(">up<")
    })
    .await;

    redis.kill();
    let (status, page) = server.send("POST", "", "clear=shown.remote").await;
    assert_eq!(status, 502);
    assert!(page.contains("has not confirmed"), "{page}");
    assert!(row(&page, "&lt;remote&gt;").contains(">down<"), "{page}");
}

/// Opens a page in a headless browser; returns what it has become after some seconds of the browser's clock. `None` if there is no browser.
async fn browse(address: SocketAddr, path: &str) -> Option<String> {
    let url = format!("http://{address}{path}");
    let browser = move || {
        let data = std::env::temp_dir().join(format!("cached-browser-{}", std::process::id()));
        let output = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--virtual-time-budget=12000",
            ])
            .arg(format!("--user-data-dir={}", data.display()))
            .args(["--dump-dom", &url])
            .output();
        let _ = std::fs::remove_dir_all(data);
        output
    };
    let output = tokio::task::spawn_blocking(browser).await.unwrap();
    match output {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(_) => {
            println!("skipped: there is no chromium");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_updates_itself_in_a_browser() {
    in_own_process!();
    let server = Server::start(inspector(), &[]).await;
    stored(1).await;
    let Some(page) = browse(server.address, "/caches").await else { return };
    assert!(page.contains("shown.stored"), "{page}");
    // Its script is allowed to run, and asks again.
    assert!(server.requests.load(Ordering::SeqCst) >= 2, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_changes_something_from_the_page_only() {
    in_own_process!();
    let form = |action: &str| {
        format!(
            "<form method=post action='{action}'><input name=clear value=shown.stored></form>\
             <script>document.forms[0].submit()</script>"
        )
    };
    let pages = [("/own", form("/caches"))];
    let server = Server::start(inspector().allow_changes(), &pages).await;
    let other =
        Server::start(inspector(), &[("/evil", form(&format!("http://{}/caches", server.address)))]).await;

    stored(1).await;
    let Some(page) = browse(other.address, "/evil").await else { return };
    assert!(page.contains("other sites"), "{page}");
    assert_eq!(stored::peek(1).await, Some(Some(2)));

    let page = browse(server.address, "/own").await.unwrap();
    assert!(page.contains("Cleared shown.stored."), "{page}");
    assert_eq!(stored::peek(1).await, None);
}
