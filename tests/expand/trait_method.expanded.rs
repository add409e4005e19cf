impl Find for Users {
    async fn find(&self, id: u64) -> Result<User, Error> {
        let __lookup = {
            use ::cached_runtime::__private as __cached;
            static __FUNCTION: __cached::CachedFunction = __cached::CachedFunction::new(
                __cached::FunctionName::new(&|| ()),
                || __cached::Policy::new().ttl(__cached::Duration::new(60u64, 0u32)),
            );
            __cached::declare! {
                __FUNCTION
            }
            __cached::EntryRef::new(
                    __FUNCTION.instance(&|| ()),
                    (__cached::Arg::new(&id).key_part(),),
                    __cached::ReturnType::<Result<User, Error>>::new().kind(),
                    __cached::ReturnType::<Result<User, Error>>::new().absent(),
                )
                .memory(__cached::Get)
        };
        let __lookup = match __lookup {
            ::cached_runtime::__private::Found::Hit(__output) => return __output,
            __lookup => __lookup,
        };
        return __lookup
            .or_compute(move || async move {
                if let ::core::option::Option::Some(__never) = ::cached_runtime::__private::none() {
                    let __never: Result<User, Error> = __never;
                    return __never;
                }
                {
                    let row = self.db.load(id).await?;
                    Ok(row.into())
                }
            })
            .await;
    }
}
