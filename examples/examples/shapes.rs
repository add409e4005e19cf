#![allow(dead_code)]
use cached_runtime::async_cached;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
static CALLS: AtomicU32 = AtomicU32::new(0);
struct Db;
#[derive(Clone, Debug, PartialEq)]
struct User(u64);
#[derive(Clone, Debug, PartialEq)]
struct E1;
#[derive(Debug)]
struct E2;
type Res<T> = Result<T, E1>;
/// Doc.
#[async_cached(ttl = 60, skip(db))]
async fn user(db: &Db, id: u64, lang: &str) -> User {
    let _ = (db, lang);
    CALLS.fetch_add(1, Ordering::SeqCst);
    User(id)
}
#[async_cached(ttl = "1h30m")]
pub async fn res(id: u64) -> Res<User> {
    if id == 0 {
        return Err(E1);
    }
    Ok(User(id))
}
#[async_cached(ttl = 1, cache_err = "5s", cache_none = "1s")]
pub async fn res_opt(id: u64) -> Result<Option<u8>, E1> {
    let x: Option<u8> = if id > 5 { None } else { Some(3) };
    Ok(x)
}
#[async_cached(ttl = std::time::Duration::from_millis(5))]
pub(crate) async fn res2(id: u64) -> Result<User, E2> {
    Ok(User(id))
}
#[async_cached(ttl = 60)]
async fn generic<T: std::hash::Hash + Eq + Clone + Send + Sync + 'static + Default, const N: usize>(
    t: T,
) -> [T; N]
where
    T: Copy,
{
    [t; N]
}
#[async_cached(ttl = 60, max_bytes = "1MiB", weigh = |k, v| (k.0.len() + v.len()) as u64)]
async fn weighed(name: &str) -> Option<String> {
    Some(name.to_owned())
}
#[async_cached(ttl_from = |u: &User| std::time::Duration::from_secs(u.0), cache_if = |u| u.0 > 1)]
async fn from(id: u64) -> Res<User> {
    Ok(User(id))
}
#[async_cached(ttl = 60, detached)]
async fn det(id: u64, name: String) -> Res<User> {
    tokio::task::yield_now().await;
    let _ = name;
    Ok(User(id))
}
#[async_cached(ttl = 60, key = (x.to_bits(), p.0, s.as_str()), single_flight = "off")]
async fn keyed(x: f64, p: User, mut s: String, (_a, _b): (u8, u8), _: u8) -> User {
    s.push('x');
    User(p.0 + s.len() as u64 + x as u64)
}
#[async_cached(ttl = 60)]
async fn pats((a, b): (u8, &str), mut c: Option<&str>, _d: Vec<u8>) -> u8 {
    c.take();
    a + b.len() as u8
}
#[async_cached(ttl = 60)]
async fn uns(r#type: u8) -> u8 {
    r#type
}
#[async_cached(ttl = 60)]
async fn unit() {}
struct Repo<T>(T);
impl<T: Clone + std::hash::Hash + Eq + Send + Sync + 'static> Repo<T> {
    #[async_cached(ttl = 60, key = (self.0.clone(), id))]
    pub async fn find(&self, id: u64, lang: &str) -> Res<T> {
        let _ = (id, lang);
        CALLS.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.clone())
    }
    #[async_cached(ttl = 60, skip(self))]
    async fn private(&self, id: u64, lang: &str) -> Res<u64> {
        let x: u64 = lang.parse().map_err(|_| E1)?;
        if id == 3 {
            return Err(E1);
        }
        for _ in 0..3 {}
        Ok(x)
    }
    #[async_cached(ttl = 60)]
    pub(crate) async fn make(t: T) -> Self {
        Repo(t)
    }
    #[async_cached(ttl = 60, associated)]
    pub async fn assoc(t: u8) -> u8 {
        t
    }
    #[async_cached(ttl = 60, skip(self))]
    pub async fn arc(self: std::sync::Arc<Self>, id: u64) -> u64 {
        id
    }
}
impl<T: Clone> Clone for Repo<T> {
    fn clone(&self) -> Self {
        Repo(self.0.clone())
    }
}
trait Find {
    async fn find2(&self, id: u64) -> Res<u64>;
}
impl<T: Send + Sync + 'static> Find for Repo<T> {
    #[async_cached(ttl = 60, skip(self))]
    async fn find2(&self, id: u64) -> Res<u64> {
        let x = "5".parse::<u64>().map_err(|_| E1)?;
        Ok(id + x)
    }
}
#[async_trait::async_trait]
trait Find3 {
    async fn find3(&self, id: u64, s: &str) -> Res<u64>;
}
#[async_trait::async_trait]
impl<T: Send + Sync + 'static> Find3 for Repo<T> {
    #[async_cached(ttl = 60, skip(self))]
    async fn find3(&self, id: u64, s: &str) -> Res<u64> {
        let x = s.parse::<u64>().map_err(|_| E1)?;
        Ok(id + x)
    }
}
fn is_send<T: Send>(t: T) -> T {
    t
}
#[tokio::main]
async fn main() {
    for _ in 0..3 {
        assert_eq!(is_send(user(&Db, 1, "de")).await, User(1));
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
    println!("{:?}", user::stats());
    user::invalidate(1, "de").await.unwrap();
    assert_eq!(user::peek(1, "de").await, None);
    user::put(1, "de", User(9)).await.unwrap();
    assert_eq!(user(&Db, 1, "de").await, User(9));
    assert_eq!(user::refresh(&Db, 1, "de").await, User(1));
    user::clear().await.unwrap();
    assert_eq!(user::peek(1, "de").await, None);
    assert_eq!(res(0).await, Err(E1));
    assert_eq!(res(1).await, Ok(User(1)));
    res::put(1, User(4)).await.unwrap();
    assert_eq!(res::peek(1).await, Some(Ok(User(4))));
    assert_eq!(res_opt(9).await, Ok(None));
    assert_eq!(res_opt::peek(9).await, Some(Ok(None)));
    let _ = res2(1).await;
    assert_eq!(generic::<u8, 3>(1).await, [1; 3]);
    assert_eq!(generic::<u8, 2>(1).await, [1; 2]);
    assert_eq!(generic::<u16, 2>(1).await, [1u16; 2]);
    generic::invalidate::<u8, 3>(1).await.unwrap();
    weighed("a").await;
    weighed("a").await;
    println!("{:?}", weighed::stats());
    from(1).await;
    from(7).await;
    println!("{:?}", from::stats());
    assert_eq!(is_send(det(1, "a".into())).await, Ok(User(1)));
    keyed(1.0, User(2), "x".into(), (1, 2), 3).await;
    pats((1, "a"), Some("x"), vec![]).await;
    uns(1).await;
    unit().await;
    let repo = Repo(5u8);
    let repo2 = Repo(6u8);
    assert_eq!(is_send(repo.find(1, "a")).await, Ok(5));
    assert_eq!(repo2.find(1, "a").await, Ok(6));
    assert_eq!(repo.find(1, "b").await, Ok(5));
    Repo::find_cache().invalidate((&repo, 1)).await.unwrap();
    assert_eq!(Repo::find_cache().peek((&repo, 1)).await, None);
    assert_eq!(Repo::find_cache().peek((&repo2, 1)).await, Some(Ok(6)));
    println!("{:?}", Repo::<u8>::find_cache().stats());
    assert_eq!(repo.private(1, "77").await, Ok(77));
    assert_eq!(repo.private(1, "x").await, Err(E1));
    assert_eq!(is_send(repo.find2(1)).await, Ok(6));
    repo.find2(1).await.unwrap();
    assert_eq!(is_send(repo.find3(1, "5")).await, Ok(6));
    repo.find3(1, "5").await.unwrap();
    Repo::make(7u8).await;
    Repo::<u8>::assoc(3).await;
    Repo::<u8>::assoc_cache().put(3, 4).await.unwrap();
    std::sync::Arc::new(Repo(1)).arc(4).await;
    let _: HashMap<u8, u8> = HashMap::new();
    for cache in cached_runtime::caches() {
        println!("{} {:?}", cache.name(), cache.stats().computed);
    }
}
