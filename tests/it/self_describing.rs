//! Values that serde decodes as what the data contains, before it knows their types: `flatten`, `tag` and `untagged`.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};

use cached_runtime::{BoxFuture, async_cached};
use cached_tests::runs::Runs;
use serde::{Deserialize, Serialize};

use crate::log::Log;
use crate::support;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner<T> {
    id: u64,
    part: T,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    outer: T,
    #[serde(flatten)]
    inner: Inner<T>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged<T> {
    One(Inner<T>),
    Other { part: T },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Part(T),
    Text(String),
}

/// All three kinds, with a part of one type.
type Kinds<T> = (Flat<T>, [Tagged<T>; 2], [Untagged<T>; 2]);

fn kinds<T: Clone>(part: &T) -> Kinds<T> {
    let inner = || Inner { id: 1, part: part.clone() };
    (
        Flat { outer: part.clone(), inner: inner() },
        [Tagged::One(inner()), Tagged::Other { part: part.clone() }],
        [Untagged::Part(part.clone()), Untagged::Text("text".to_owned())],
    )
}

async fn assert_kept<T: Clone + Debug + PartialEq>(
    call: impl Fn() -> BoxFuture<'static, Kinds<T>>,
    part: T,
    runs: &Runs,
) {
    for _ in 0..3 {
        assert_eq!(call().await, kinds(&part));
    }
    assert_eq!(runs.count(), 1, "{part:?} was computed again");
}

macro_rules! kept {
    ($codec:tt, $store:ident: $($test:ident, $type:ty, $part:expr;)+) => {$(
        #[tokio::test]
        async fn $test() {
            static RUNS: Runs = Runs::new();

            #[async_cached(ttl = 600, codec = $codec, backend = support::$store())]
            async fn value() -> Kinds<$type> {
                RUNS.next();
                kinds(&$part)
            }

            assert_kept(|| Box::pin(value()), $part, &RUNS).await;
        }
    )+};
}

macro_rules! tests {
    ($($module:ident: $codec:tt, $store:ident;)+) => {$(
        mod $module {
            use super::*;

            kept! { $codec, $store:
                bytes_are_kept, Vec<u8>, vec![0, 1, 200, 255];
                bytes_that_look_like_a_string_are_kept, Vec<u8>, b"abc".to_vec();
                addresses_are_kept, IpAddr, IpAddr::from(Ipv4Addr::LOCALHOST);
                numbers_are_kept, (i64, u64, f64, char, bool), (-1, u64::MAX, 1e300, 'x', true);
                options_are_kept, [Option<u8>; 2], [None, Some(1)];
            }

            /// As 16 bytes, small numbers are a valid string.
            #[async_cached(ttl = 600, codec = $codec, backend = support::$store())]
            async fn wide(number: u128) -> Kinds<u128> {
                kinds(&number)
            }

            #[tokio::test]
            async fn numbers_of_128_bits_are_right_and_the_first_that_is_not_kept_is_reported() {
                let (log, _guard) = Log::start();
                let number = u128::MAX - 1;
                assert_eq!(wide(number).await, kinds(&number));
                let reports = log.lines_with("::wide");
                assert!(reports.len() == 1 && reports[0].contains("u128"), "{reports:#?}");
                for number in [number, 5, u128::from_be_bytes(*b"sixteen letters!")] {
                    assert_eq!(wide(number).await, kinds(&number));
                    assert_eq!(wide(number).await, kinds(&number));
                }
                assert_eq!(log.lines_with("::wide").len(), 1, "it is reported once");
            }
        }
    )+};
}

tests! {
    msgpack_in_redis: "msgpack", redis;
    json_in_redis: "json", redis;
    msgpack_in_memcached: "msgpack", memcached;
}
