impl Find for Users {
    async fn find(&self, id: u64) -> Result<User, Error> {
        use ::cached_runtime::__private;
        let __lookup = {
            static __FUNCTION: __private::CachedFunction = __private::CachedFunction::new(
                __private::FunctionName::new(&|| ()),
                || {
                    __private::Policy::new()
                        .ttl(__private::Duration::new(60u64, 0u32))
                        .handle(&FIND)
                },
            );
            __private::declare! {
                __FUNCTION
            }
            __private::EntryRef::new(
                    __FUNCTION.instance(&|| ()),
                    (__private::Arg::new(&id).key_part(),),
                    __private::ReturnType::<Result<User, Error>>::new().kind(),
                    __private::ReturnType::<Result<User, Error>>::new().absent(),
                )
                .memory(__private::Get)
        };
        let __lookup = match __lookup {
            __private::Found::Hit(__output) => return __output,
            __lookup => __lookup,
        };
        __lookup
            .or_compute(move || async move {
                #[allow(unused_qualifications)]
                if let __private::Option::Some(__never) = __private::Option::None::<
                    Result<User, Error>,
                > {
                    return __never;
                }
                {
                    let row = self.db.load(id).await?;
                    Ok(row.into())
                }
            })
            .await
    }
}
