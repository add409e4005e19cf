pub async fn user(id: u64, r#type: Kind, lang: String) -> Result<User, Error> {
    use ::cached_runtime::__private;
    let __lookup = user::__entry(
        __private::Get,
        __private::with_tags(
            (
                __private::Arg::new(&id).key_part(),
                __private::Arg::new(&r#type).key_part(),
                __private::Arg::new(&lang).key_part(),
            ),
            || {
                __private::vec![
                    __private::format!("user:{}", __private::TagText::new(& id).text()),
                    __private::format!("type:{}:{{}}", __private::TagText::new(& r#type)
                    .text()), __private::TagText::new(& format!("lang:{lang}")).tag(),
                    __private::TagText::new(& USERS).tag()
                ]
            },
        ),
    );
    let __lookup = match __lookup {
        __private::Found::Hit(__output) => return __output,
        __lookup => __lookup,
    };
    __private::or_compute_detached(__lookup, move || user::uncached(id, r#type, lang))
        .await
}
///The cache of [`user()`](user()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
pub struct user {}
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
    pub async fn uncached(id: u64, r#type: Kind, lang: String) -> Result<User, Error> {
        find(id, r#type, lang).await
    }
}
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
impl user {
    ::cached_runtime::__private::companions! {
        (id : u64, r#type : Kind, lang : String,) [Self::__entry] =>
        __private::with_tags((__private::Arg::new(& id).key_part_unchecked(),
        __private::Arg::new(& r#type).key_part_unchecked(), __private::Arg::new(& lang)
        .key_part_unchecked(),), || __private::vec![__private::format!("user:{}",
        __private::TagText::new(& id).text_unchecked()),
        __private::format!("type:{}:{{}}", __private::TagText::new(& r#type)
        .text_unchecked()), __private::TagText::new(& format!("lang:{lang}"))
        .tag_unchecked(), __private::TagText::new(& USERS).tag_unchecked()]); pub, [] []
        (id : u64, r#type : Kind, lang : String) -> Result < User, Error >, [] __lookup
        => __private::or_compute_detached(__lookup, move || Self::uncached(id, r#type,
        lang)). await
    }
    fn __entry<
        __Operation: ::cached_runtime::__private::Operation<Result<User, Error>>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private;
        static __FUNCTION: __private::CachedFunction = __private::CachedFunction::new(
            __private::FunctionName::new(&|| ()).single_instance(),
            || {
                __private::Policy::new()
                    .ttl(__private::Duration::new(600u64, 0u32))
                    .stale_while_revalidate(__private::Duration::new(60u64, 0u32))
                    .with_tags()
            },
        );
        __private::declare! {
            __FUNCTION
        }
        __private::EntryRef::new(
                __FUNCTION.only_instance(&Self::clear),
                __key,
                __private::ReturnType::<Result<User, Error>>::new().kind(),
                __private::ReturnType::<Result<User, Error>>::new().absent(),
            )
            .memory(__operation)
    }
}
