//! Parameter types and patterns that can be cached.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use cached_runtime::async_cached;

use crate::count;

pub struct Db;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    id: u64,
    name: String,
}

#[async_cached(ttl = 60, skip(_db))]
async fn by_reference(_db: &Db, name: &str, list: &[u64], place: &Place, path: &Path, os: &OsStr) -> usize {
    name.len() + list.len() + place.name.len() + path.as_os_str().len() + os.len()
}

#[async_cached(ttl = 60)]
async fn by_value(
    name: String,
    list: Vec<u64>,
    place: Place,
    arc: Arc<str>,
    cow: Cow<'static, str>,
) -> usize {
    name.len() + list.len() + place.name.len() + arc.len() + cow.len()
}

#[async_cached(ttl = 60)]
async fn options(a: Option<&str>, b: Option<u64>, c: Option<&Place>, d: Option<String>) -> usize {
    a.map_or(0, str::len) + usize::from(b.is_some()) + usize::from(c.is_some()) + usize::from(d.is_some())
}

#[async_cached(ttl = 60)]
async fn tuples(pair: (u64, &str), (a, b): (u64, String), [x, y]: [u8; 2]) -> u64 {
    pair.0 + pair.1.len() as u64 + a + b.len() as u64 + u64::from(x) + u64::from(y)
}

#[async_cached(ttl = 60)]
async fn nested(pair: ((&str, u8), Option<&str>), ((a, b), c): ((u8, (&[u8], u8)), &'static str)) -> usize {
    pair.0.0.len() + usize::from(pair.0.1) + pair.1.map_or(0, str::len) + usize::from(a) + b.0.len() + c.len()
}

macro_rules! with_types {
    ($name:ident, $pair:ty, $single:ty, $output:ty) => {
        #[async_cached(ttl = 60)]
        async fn $name(pair: $pair, single: $single) -> $output {
            pair.0.len() + usize::from(pair.1) + single.len()
        }
    };
}

with_types!(types_of_a_macro, (&str, u8), &str, usize);

#[allow(clippy::type_complexity, clippy::option_option, reason = "they are the subject")]
#[async_cached(ttl = 60)]
async fn optional_tuples(
    pair: Option<(&str, u8)>,
    deep: (Option<((&[u8], u8), &str)>, u8),
    twice: Option<Option<&str>>,
) -> usize {
    let inside = deep.0.map_or(0, |deep| deep.0.0.len() + deep.1.len());
    pair.map_or(0, |pair| pair.0.len()) + inside + twice.flatten().map_or(0, str::len)
}

#[async_cached(ttl = 60, key = (pair, id))]
async fn tuples_in_an_explicit_key(pair: ((&str, u8), u8), id: u64, _other: &str) -> u64 {
    id + u64::from(pair.1)
}

mod __private {
    pub const FACTOR: u64 = 2;

    pub fn factor() -> u64 {
        FACTOR
    }
}

// The names of the runtime do not shadow those of the user.
#[async_cached(
    ttl = 60,
    key = (id * __private::FACTOR, __private::factor()),
    tags(__private::FACTOR.to_string()),
    cache_if = |value: &u64| *value > __private::FACTOR,
)]
async fn private(id: u64) -> u64 {
    id * __private::factor()
}

#[async_cached(ttl = 60)]
async fn structs(Place { id, name }: Place) -> u64 {
    id + name.len() as u64
}

count!(PATTERNS);

#[async_cached(ttl = 60)]
async fn patterns(mut a: u64, _b: u64, _: u64, ref c: String) -> u64 {
    count!(+ PATTERNS);
    a += 1;
    a + c.len() as u64
}

#[async_cached(ttl = 60)]
async fn r#match(r#type: u64, r#fn: &str) -> u64 {
    r#type + r#fn.len() as u64
}

#[async_cached(ttl = 60, skip(show))]
async fn impl_trait(id: u64, show: impl Fn(u64) -> String) -> String {
    show(id)
}

#[async_cached(ttl = 60)]
async fn lifetimes<'a, 'b: 'a>(a: &'a str, b: &'b str) -> usize {
    a.len() + b.len()
}

#[async_cached(ttl = 60, key = (place.id, x.to_bits(), name.map(str::len), format!("{y}")))]
async fn expressions(place: &Place, x: f64, y: f32, name: Option<&str>, verbose: bool) -> usize {
    place.name.len() + name.map_or(0, str::len) + usize::from(verbose) + x as usize + y as usize
}

#[async_cached(ttl = 60)]
async fn with_cfg(#[cfg(not(any()))] there: u64, #[cfg(any())] missing: Missing, last: &str) -> u64 {
    #[cfg(any())]
    let _ = missing;
    there + last.len() as u64
}

#[async_cached(ttl = 60, skip(there, missing))]
async fn with_skipped_cfg(#[cfg(not(any()))] there: u64, #[cfg(any())] missing: Missing, last: &str) -> u64 {
    there + last.len() as u64
}

#[allow(clippy::too_many_arguments, reason = "there can be as many")]
#[async_cached(ttl = 60)]
async fn twelve(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l
}

#[async_cached(ttl = 60)]
async fn names_of_ours(value: u64, verb: u64, key: u64, looked: u64, miss: u64, this: u64) -> u64 {
    value + verb + key + looked + miss + this
}

#[async_cached(ttl = 60)]
async fn none() -> u64 {
    1
}

#[tokio::test]
async fn every_argument_can_be_in_the_key() {
    let place = Place { id: 1, name: "here".to_owned() };
    by_reference(&Db, "a", &[1], &place, Path::new("b"), OsStr::new("c")).await;
    assert_eq!(by_reference::peek("a", &[1], &place, Path::new("b"), OsStr::new("c")).await, Some(8));
    by_value("a".to_owned(), vec![1], place.clone(), "b".into(), "c".into()).await;
    options(Some("a"), Some(1), Some(&place), None).await;
    assert_eq!(options::peek(Some("a"), Some(1), Some(&place), None).await, Some(3));
    tuples((1, "a"), (2, String::new()), [3, 4]).await;
    assert_eq!(tuples::peek((1, "a"), (2, String::new()), [3, 4]).await, Some(11));
    nested((("a", 1), Some("b")), ((2, (&[3], 4)), "c")).await;
    assert_eq!(nested::peek((("a", 1), Some("b")), ((2, (&[3], 4)), "c")).await, Some(7));
    types_of_a_macro(("a", 1), "b").await;
    assert_eq!(types_of_a_macro::peek(("a", 1), "b").await, Some(3));
    let deep = || (Some(((&[1, 2][..], 3), "a")), 4);
    optional_tuples(Some(("a", 1)), deep(), Some(Some("b"))).await;
    assert_eq!(optional_tuples::peek(Some(("a", 1)), deep(), Some(Some("b"))).await, Some(5));
    assert_eq!(optional_tuples::peek(None, deep(), Some(Some("b"))).await, None);
    tuples_in_an_explicit_key((("a", 1), 2), 3, "b").await;
    assert_eq!(tuples_in_an_explicit_key::peek((("a", 1), 2), 3).await, Some(5));
    assert_eq!((private(1).await, private::peek(1).await, private(2).await), (2, None, 4));
    structs(place.clone()).await;
    assert_eq!(structs::peek(place.clone()).await, Some(5));
    for _ in 0..2 {
        assert_eq!(patterns(1, 2, 3, "c".to_owned()).await, 3);
    }
    patterns(1, 2, 4, "c".to_owned()).await;
    assert_eq!(count!(= PATTERNS), 2);
    r#match(1, "a").await;
    r#match::invalidate(1, "a").await.unwrap();
    assert_eq!(impl_trait(1, |id| id.to_string()).await, impl_trait(1, |_| String::new()).await);
    lifetimes("a", "b").await;
    assert_eq!(lifetimes::peek("a", "b").await, Some(2));
    expressions(&place, 1.0, 2.0, None, true).await;
    assert_eq!(expressions(&place, 1.0, 2.0, None, false).await, 8);
    with_cfg(1, "a").await;
    assert_eq!(with_cfg::peek(1, "a").await, Some(2));
    with_skipped_cfg(1, "a").await;
    assert_eq!(with_skipped_cfg::peek("a").await, Some(2));
    twelve(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1).await;
    names_of_ours(1, 2, 3, 4, 5, 6).await;
    names_of_ours::put(1, 2, 3, 4, 5, 6, 7).await.unwrap();
    assert_eq!(names_of_ours(1, 2, 3, 4, 5, 6).await, 7);
    none().await;
    assert_eq!(none::peek().await, Some(1));
}
