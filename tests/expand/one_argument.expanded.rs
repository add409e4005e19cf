async fn user(id: u64) -> User {
    let __looked = user::__at(
        ::cached_runtime::__private::Look,
        (::cached_runtime::__private::Arg::new(&id).part(),),
    );
    __looked.or(move || user::uncached(id)).await
}
///What has been remembered of [`user()`](user()): `invalidate`, `put` and `peek` take what makes the key, `refresh` and `uncached` every argument, `clear` and `stats` nothing.
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
struct user {}
#[allow(
    dead_code,
    missing_docs,
    clippy::fn_params_excessive_bools,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    clippy::trivially_copy_pass_by_ref,
    clippy::type_complexity
)]
impl user {
    async fn uncached(id: u64) -> User {
        load(id).await
    }
}
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
impl user {
    async fn refresh(id: u64) -> User {
        let __looked = Self::__at(
            ::cached_runtime::__private::Refresh,
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        );
        __looked.or(move || Self::uncached(id)).await
    }
    fn invalidate(
        id: u64,
    ) -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>> {
        Self::__at(
            ::cached_runtime::__private::Invalidate,
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        )
    }
    fn put(
        id: u64,
        __value: impl ::cached_runtime::__private::Stands<User>,
    ) -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>> {
        Self::__at(
            ::cached_runtime::__private::Put(
                ::cached_runtime::__private::Stands::output(__value),
            ),
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        )
    }
    fn peek(
        id: u64,
    ) -> ::cached_runtime::BoxFuture<
        'static,
        ::cached_runtime::__private::Option<User>,
    > {
        Self::__at(
            ::cached_runtime::__private::Peek,
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        )
    }
    fn clear() -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>> {
        Self::__at(::cached_runtime::__private::Clear, ())
    }
    fn stats() -> ::cached_runtime::Stats {
        Self::__at(::cached_runtime::__private::Count, ())
    }
    fn __at<
        __Verb: ::cached_runtime::__private::Verb<User>,
        __Key: ::cached_runtime::__private::Parts,
    >(__verb: __Verb, __key: __Key) -> __Verb::Out {
        static __SITE: ::cached_runtime::__private::Site = ::cached_runtime::__private::Site::new(||
        {
            ::cached_runtime::__private::Policy::new()
                .ttl(::cached_runtime::__private::Duration::new(60u64, 0u32))
        });
        ::cached_runtime::__private::At::new(
                __SITE.instance(&Self::clear),
                __key,
                ::cached_runtime::__private::Shape::<User>::new().kind(),
                ::cached_runtime::__private::Shape::<User>::new().absent(),
            )
            .memory(__verb)
    }
}
