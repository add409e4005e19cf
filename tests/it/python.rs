//! A Python program that implements `docs/WIRE.md` reads the values that Rust has stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Store, async_cached};
use cached_tests::server::{MemcachedServer, RedisServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::servers::Server;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: Customer,
    note: Option<String>,
    image: Vec<u8>,
    lines: Vec<Line>,
    total: f64,
    status: Status,
    labels: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Customer {
    name: String,
    email: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line(String, i32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Status {
    Open,
    Sent { on: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
struct Query {
    region: String,
    after: Option<i64>,
}

/// The schemas of the values, as `docs/WIRE.md` defines them.
const ORDER: &str = r#"Order
"Order"
"Order"{"customer":"Customer","id":u64,"image":[u8],"labels":[str:i64],"lines":["Line"],"note":?str,"status":"Status","total":f64}
"Customer"{"email":?str,"name":str}
"Line"(str,i32)
"Status"<"Open","Sent"{"on":u32}>"#;
const COUNT: &str = "u64\nu64";

fn make_order(id: u64) -> Order {
    Order {
        id,
        customer: Customer { name: "Zoë Ünal".into(), email: Some("zoe@example.org".into()) },
        note: None,
        image: vec![0, 10, 13, 0xc1, 0xff],
        lines: vec![Line("tea".into(), -3), Line(String::new(), i32::MAX)],
        total: 12.5,
        status: if id == 0 { Status::Open } else { Status::Sent { on: 20_260_101 } },
        labels: [("a".to_owned(), i64::MIN), ("b".to_owned(), 1 << 40)].into(),
    }
}

/// Expands to one test per server, with functions and a store of its own.
macro_rules! python_reads {
    ($($kind:ident: $server:ty;)*) => {$(
        mod $kind {
            use super::*;

            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            fn store() -> Arc<dyn Store> {
                Arc::clone(STORE.get().unwrap())
            }

            #[async_cached(ttl = 600, backend = store(), name = "shop.order", version = 3)]
            async fn order(id: u64, lang: &str, query: Query, tags: &[i32]) -> Result<Order, String> {
                let _ = (lang, query, tags);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(make_order(id))
            }

            #[async_cached(ttl = 600, backend = store(), codec = "json")]
            async fn count() -> u64 {
                7
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn python_reads_what_rust_wrote() {
                let server = <$server>::start();
                // Long enough for a server that is busy with other tests.
                let deadline = Duration::from_secs(10);
                STORE.get_or_init(|| <$server as Server>::store_at(&server.addr(), deadline));
                let port = server.port().to_string();
                // `after` is the only option in the arguments of `order`, and it is `Some`.
                let read = |namespace: &str, arguments: &str| {
                    let (options, schema) = if arguments == "[]" { ("", COUNT) } else { ("01", ORDER) };
                    read_value(&[stringify!($kind), &port, namespace, arguments, options, schema])
                };
                let query = Query { region: "Köln {1}".into(), after: Some(-1_700_000_000_000) };
                for id in [0, 42, u64::MAX] {
                    // As text: the fields of a struct keep their order.
                    let arguments = serde_json::to_string(&(id, "de", &query, [1, -200, 70_000])).unwrap();
                    assert_eq!(read("shop.order.v3", &arguments), Value::Null, "nothing is stored yet");
                    let value = order(id, "de", query.clone(), &[1, -200, 70_000]).await.unwrap();
                    let opened = read("shop.order.v3", &arguments);
                    assert_eq!(opened["value"], json!(value));
                    assert!((1..=600_000).contains(&opened["lifetime"].as_u64().unwrap()), "{opened}");
                    assert!(opened["compute_time"].as_u64().unwrap() >= 20, "{opened}");
                    order::invalidate(id, "de", query.clone(), &[1, -200, 70_000]).await.unwrap();
                    assert_eq!(read("shop.order.v3", &arguments), Value::Null, "it was invalidated");
                }

                // The namespace of a function without a `name` is its path.
                let namespace = concat!("it::python::", stringify!($kind), "::count.v1");
                assert_eq!(count().await, 7);
                assert_eq!(read(namespace, "[]")["value"], 7);
                count::clear().await.unwrap();
                assert_eq!(read(namespace, "[]"), Value::Null, "it was cleared");
                assert_eq!(count().await, 7);
                assert_eq!(read(namespace, "[]")["value"], 7);
            }
        }
    )*};
}

python_reads! {
    redis: RedisServer;
    memcached: MemcachedServer;
}

fn read_value(arguments: &[&str]) -> Value {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/read_value.py");
    let output = Command::new(python()).arg(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns a Python with the packages msgpack and xxhash.
fn python() -> &'static str {
    const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/bin/python");
    static PYTHON: OnceLock<Option<&str>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        ["python3", "/usr/bin/python3", INSTALLED].into_iter().find(|python| {
            let output = Command::new(python).args(["-c", "import msgpack, xxhash"]).output();
            output.is_ok_and(|output| output.status.success())
        })
    });
    found.expect(
        "there is no Python with msgpack and xxhash; tests/run installs them, as does `apt-get install python3-msgpack \
         python3-xxhash`",
    )
}
