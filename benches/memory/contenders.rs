//! The same functions, cached by hand and by three libraries.

use std::hint::black_box as keep;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cached_benches::at_once;
use cached_runtime::async_cached;
use quick_cache::sync::Cache;

/// A value that owns memory: four strings.
#[allow(dead_code, reason = "it is cloned, not read")]
#[derive(Debug, Clone)]
pub(crate) struct User {
    name: String,
    email: String,
    city: String,
    region: String,
}

impl User {
    fn new(id: u64, region: &str) -> Self {
        Self {
            name: format!("user number {id:06}"),
            email: "ada.lovelace@example.org".into(),
            city: "London, United Kingdom".into(),
            region: region.into(),
        }
    }
}

/// The contenders, in the order of the columns; the first one is the floor.
pub(crate) const CONTENDERS: [Contender; 4] =
    [by_hand::CONTENDER, async_cached::CONTENDER, cached::CONTENDER, moka::CONTENDER];

/// The functions of one contender: one for each work, so that they share no entries.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Performs the calls of a work with these numbers.
    pub(crate) run: fn(Work, &mut dyn Iterator<Item = u64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// `u64 -> u64`, at most 10 000 entries.
    Number,
    /// `(u64, &str) -> Result<User, String>`.
    User,
    /// `u64 -> u64`, at most 10 000 entries, apart from those of `Number`.
    Miss,
    /// The same, for keys that differ in popularity.
    Zipf,
    /// `u64 -> u64`, at most a million entries.
    Million,
}

/// The functions of a contender in a module of its name.
macro_rules! contender {
    ($module:ident, $name:literal, { $($functions:tt)* }) => {
        mod $module {
            use super::*;

            $($functions)*

            pub(super) const CONTENDER: Contender = Contender {
                name: $name,
                run: |work, numbers| match work {
                    Work::Number => numbers.for_each(|n| _ = keep(at_once(number(n)))),
                    Work::User => numbers.for_each(|n| _ = keep(at_once(user(n, "eu")))),
                    Work::Miss => numbers.for_each(|n| _ = keep(at_once(miss(n)))),
                    Work::Zipf => numbers.for_each(|n| _ = keep(at_once(zipf(n)))),
                    Work::Million => numbers.for_each(|n| _ = keep(at_once(million(n)))),
                },
            };
        }
    };
}

async fn compute(n: u64) -> u64 {
    std::future::ready(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).await
}

macro_rules! by_hand {
    ($($name:ident $capacity:literal)*) => {$(
        async fn $name(n: u64) -> u64 {
            static CACHE: LazyLock<Cache<u64, (u64, Instant)>> = LazyLock::new(|| Cache::new($capacity));
            if let Some((value, expires)) = CACHE.get(&n)
                && Instant::now() < expires
            {
                return value;
            }
            let value = compute(n).await;
            CACHE.insert(n, (value, Instant::now() + Duration::from_secs(3_600)));
            value
        }
    )*};
}

contender!(by_hand, "by hand", {
    by_hand!(number 10_000 miss 10_000 zipf 10_000 million 1_000_000);

    #[derive(Hash, PartialEq, Eq)]
    struct Borrowed<'a>(u64, &'a str);

    impl quick_cache::Equivalent<(u64, String)> for Borrowed<'_> {
        fn equivalent(&self, key: &(u64, String)) -> bool {
            self.0 == key.0 && self.1 == key.1
        }
    }

    async fn user(id: u64, region: &str) -> Result<User, String> {
        static CACHE: LazyLock<Cache<(u64, String), (User, Instant)>> = LazyLock::new(|| Cache::new(10_000));
        if let Some((value, expires)) = CACHE.get(&Borrowed(id, region))
            && Instant::now() < expires
        {
            return Ok(value);
        }
        let value = std::future::ready(User::new(id, region)).await;
        let entry = (value.clone(), Instant::now() + Duration::from_secs(3_600));
        CACHE.insert((id, region.to_owned()), entry);
        Ok(value)
    }
});

macro_rules! attributed {
    ($attribute:ident: $($name:ident ($($options:tt)*))*) => {$(
        #[$attribute($($options)*)]
        async fn $name(n: u64) -> u64 {
            compute(n).await
        }
    )*};
}

contender!(async_cached, "async_cached", {
    attributed!(async_cached:
        number(ttl = "1h") miss(ttl = "1h") zipf(ttl = "1h") million(ttl = "1h", capacity = 1_000_000));

    #[async_cached(ttl = "1h")]
    async fn user(id: u64, region: &str) -> Result<User, String> {
        Ok(std::future::ready(User::new(id, region)).await)
    }
});

contender!(cached, "cached", {
    use ::cached::macros::concurrent_cached;

    attributed!(concurrent_cached:
        number(max_size = 10_000, ttl_secs = 3_600) miss(max_size = 10_000, ttl_secs = 3_600)
        zipf(max_size = 10_000, ttl_secs = 3_600) million(max_size = 1_000_000, ttl_secs = 3_600));

    #[concurrent_cached(
        max_size = 10_000,
        ttl_secs = 3_600,
        key = "(u64, String)",
        convert = r#"{ (id, region.to_owned()) }"#
    )]
    async fn user(id: u64, region: &str) -> Result<User, String> {
        Ok(std::future::ready(User::new(id, region)).await)
    }
});

macro_rules! moka {
    ($($name:ident $capacity:literal)*) => {$(
        async fn $name(n: u64) -> u64 {
            static CACHE: LazyLock<::moka::future::Cache<u64, u64>> = LazyLock::new(|| new($capacity));
            CACHE.get_with(n, compute(n)).await
        }
    )*};
}

contender!(moka, "moka", {
    use std::hash::Hash;

    fn new<K, V>(capacity: u64) -> ::moka::future::Cache<K, V>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let builder = ::moka::future::Cache::builder().max_capacity(capacity);
        builder.time_to_live(Duration::from_secs(3_600)).build()
    }

    moka!(number 10_000 miss 10_000 zipf 10_000 million 1_000_000);

    async fn user(id: u64, region: &str) -> Result<User, String> {
        static CACHE: LazyLock<::moka::future::Cache<(u64, String), User>> = LazyLock::new(|| new(10_000));
        let key = (id, region.to_owned());
        Ok(CACHE.get_with(key, std::future::ready(User::new(id, region))).await)
    }
});
