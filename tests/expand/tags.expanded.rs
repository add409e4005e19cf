pub async fn user(id: u64, r#type: Kind, lang: String) -> Result<User, Error> {
    let __lookup = {
        use ::cached_runtime::__private as __cached;
        <user>::__entry(
            __cached::Get,
            __cached::with_tags(
                (
                    __cached::Arg::new(&id).key_part(),
                    __cached::Arg::new(&r#type).key_part(),
                    __cached::Arg::new(&lang).key_part(),
                ),
                || {
                    __cached::vec![
                        __cached::format!("user:{}", __cached::TagText::new(& id)
                        .text()), __cached::format!("type:{}:{{}}",
                        __cached::TagText::new(& r#type).text()),
                        __cached::TagText::new(& format!("lang:{lang}")).tag(),
                        __cached::TagText::new(& USERS).tag()
                    ]
                },
            ),
        )
    };
    let __lookup = match __lookup {
        ::cached_runtime::__private::Found::Hit(__output) => return __output,
        __lookup => __lookup,
    };
    return ::cached_runtime::__private::or_compute_detached(
            __lookup,
            move || <user>::uncached(id, r#type, lang),
        )
        .await;
}
///The cache of [`user()`](user()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
#[non_exhaustive]
pub struct user {}
impl user {
    /// Runs the function as it is written: it neither reads the cache nor stores the result.
    pub async fn uncached(id: u64, r#type: Kind, lang: String) -> Result<User, Error> {
        find(id, r#type, lang).await
    }
}
impl user {
    ::cached_runtime::__private::companions! {
        (id : u64, r#type : Kind, lang : String,) [] [Self::__entry] =>
        __cached::with_tags((__cached::Arg::new(& id).key_part_unchecked(),
        __cached::Arg::new(& r#type).key_part_unchecked(), __cached::Arg::new(& lang)
        .key_part_unchecked(),), || __cached::vec![__cached::format!("user:{}",
        __cached::TagText::new(& id).text_unchecked()), __cached::format!("type:{}:{{}}",
        __cached::TagText::new(& r#type).text_unchecked()), __cached::TagText::new(&
        format!("lang:{lang}")).tag_unchecked(), __cached::TagText::new(& USERS)
        .tag_unchecked()]); pub, [] [] (id : u64, r#type : Kind, lang : String) -> Result
        < User, Error >, [] __lookup =>
        ::cached_runtime::__private::or_compute_detached(__lookup, move ||
        Self::uncached(id, r#type, lang)). await
    }
    fn __entry<
        __Operation: ::cached_runtime::__private::Operation<Result<User, Error>>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private as __cached;
        let _ = user;
        static __FUNCTION: __cached::CachedFunction = __cached::CachedFunction::new(
            __cached::FunctionName::new(&|| ()).single_instance(),
            || {
                __cached::Policy::new()
                    .ttl(__cached::Duration::new(600u64, 0u32))
                    .stale_while_revalidate(__cached::Duration::new(60u64, 0u32))
                    .with_tags()
            },
        );
        __cached::declare! {
            __FUNCTION
        }
        __cached::EntryRef::new(
                __FUNCTION.only_instance(&Self::clear),
                __key,
                __cached::ReturnType::<Result<User, Error>>::new().kind(),
                __cached::ReturnType::<Result<User, Error>>::new().absent(),
            )
            .memory(__operation)
    }
}
