//! Methods in impls of traits with parameters, lifetimes and stores of their own.

use cached_runtime::async_cached;

use super::impls::Text;

/// A type that is not public, in the signature of a method whose companions are.
#[derive(Clone, PartialEq, Debug)]
struct Private(u64);

trait Various<T> {
    type Key;

    async fn generic<K: Into<u64> + std::hash::Hash + Eq + Clone + Send + Sync + 'static>(&self, id: K) -> T;
    async fn lifetimes<'a>(&'a self, text: &'a str, this: u64) -> Option<T>
    where
        Self: 'a;
    async fn by_key(id: Self::Key) -> T;
    async fn in_the_format(&self, id: u64) -> T;
}

pub struct Wrap<'a, T>(&'a T);

#[async_cached]
impl<T: Text + Send + Sync + 'static> Various<Private> for Wrap<'_, T> {
    type Key = (u64, u8);

    #[async_cached(ttl = 60, key = (self.0.text(), id))]
    async fn generic<K: Into<u64> + std::hash::Hash + Eq + Clone + Send + Sync + 'static>(
        &self,
        id: K,
    ) -> Private {
        Private(id.into() + self.0.text().len() as u64)
    }

    #[async_cached(ttl = 60, skip(self), capacity = 10, tags("impls: {text}"), tags_from = |_| vec!["impls: any".to_owned()])]
    async fn lifetimes<'a>(&'a self, text: &'a str, id: u64) -> Option<Private>
    where
        Self: 'a,
    {
        (id > 0).then(|| Private(id + text.len() as u64))
    }

    #[async_cached(ttl = 60)]
    async fn by_key(id: Self::Key) -> Private {
        Private(id.0)
    }

    #[async_cached(ttl = 60, key = (self.0.text(), id))]
    async fn in_the_format(&self, id: u64) -> Private {
        Private(id)
    }
}

#[async_cached(companions = VariousNumbers)]
impl Various<u64> for u64 {
    type Key = u8;

    #[async_cached(ttl = 60, key = (*self, id))]
    async fn generic<K: Into<u64> + std::hash::Hash + Eq + Clone + Send + Sync + 'static>(
        &self,
        id: K,
    ) -> u64 {
        id.into() + self
    }

    #[async_cached(ttl = 60, skip(self))]
    async fn lifetimes<'a>(&'a self, text: &'a str, this: u64) -> Option<u64>
    where
        Self: 'a,
    {
        Some(this + text.len() as u64)
    }

    #[async_cached(ttl = 60)]
    async fn by_key(id: Self::Key) -> u64 {
        id.into()
    }

    #[async_cached(ttl = 60, key = (format!("{self} {{self}} {self:?}"), id), tags(format!("impls: number {self}")))]
    async fn in_the_format(&self, id: u64) -> u64 {
        self + id
    }
}

#[tokio::test]
async fn methods_of_an_impl_have_parameters_of_their_own() {
    let wrap = Wrap(&5_u8);
    Wrap::<u8>::generic_cache::<u32>().put((&wrap, 1), Private(9)).await.unwrap();
    assert_eq!((wrap.generic(1_u32).await, wrap.generic(1_u16).await), (Private(9), Private(2)));
    assert_eq!(wrap.generic_uncached(2_u8).await, Private(3));
    assert_eq!(<Wrap<'_, u8> as Various<Private>>::by_key((4, 0)).await, Private(4));
    assert_eq!(Wrap::<u8>::by_key_cache().peek((4, 0)).await, Some(Private(4)));
    assert_eq!(wrap.in_the_format_lookup(4).await.value, Private(4));
    assert_eq!((wrap.lifetimes("ab", 0).await, wrap.lifetimes("ab", 1).await), (None, Some(Private(3))));

    VariousNumbers::generic_cache::<u32>().put((&1, 1), 9).await.unwrap();
    assert_eq!((1_u64.generic(1_u32).await, 2_u64.generic(1_u32).await), (9, 3));
    assert_eq!(VariousNumbers::lifetimes_lookup(&1, "ab", 2).await.value, Some(4));
    assert_eq!(<u64 as Various<u64>>::by_key(1).await, VariousNumbers::by_key_refresh(1).await);
    VariousNumbers::in_the_format_cache().put((&7, 1), 70).await.unwrap();
    assert_eq!((7.in_the_format(1).await, 8.in_the_format(1).await), (70, 9));
    cached_runtime::invalidate_tag("impls: number 7").await.unwrap();
    assert_eq!(7.in_the_format(1).await, 8);
}

#[cfg(feature = "store")]
#[tokio::test]
async fn methods_of_an_impl_are_cached_in_a_store() {
    use cached_ui::STORE;

    trait Load {
        type Error;

        async fn load(&self, id: u64, lang: &str) -> Result<u64, Self::Error>;
    }

    struct Users<T>(T);

    #[async_cached]
    impl<T: Into<u64> + Clone + Send + Sync + 'static> Load for Users<T> {
        type Error = String;

        #[async_cached(ttl = 60, backend = STORE, key = (self.0.clone().into(), id, lang), cache_err = "5s", name = "users", tags("user:{id}"))]
        async fn load(&self, id: u64, lang: &str) -> Result<u64, Self::Error> {
            Ok(id + self.0.clone().into() + lang.len() as u64)
        }
    }

    #[async_cached(companions = LoadList)]
    impl Load for Vec<u64> {
        type Error = String;

        #[async_cached(ttl = 60, backend = STORE, key = (self, id, lang), tags("user:{id}"))]
        async fn load(&self, id: u64, lang: &str) -> Result<u64, Self::Error> {
            Ok(id + self.len() as u64 + lang.len() as u64)
        }
    }

    let users = Users(1_u32);
    assert_eq!(users.load(1, "en").await, Ok(4));
    Users::<u32>::load_cache().expire((&users, 1, "en")).await.unwrap();
    assert_eq!(users.load_lookup(1, "en").await.value, Ok(4));
    assert!(Users::<u32>::load_cache().key((&users, 1, "en")).unwrap().contains("users"));
    let list = vec![1];
    LoadList::load_cache().put((&list, 1, "en"), 9).await.unwrap();
    assert_eq!(LoadList::load_refresh(&list, 1, "en").await, Ok(4));
    cached_runtime::invalidate_tag("user:1").await.unwrap();
}
