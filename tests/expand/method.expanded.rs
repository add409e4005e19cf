impl Users {
    pub async fn find(&self, id: u64, lang: &str) -> Result<User, Error> {
        use ::cached_runtime::__private;
        let __lookup = Self::__find_entry(
            __private::Get,
            (__private::Arg::new(&id).key_part(), __private::Arg::new(&lang).key_part()),
        );
        let __lookup = match __lookup {
            __private::Found::Hit(__output) => return __output,
            __lookup => __lookup,
        };
        __lookup.or_compute(move || Self::find_uncached(self, id, lang)).await
    }
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
    pub async fn find_uncached(&self, id: u64, lang: &str) -> Result<User, Error> {
        self.db.load(id, lang).await
    }
    ::cached_runtime::__private::computing! {
        find_refresh find_lookup[Self::__find_entry] => (__private::Arg::new(& id)
        .key_part_unchecked(), __private::Arg::new(& lang).key_part_unchecked(),); pub,
        [] [] (& self, id : u64, lang : & str) -> Result < User, Error >, [] __lookup =>
        __lookup.or_compute(move || Self::find_uncached(self, id, lang)). await
    }
    ///The cache of [`find`](Self::find()).
    #[allow(
        dead_code,
        missing_docs,
        non_camel_case_types,
        clippy::all,
        clippy::pedantic
    )]
    pub fn find_cache<'__key>() -> ::cached_runtime::MethodCache<
        (u64, &'__key str),
        Result<User, Error>,
    > {
        use ::cached_runtime::__private;
        ::cached_runtime::MethodCache::new(
            |__operation, (id, lang)| Self::__find_operation(__operation, id, lang),
            || Self::__find_entry(__private::GetInstance, ()),
        )
    }
    #[allow(
        dead_code,
        missing_docs,
        non_camel_case_types,
        clippy::all,
        clippy::pedantic
    )]
    fn __find_operation(
        __operation: ::cached_runtime::__private::AnyOperation<Result<User, Error>>,
        id: u64,
        lang: &str,
    ) -> ::cached_runtime::__private::AnyOutput<Result<User, Error>> {
        use ::cached_runtime::__private;
        Self::__find_entry(
            __operation,
            (
                __private::Arg::new(&id).key_part_unchecked(),
                __private::Arg::new(&lang).key_part_unchecked(),
            ),
        )
    }
    #[allow(
        dead_code,
        missing_docs,
        non_camel_case_types,
        clippy::all,
        clippy::pedantic
    )]
    fn __find_entry<
        __Operation: ::cached_runtime::__private::Operation<Result<User, Error>>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private;
        static __FUNCTION: __private::CachedFunction = __private::CachedFunction::new(
            __private::FunctionName::new(&|| ()).named("users"),
            || __private::Policy::new().ttl(__private::Duration::new(300u64, 0u32)),
        );
        __private::declare! {
            __FUNCTION
        }
        __private::EntryRef::new(
                __FUNCTION.instance(&Self::find_cache),
                __key,
                __private::ReturnType::<Result<User, Error>>::new().kind(),
                __private::ReturnType::<Result<User, Error>>::new().absent(),
            )
            .memory(__operation)
    }
}
