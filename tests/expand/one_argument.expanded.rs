async fn user(id: u64) -> User {
    let __lookup = {
        use ::cached_runtime::__private as __cached;
        <user>::__entry(__cached::Get, (__cached::Arg::new(&id).key_part(),))
    };
    let __lookup = match __lookup {
        ::cached_runtime::__private::Found::Hit(__output) => return __output,
        __lookup => __lookup,
    };
    return __lookup.or_compute(move || <user>::uncached(id)).await;
}
///The cache of [`user()`](user()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
#[non_exhaustive]
struct user {}
impl user {
    /// Runs the function as it is written: it neither reads the cache nor stores the result.
    async fn uncached(id: u64) -> User {
        load(id).await
    }
}
impl user {
    ::cached_runtime::__private::companions! {
        (id : u64,) [] [Self::__entry] => (__cached::Arg::new(& id)
        .key_part_unchecked(),);, [] [] (id : u64) -> User, [] __lookup => __lookup
        .or_compute(move || Self::uncached(id)). await
    }
    fn __entry<
        __Operation: ::cached_runtime::__private::Operation<User>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private as __cached;
        let _ = user;
        static __FUNCTION: __cached::CachedFunction = __cached::CachedFunction::new(
            __cached::FunctionName::new(&|| ()).single_instance(),
            || __cached::Policy::new().ttl(__cached::Duration::new(60u64, 0u32)),
        );
        __cached::declare! {
            __FUNCTION
        }
        __cached::EntryRef::new(
                __FUNCTION.only_instance(&Self::clear),
                __key,
                __cached::ReturnType::<User>::new().kind(),
                __cached::ReturnType::<User>::new().absent(),
            )
            .memory(__operation)
    }
}
