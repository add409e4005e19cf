impl Find for Users {
    async fn find(&self, id: u64) -> Result<User, Error> {
        let __looked = {
            static __SITE: ::cached_runtime::__private::Site = ::cached_runtime::__private::Site::new(||
            {
                ::cached_runtime::__private::Policy::new()
                    .ttl(::cached_runtime::__private::Duration::new(60u64, 0u32))
                    .handle(&FIND)
            });
            ::cached_runtime::__private::At::new(
                    __SITE.instance(&|| ()),
                    (::cached_runtime::__private::Arg::new(&id).part(),),
                    ::cached_runtime::__private::Shape::<Result<User, Error>>::new()
                        .kind(),
                    ::cached_runtime::__private::Shape::<Result<User, Error>>::new()
                        .absent(),
                )
                .memory(::cached_runtime::__private::Look)
        };
        __looked
            .or(move || async move {
                if let ::cached_runtime::__private::Option::Some(__never) = ::cached_runtime::__private::Option::None::<
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
