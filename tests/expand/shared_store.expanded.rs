pub(crate) async fn weather(
    place: &Place,
    lang: &str,
    _verbose: bool,
) -> Result<Option<Weather>, Error> {
    let __lookup = {
        use ::cached_runtime::__private as __cached;
        <weather>::__entry(
            __cached::Get,
            (
                __cached::Arg::new(&place.id).shared_key_part(),
                __cached::Arg::new(&lang).shared_key_part(),
            ),
        )
    };
    return __lookup.or_compute(move || <weather>::uncached(place, lang, _verbose)).await;
}
///The cache of [`weather()`](weather()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
#[non_exhaustive]
pub(crate) struct weather {}
impl weather {
    /// Runs the function as it is written: it neither reads the cache nor stores the result.
    pub(crate) async fn uncached(
        place: &Place,
        lang: &str,
        _verbose: bool,
    ) -> Result<Option<Weather>, Error> {
        ask(place, lang).await
    }
}
impl weather {
    ::cached_runtime::__private::companions! {
        (place : & Place, lang : & str,) [] [Self::__entry] => (__cached::Arg::new(&
        place.id).shared_key_part_unchecked(), __cached::Arg::new(& lang)
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
        use ::cached_runtime::__private as __cached;
        let _ = weather;
        __cached::redis! {
            { static __FUNCTION : __cached::CachedFunction =
            __cached::CachedFunction::new(__cached::FunctionName::new(& || ())
            .single_instance(), || __cached::json! { __cached::Policy::new()
            .ttl(__cached::Duration::new(60u64, 0u32)).redis().json() });
            __cached::declare! { __FUNCTION } __cached::EntryRef::new(__FUNCTION
            .only_instance(& Self::clear), __key, __cached::ReturnType:: < Result <
            Option < Weather >, Error > > ::new().kind(), __cached::ReturnType:: < Result
            < Option < Weather >, Error > > ::new().absent()).shared(__operation) }
        }
    }
}
