//! Places where a cached function can be.

use cached_runtime::async_cached;

pub mod inner {
    use cached_runtime::async_cached;

    #[async_cached(ttl = 60)]
    pub(super) async fn seen_above(id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60)]
    pub(in crate::places) async fn seen_there(id: u64) -> u64 {
        id
    }
}

pub mod find_user {
    use cached_runtime::async_cached;

    #[async_cached(ttl = 60, companions = FindUser)]
    pub async fn find_user(id: u64) -> u64 {
        id
    }
}

pub use find_user::{FindUser, find_user};

pub mod named_like_a_crate {
    use cached_runtime::async_cached;

    #[async_cached(ttl = 60, companions = Tokio)]
    pub async fn tokio(id: u64) -> u64 {
        tokio::task::yield_now().await;
        id
    }

    // A path from the root, and a companion.
    #[async_cached(ttl = 60)]
    pub async fn serde(id: u64) -> u64 {
        let _: Option<::serde::de::IgnoredAny> = None;
        serde::peek(id + 1).await.unwrap_or(id)
    }

    pub mod own {
        #[::cached_runtime::async_cached(ttl = 60)]
        pub async fn cached_runtime(id: u64) -> u64 {
            id
        }
    }
}

macro_rules! cached {
    ($name:ident, $id:ident: $ty:ty, $ttl:expr, $body:block) => {
        #[async_cached(ttl = $ttl, key = ($id,))]
        async fn $name($id: $ty) -> $ty $body

        /// With local variables.
        #[allow(non_snake_case, dead_code)]
        mod more {
            #[super::async_cached(ttl = 60)]
            pub async fn $name(id: $ty, $id: $ty) -> $ty {
                let looked = id;
                looked + $id
            }
        }
    };
}

cached!(from_a_macro, number: u64, std::time::Duration::from_secs(60), {
    let looked = number;
    looked + 1
});

mod beside_a_method {
    use super::*;

    pub(super) struct Twins;

    impl Twins {
        #[async_cached(ttl = 60, associated)]
        pub(super) async fn twin(id: u64) -> u64 {
            id
        }
    }

    pub(super) mod free {
        use super::*;

        // The tokens are those of the method.
        #[async_cached(ttl = 60)]
        pub(crate) async fn twin(id: u64) -> u64 {
            id
        }
    }
}

macro_rules! whole {
    ($function:item) => {
        #[async_cached(ttl = 60)]
        $function
    };
}

whole! {
    async fn whole_item(id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn functions_can_be_cached_in_any_place() {
    use inner::seen_above;

    #[async_cached(ttl = 60)]
    async fn in_a_function(id: u64) -> u64 {
        id
    }

    assert_eq!((find_user(1).await, FindUser::peek(1).await), (1, Some(1)));
    let caches = cached_runtime::caches();
    assert!(caches.iter().any(|cache| cache.name() == "shapes::places::find_user::find_user"), "{caches:?}");
    assert_eq!((named_like_a_crate::tokio(1).await, named_like_a_crate::Tokio::peek(1).await), (1, Some(1)));
    assert_eq!(named_like_a_crate::serde(1).await, 1);
    assert_eq!(named_like_a_crate::own::cached_runtime(1).await, 1);

    assert_eq!(seen_above(1).await, 1);
    // `use` imports the companions with the function.
    assert_eq!(seen_above::peek(1).await, Some(1));
    assert_eq!(inner::seen_there(1).await, 1);
    assert_eq!(in_a_function(1).await, 1);
    assert_eq!(in_a_function::peek(1).await, Some(1));
    assert_eq!(from_a_macro(1).await, 2);
    assert_eq!(from_a_macro::peek(1).await, Some(2));
    assert_eq!(more::from_a_macro(1, 2).await, 3);
    assert_eq!(whole_item(1).await, 1);
    assert_eq!(beside_a_method::Twins::twin(1).await, 1);
    assert_eq!(beside_a_method::free::twin(1).await, 1);
    assert_eq!(beside_a_method::free::twin::peek(1).await, Some(1));
}
