//! Generic functions.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};

use cached_runtime::async_cached;

pub trait Id: Hash + Eq + Clone + Send + Sync + 'static {}
impl<T: Hash + Eq + Clone + Send + Sync + 'static> Id for T {}

#[async_cached(ttl = 60)]
async fn typed<T: Id + Debug>(id: T) -> String {
    format!("{id:?}")
}

#[async_cached(ttl = 60)]
async fn sized<const N: usize>(id: u8) -> [u8; N] {
    [id; N]
}

#[async_cached(ttl = 60, skip(of))]
async fn both<'a, T, S, const N: usize>(id: &'a str, of: &HashMap<&'a str, T, S>) -> Option<[T; N]>
where
    T: Id + Copy,
    S: BuildHasher,
{
    of.get(id).map(|value| [*value; N])
}

#[async_cached(ttl = 60)]
async fn none_in_the_key<T: Default + Clone + Send + Sync + 'static>() -> T {
    T::default()
}

#[tokio::test]
async fn instances_have_separate_caches() {
    assert_eq!(typed(1_u8).await, "1");
    assert_eq!(typed("a").await, "\"a\"");
    assert_eq!(typed::peek(1_u8).await.as_deref(), Some("1"));
    assert_eq!(typed::peek(1_u16).await, None);
    assert_eq!(sized::<2>(1).await, [1; 2]);
    assert_eq!(sized::<3>(1).await, [1; 3]);
    assert_eq!(sized::peek::<3>(1).await, Some([1; 3]));
    assert_eq!(sized::peek::<4>(1).await, None);
    let of = HashMap::from([("a", 1_u64)]);
    assert_eq!(both::<_, _, 2>("a", &of).await, Some([1, 1]));
    assert_eq!(both::<_, _, 2>("b", &of).await, None);
    assert_eq!(none_in_the_key::<u8>().await, 0);
    assert_eq!(none_in_the_key::<String>().await, "");
    none_in_the_key::put::<u8>(3).await.unwrap();
    assert_eq!(none_in_the_key::<u8>().await, 3);
}
