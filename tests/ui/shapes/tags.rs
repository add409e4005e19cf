//! Templates and expressions for tags, in every place.

use std::borrow::Cow;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

use cached_runtime::{async_cached, invalidate_tag};

use crate::count;

pub const ALL: &str = "tags: all";

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    id: u64,
}

count!(PLAIN);

#[async_cached(ttl = 60, skip(_db), tags("tags: plain {id} {lang} {{}}", ALL, format!("tags: len {}", lang.len())))]
async fn plain(_db: &str, id: u64, lang: &str) -> u64 {
    count!(+ PLAIN);
    id + lang.len() as u64
}

count!(PATTERNS);

#[async_cached(ttl = 60, tags("tags: {a} {_b} {type}", format!("tags: fn {fn}")))]
async fn patterns(mut a: u64, _b: u64, r#type: u64, ref r: String, (c, _): (u64, u64), r#fn: u64) -> u64 {
    count!(+ PATTERNS);
    a += 1;
    a + r#type + r.len() as u64 + c + r#fn
}

#[async_cached(ttl = 60, key = (place.id, format!("{type}")), tags(format!("tags: place {}", place.id), "tags: {type}"))]
async fn explicit(place: &Place, r#type: u64, verbose: bool) -> u64 {
    place.id + r#type + u64::from(verbose)
}

count!(TEXTS);

#[async_cached(ttl = 60, tags(name, arc, cow, if name.is_empty() { "tags: nobody" } else { "tags: somebody" }, &name[..1],))]
async fn strings(name: String, arc: Arc<str>, cow: Cow<'static, str>) -> usize {
    count!(+ TEXTS);
    name.len() + arc.len() + cow.len()
}

count!(GENERIC);

#[async_cached(ttl = 60, tags("tags: generic {id} {n}", "tags: {name}"))]
async fn generic<T, const M: usize>(id: T, n: u64, name: &str) -> [u64; M]
where
    T: Display + Clone + Eq + Hash + Send + Sync + 'static,
{
    count!(+ GENERIC);
    [n + name.len() as u64 + id.to_string().len() as u64; M]
}

count!(CLASHES);

/// Names that the expansion uses.
#[async_cached(ttl = 60, tags("tags: {value} {tags} {looked} {key} {format} {vec}"))]
async fn clashes(value: u64, tags: u64, looked: u64, key: u64, format: u64, vec: u64) -> u64 {
    count!(+ CLASHES);
    value + tags + looked + key + format + vec
}

count!(BY_VALUE);

#[async_cached(ttl = 60, tags_from = |value: &Vec<u64>| value.iter().map(|id| format!("tags: of {id}")).collect())]
async fn by_value(id: u64) -> Result<Vec<u64>, String> {
    count!(+ BY_VALUE);
    Ok(vec![id, id + 1])
}

macro_rules! tagged {
    ($name:ident, $tag:literal, $more:expr) => {
        #[async_cached(ttl = 60, tags($tag, $more, "tags: of a macro {id}"))]
        async fn $name(id: u64) -> u64 {
            id
        }
    };
}

tagged!(from_a_macro, "tags: macro {id}", ALL);

pub struct Users {
    tenant: u64,
}

trait Find {
    async fn find_one(&self, id: u64) -> u64;
}

#[async_trait::async_trait]
trait FindObject {
    async fn find_object(&self, id: u64) -> u64;
}

count!(METHOD);

impl Users {
    #[async_cached(ttl = 60, key = (self.tenant, r#in), tags(format!("tags: tenant {}", self.tenant), "tags: in {in}"))]
    pub async fn find(&self, r#in: &str) -> u64 {
        count!(+ METHOD);
        self.tenant + r#in.len() as u64
    }

    #[async_cached(ttl = 60, skip(self), tags("tags: arc {id}"), tags_from = |_| vec!["tags: some".to_owned()])]
    pub async fn of_an_arc(self: Arc<Self>, id: u64) -> Option<u64> {
        Some(self.tenant + id)
    }
}

#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, key = (self.tenant, id), tags("tags: one {id}", format!("tags: one of {}", self.tenant)))]
    async fn find_one(&self, id: u64) -> u64 {
        self.tenant + id
    }
}

#[async_cached]
#[async_trait::async_trait]
impl FindObject for Users {
    #[async_cached(ttl = 60, skip(self), tags("tags: object {id}"))]
    async fn find_object(&self, id: u64) -> u64 {
        self.tenant + id
    }
}

#[tokio::test]
async fn invalidating_a_tag_removes_its_values() {
    for tag in ["tags: plain 1 en {}", ALL, "tags: len 2"] {
        plain("", 1, "en").await;
        invalidate_tag(tag).await.unwrap();
        assert_eq!(plain::peek(1, "en").await, None, "{tag}");
    }
    assert_eq!(count!(= PLAIN), 3);

    for tag in ["tags: 1 2 3", "tags: fn 5"] {
        patterns(1, 2, 3, "r".to_owned(), (4, 4), 5).await;
        invalidate_tag(tag).await.unwrap();
    }
    patterns(1, 2, 3, "r".to_owned(), (4, 4), 5).await;
    assert_eq!(count!(= PATTERNS), 3);

    explicit(&Place { id: 1 }, 2, true).await;
    invalidate_tag("tags: place 1").await.unwrap();
    assert_eq!(explicit::peek(&Place { id: 1 }, 2).await, None);

    for tag in ["ada", "bob", "eve", "tags: somebody", "a"] {
        strings("ada".to_owned(), "bob".into(), "eve".into()).await;
        invalidate_tag(tag).await.unwrap();
    }
    assert_eq!(count!(= TEXTS), 5);

    for tag in ["tags: generic x 7", "tags: name"] {
        generic::<_, 2>('x', 7, "name").await;
        invalidate_tag(tag).await.unwrap();
    }
    assert_eq!(count!(= GENERIC), 2);

    clashes(1, 2, 3, 4, 5, 6).await;
    invalidate_tag("tags: 1 2 3 4 5 6").await.unwrap();
    clashes(1, 2, 3, 4, 5, 6).await;
    assert_eq!(count!(= CLASHES), 2);

    for tag in ["tags: of 1", "tags: of 2", "tags: of 3"] {
        by_value(1).await.unwrap();
        invalidate_tag(tag).await.unwrap();
    }
    by_value(1).await.unwrap();
    assert_eq!(count!(= BY_VALUE), 3);

    for tag in ["tags: macro 1", ALL, "tags: of a macro 1"] {
        from_a_macro(1).await;
        invalidate_tag(tag).await.unwrap();
        assert_eq!(from_a_macro::peek(1).await, None, "{tag}");
    }
}

#[tokio::test]
async fn invalidating_a_tag_removes_values_of_methods() {
    let users = Users { tenant: 1 };
    for tag in ["tags: tenant 1", "tags: in here"] {
        users.find("here").await;
        users.find("there").await;
        invalidate_tag(tag).await.unwrap();
    }
    assert_eq!(count!(= METHOD), 4);
    assert_eq!(Users::find_cache().peek((&users, "there")).await, Some(6));

    let shared = Arc::new(Users { tenant: 1 });
    for tag in ["tags: arc 1", "tags: some"] {
        Arc::clone(&shared).of_an_arc(1).await;
        invalidate_tag(tag).await.unwrap();
        assert_eq!(Users::of_an_arc_cache().peek(1).await, None, "{tag}");
    }

    for tag in ["tags: one 1", "tags: one of 1"] {
        users.find_one(1).await;
        invalidate_tag(tag).await.unwrap();
    }
    assert_eq!(Users::find_one_cache().stats().computed, 2);
    users.find_object(1).await;
    invalidate_tag("tags: object 1").await.unwrap();
    users.find_object(1).await;
    assert_eq!(Users::find_object_cache().stats().computed, 2);
}

#[cfg(feature = "store")]
#[tokio::test]
async fn invalidating_a_tag_removes_values_in_a_store() {
    use cached_ui::STORE;

    #[async_cached(ttl = 60, backend = STORE, tags("tags: store {type}", ALL), tags_from = |of: &u64| vec![of.to_string()])]
    async fn shared<T>(r#type: T) -> Option<u64>
    where
        T: Display + Clone + Eq + Hash + serde::Serialize + Send + Sync + 'static,
    {
        Some(r#type.to_string().len() as u64)
    }

    assert_eq!(shared("a").await, Some(1));
    shared::expire("a").await.unwrap();
    assert_eq!(shared::lookup("a").await.value, Some(1));
    invalidate_tag("tags: store a").await.unwrap();
}
