impl Users {
    pub async fn find(&self, id: u64, lang: &str) -> Result<User, Error> {
        let __lookup = {
            use ::cached_runtime::__private as __cached;
            Self::__find_entry(
                __cached::Get,
                (
                    __cached::Arg::new(&id).key_part(),
                    __cached::Arg::new(&lang).key_part(),
                ),
            )
        };
        let __lookup = match __lookup {
            ::cached_runtime::__private::Found::Hit(__output) => return __output,
            __lookup => __lookup,
        };
        return __lookup.or_compute(move || Self::find_uncached(self, id, lang)).await;
    }
    /// Runs the function as it is written: it neither reads the cache nor stores the result.
    pub async fn find_uncached(&self, id: u64, lang: &str) -> Result<User, Error> {
        self.db.load(id, lang).await
    }
    ::cached_runtime::__private::computing! {
        [] find_refresh find_lookup[Self::__find_entry] => (__cached::Arg::new(& id)
        .key_part_unchecked(), __cached::Arg::new(& lang).key_part_unchecked(),); pub, []
        [] (& self, id : u64, lang : & str) -> Result < User, Error >, [] __lookup =>
        __lookup.or_compute(move || Self::find_uncached(self, id, lang)). await
    }
    ///The cache of `find`.
    pub fn find_cache<'key>() -> ::cached_runtime::MethodCache<
        (u64, &'key str),
        Result<User, Error>,
    > {
        use ::cached_runtime::__private as __cached;
        ::cached_runtime::MethodCache::new(
            |__operation, (id, lang)| Self::__find_operation(__operation, id, lang),
            || Self::__find_entry(__cached::GetInstance, ()),
        )
    }
    fn __find_operation(
        __operation: ::cached_runtime::__private::AnyOperation<Result<User, Error>>,
        id: u64,
        lang: &str,
    ) -> ::cached_runtime::__private::AnyOutput<Result<User, Error>> {
        use ::cached_runtime::__private as __cached;
        Self::__find_entry(
            __operation,
            (
                __cached::Arg::new(&id).key_part_unchecked(),
                __cached::Arg::new(&lang).key_part_unchecked(),
            ),
        )
    }
    fn __find_entry<
        __Operation: ::cached_runtime::__private::Operation<Result<User, Error>>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private as __cached;
        let _ = Self::find;
        let _ = Self::find_refresh;
        let _ = Self::find_lookup;
        static __FUNCTION: __cached::CachedFunction = __cached::CachedFunction::new(
            __cached::FunctionName::new(&|| ()).named("users"),
            || __cached::Policy::new().ttl(__cached::Duration::new(300u64, 0u32)),
        );
        __cached::declare! {
            __FUNCTION
        }
        __cached::EntryRef::new(
                __FUNCTION.instance(&Self::find_cache),
                __key,
                __cached::ReturnType::<Result<User, Error>>::new().kind(),
                __cached::ReturnType::<Result<User, Error>>::new().absent(),
            )
            .memory(__operation)
    }
}
