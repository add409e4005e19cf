async fn user(id: u64) -> User {
    use ::cached_runtime::__private;
    let __lookup = user::__entry(__private::Get, (__private::Arg::new(&id).key_part(),));
    let __lookup = match __lookup {
        __private::Found::Hit(__output) => return __output,
        __lookup => __lookup,
    };
    __lookup.or_compute(move || user::uncached(id)).await
}
///The cache of [`user()`](user()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
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
        (id : u64,) [Self::__entry] => (__private::Arg::new(& id)
        .key_part_unchecked(),);, [] [] (id : u64) -> User, [] __lookup => __lookup
        .or_compute(move || Self::uncached(id)). await
    }
    fn __entry<
        __Operation: ::cached_runtime::__private::Operation<User>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private;
        static __FUNCTION: __private::CachedFunction = __private::CachedFunction::new(
            __private::FunctionName::new(&|| ()).single_instance(),
            || __private::Policy::new().ttl(__private::Duration::new(60u64, 0u32)),
        );
        __private::declare! {
            __FUNCTION
        }
        __private::EntryRef::new(
                __FUNCTION.only_instance(&Self::clear),
                __key,
                __private::ReturnType::<User>::new().kind(),
                __private::ReturnType::<User>::new().absent(),
            )
            .memory(__operation)
    }
}
