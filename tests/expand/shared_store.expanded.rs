#[allow(clippy::used_underscore_binding)]
pub(crate) async fn weather(
    place: &Place,
    lang: &str,
    _verbose: bool,
) -> Result<Option<Weather>, Error> {
    use ::cached_runtime::__private;
    let __lookup = weather::__entry(
        __private::Get,
        (
            __private::Arg::new(&place.id).shared_key_part(),
            __private::Arg::new(&lang).shared_key_part(),
        ),
    );
    __lookup.or_compute(move || weather::uncached(place, lang, _verbose)).await
}
///The cache of [`weather()`](weather()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
pub(crate) struct weather {}
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
impl weather {
    pub(crate) async fn uncached(
        place: &Place,
        lang: &str,
        _verbose: bool,
    ) -> Result<Option<Weather>, Error> {
        ask(place, lang).await
    }
}
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
impl weather {
    ::cached_runtime::__private::companions! {
        (place : & Place, lang : & str,) [Self::__entry] => (__private::Arg::new(& place
        .id).shared_key_part_unchecked(), __private::Arg::new(& lang)
        .shared_key_part_unchecked(),); pub (crate), [] [] (place : & Place, lang : &
        str, _verbose : bool) -> Result < Option < Weather >, Error >, [] __lookup =>
        __lookup.or_compute(move || Self::uncached(place, lang, _verbose)). await
    }
    fn __entry<
        __Operation: ::cached_runtime::__private::Operation<
                Result<Option<Weather>, Error>,
            >,
        __Key: ::cached_runtime::__private::SharedKeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out {
        use ::cached_runtime::__private;
        __private::redis! {
            { static __FUNCTION : __private::CachedFunction =
            __private::CachedFunction::new(__private::FunctionName::new(& || ())
            .single_instance(), || __private::json! { __private::Policy::new()
            .ttl(__private::Duration::new(60u64, 0u32)).redis().json() });
            __private::declare! { __FUNCTION } __private::EntryRef::new(__FUNCTION
            .only_instance(& Self::clear), __key, __private::ReturnType:: < Result <
            Option < Weather >, Error > > ::new().kind(), __private::ReturnType:: <
            Result < Option < Weather >, Error > > ::new().absent()).shared(__operation)
            }
        }
    }
}
