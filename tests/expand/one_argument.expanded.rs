async fn user(id: u64) -> User {
    use ::cached_runtime::__private;
    let __looked = user::__at(__private::Look, (__private::Arg::new(&id).part(),));
    __looked.or(move || user::uncached(id)).await
}
///What has been remembered of [`user()`](user()): `invalidate`, `expire`, `put` and `peek` take what makes the key, `lookup`, `refresh` and `uncached` every argument, `clear` and `stats` nothing.
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
    ::cached_runtime::__private::companions! {
        (id : u64,) [Self::__at] => (__private::Arg::new(& id).part_again(),);, [] [] (id
        : u64) -> User, [] __looked => __looked.or(move || Self::uncached(id)). await
    }
    fn __at<
        __Verb: ::cached_runtime::__private::Verb<User>,
        __Key: ::cached_runtime::__private::Parts,
    >(__verb: __Verb, __key: __Key) -> __Verb::Out {
        use ::cached_runtime::__private;
        static __SITE: __private::Site = __private::Site::new(|| {
            __private::Policy::new().ttl(__private::Duration::new(60u64, 0u32))
        });
        __private::At::new(
                __SITE.instance(&Self::clear),
                __key,
                __private::Shape::<User>::new().kind(),
                __private::Shape::<User>::new().absent(),
            )
            .memory(__verb)
    }
}
