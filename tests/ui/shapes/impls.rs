//! Implementations of traits with the attribute on the impl block.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use cached_runtime::{Source, async_cached};

use crate::count;

trait Find {
    type Error: Display;
    const LIMIT: u64;

    async fn find(&self, id: u64, lang: &str) -> Result<u64, Self::Error>;
    async fn count(&self) -> u64;
    async fn any(id: u64) -> u64;
    fn plain(&self) -> u64;
}

pub struct Users<T>(T);

count!(FOUND);

#[async_cached]
impl<T: Clone + Send + Sync + 'static> Find for Users<T>
where
    T: Into<u64>,
{
    type Error = String;
    const LIMIT: u64 = { 100 };

    /// Finds.
    #[async_cached(ttl = 60, key = (self.0.clone().into(), id, lang), cache_err = "5s")]
    async fn find(&self, id: u64, lang: &str) -> Result<u64, Self::Error> {
        count!(+ FOUND);
        if id > Self::LIMIT {
            return Err(Self::Error::from("too many"));
        }
        let parsed: u64 = lang.parse().map_err(|_| "no number")?;
        Ok(id + parsed + self.0.clone().into() + self.plain())
    }

    async fn count(&self) -> u64 {
        self.plain()
    }

    #[async_cached(ttl = 60)]
    async fn any(id: u64) -> u64 {
        id
    }

    fn plain(&self) -> u64 {
        1000
    }
}

#[tokio::test]
async fn companions_are_typed_and_work_before_the_first_call() {
    let users = Users(2_u64);
    Users::<u64>::find_cache().invalidate((&users, 1, "5")).await.unwrap();
    Users::<u64>::find_cache().put((&users, 1, "5"), 7).await.unwrap();
    assert_eq!(users.find(1, "5").await, Ok(7));
    assert_eq!(count!(= FOUND), 0);
    Users::<u64>::find_cache().expire((&users, 1, "5")).await.unwrap();
    assert_eq!(users.find(1, "5").await, Ok(1008));
    assert_eq!(users.find_uncached(1, "5").await, Ok(1008));
    assert_eq!(users.find_lookup(1, "5").await.source, Source::Memory);
    assert_eq!(users.find_refresh(1, "5").await, Ok(1008));
    assert_eq!(Users::<u64>::find_cache().peek((&users, 1, "5")).await, Some(Ok(1008)));
    assert_eq!(
        (users.find(500, "5").await, users.find(500, "5").await),
        (Err("too many".into()), Err("too many".into()))
    );
    assert_eq!(count!(= FOUND), 4);
    let stats = Users::<u64>::find_cache().stats();
    Users::<u64>::find_cache().clear().await.unwrap();
    assert_eq!(Users::<u64>::find_cache().peek((&users, 1, "5")).await, None);
    assert!(stats.computed == 3 && stats.hits >= 2, "{stats:?}");
    assert_eq!((users.count().await, Users::<u64>::any(3).await), (1000, 3));
    assert_eq!(Users::<u64>::any_cache().peek(3).await, Some(3));
    assert_eq!(Users::<u32>::any_cache().peek(3).await, None);
}

#[async_trait::async_trait]
trait FindObject: Send + Sync {
    async fn find_object(&self, id: u64, name: &str) -> Result<u64, String>;
    async fn shared(self: Arc<Self>, id: u64) -> u64;
}

pub struct Above;
pub struct Below;

#[async_cached]
#[async_trait::async_trait]
impl FindObject for Above {
    #[async_cached(ttl = 60, skip(self))]
    async fn find_object(&self, id: u64, name: &str) -> Result<u64, String> {
        tokio::task::yield_now().await;
        let n: u64 = name.parse().map_err(|_| "no number")?;
        Ok(id + n)
    }

    #[async_cached(ttl = 60, skip(self), detached)]
    async fn shared(self: Arc<Self>, id: u64) -> u64 {
        id
    }
}

#[async_trait::async_trait]
#[async_cached]
impl FindObject for Below {
    #[async_cached(ttl = 60, skip(self))]
    async fn find_object(&self, id: u64, name: &str) -> Result<u64, String> {
        tokio::task::yield_now().await;
        let n: u64 = name.parse().map_err(|_| "no number")?;
        Ok(id + n)
    }

    #[async_cached(ttl = 60, skip(self), detached)]
    async fn shared(self: Arc<Self>, id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn attribute_stands_above_or_below_async_trait() {
    Above::find_object_cache().put((1, "2"), 30).await.unwrap();
    Below::find_object_cache().put((1, "2"), 40).await.unwrap();
    let objects: [Arc<dyn FindObject>; 2] = [Arc::new(Above), Arc::new(Below)];
    assert_eq!(
        (objects[0].find_object(1, "2").await, objects[1].find_object(1, "2").await),
        (Ok(30), Ok(40))
    );
    assert_eq!(
        (Above.find_object_uncached(1, "2").await, Below.find_object_uncached(1, "2").await),
        (Ok(3), Ok(3))
    );
    assert!(objects[1].find_object(1, "x").await.is_err());
    assert_eq!(Arc::clone(&objects[0]).shared(5).await, 5);
    assert_eq!(Arc::clone(&objects[1]).shared(5).await, 5);
    assert_eq!(
        (Above::shared_cache().peek(5).await, Below::shared_cache().peek(5).await),
        (Some(5), Some(5))
    );
    assert_eq!(Arc::new(Below).shared_refresh(6).await, 6);
    let task = tokio::spawn(async { Below.find_object_lookup(7, "1").await.value });
    assert_eq!(task.await.unwrap(), Ok(8));
}

trait Total {
    type Out;
    async fn total(&self, factor: u64) -> Self::Out;
}

// A foreign type.
#[async_cached(companions = TotalOfList)]
impl Total for Vec<u64> {
    type Out = Option<u64>;

    #[async_cached(ttl = 60, key = (self, factor), tags("total:{factor}"))]
    async fn total(&self, factor: u64) -> Self::Out {
        let sum: u64 = self.iter().sum();
        let empty = Self::new().len() as u64;
        (sum > 0).then_some(sum * factor + empty)
    }
}

// A blanket impl.
pub(super) trait Text {
    fn text(&self) -> String;
}

impl<T: Debug> Text for T {
    fn text(&self) -> String {
        format!("{self:?}")
    }
}

trait Describe {
    async fn describe(&self, id: u64) -> String;
}

#[async_cached(companions = DescribeAny)]
impl<T: Text + Debug + Sync> Describe for T {
    #[async_cached(ttl = 60, key = (self.text(), id))]
    async fn describe(&self, id: u64) -> String {
        format!("{self:?} {id}")
    }
}

// Two impls of one generic trait, and a parameter that only the trait has.
trait Convert<T> {
    async fn convert(&self, from: u64) -> T;
}

pub struct Converter;

#[async_cached]
impl Convert<u8> for Converter {
    #[async_cached(ttl = 60, skip(self))]
    async fn convert(&self, from: u64) -> u8 {
        from as u8
    }
}

#[async_cached(companions = ConvertToText)]
impl Convert<String> for Converter {
    #[async_cached(ttl = 60, skip(self))]
    async fn convert(&self, from: u64) -> String {
        from.to_string()
    }
}

#[async_cached(companions = ConvertToMap)]
impl<K: Ord + Clone + Send + Sync + From<u64> + 'static, const N: usize> Convert<BTreeMap<K, [u8; N]>>
    for Converter
{
    #[async_cached(ttl = 60, skip(self))]
    async fn convert(&self, from: u64) -> BTreeMap<K, [u8; N]> {
        BTreeMap::from([(from.into(), [1; N])])
    }
}

#[tokio::test]
async fn companions_stand_in_a_type_of_their_own() {
    let list = vec![1, 2];
    TotalOfList::total_cache().put((&list, 2), 10).await.unwrap();
    assert_eq!(list.total(2).await, Some(10));
    cached_runtime::invalidate_tag("total:2").await.unwrap();
    assert_eq!(list.total(2).await, Some(6));
    assert_eq!(TotalOfList::total_lookup(&list, 2).await.value, Some(6));
    assert_eq!(TotalOfList::total_uncached(&list, 3).await, Some(9));

    DescribeAny::<u8>::describe_cache().put((&1, 2), "put".into()).await.unwrap();
    assert_eq!((1_u8.describe(2).await, 1_u16.describe(2).await), ("put".to_owned(), "1 2".to_owned()));
    assert_eq!(DescribeAny::<u8>::describe_refresh(&1, 2).await, "1 2");

    Converter::convert_cache().put(300, 7).await.unwrap();
    ConvertToText::convert_cache().put(300, "text".to_owned()).await.unwrap();
    assert_eq!(<Converter as Convert<u8>>::convert(&Converter, 300).await, 7);
    assert_eq!(<Converter as Convert<String>>::convert(&Converter, 300).await, "text");
    let map: BTreeMap<u64, [u8; 2]> =
        <Converter as Convert<BTreeMap<u64, [u8; 2]>>>::convert(&Converter, 300).await;
    assert_eq!(ConvertToMap::<u64, 2>::convert_cache().peek(300).await, Some(map));
    assert_eq!(ConvertToMap::<u64, 3>::convert_cache().peek(300).await, None);
}

pub async fn in_a_function() -> u64 {
    struct Local<'a>(&'a str);

    #[async_cached]
    impl Total for Local<'_> {
        type Out = u64;

        #[async_cached(ttl = 60, key = (self.0, factor))]
        async fn total(&self, factor: u64) -> u64 {
            self.0.len() as u64 * factor
        }
    }

    let local = Local("ab");
    Local::total_cache().put((&local, 1), 5).await.unwrap();
    local.total(1).await
}

#[tokio::test]
async fn impl_in_a_function_has_companions() {
    assert_eq!(in_a_function().await, 5);
}
