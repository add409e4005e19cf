#[allow(clippy::used_underscore_binding)]
pub(crate) async fn weather(
    place: &Place,
    lang: &str,
    _verbose: bool,
) -> Result<Option<Weather>, Error> {
    let __looked = weather::__at(
        ::cached_runtime::__private::Look,
        (
            ::cached_runtime::__private::Arg::new(&place.id).shared_part(),
            ::cached_runtime::__private::Arg::new(&lang).shared_part(),
        ),
    );
    __looked.or(move || weather::uncached(place, lang, _verbose)).await
}
///What has been remembered of [`weather()`](weather()): `invalidate`, `put` and `peek` take what makes the key, `refresh` and `uncached` every argument, `clear` and `stats` nothing.
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
    pub(crate) async fn refresh(
        place: &Place,
        lang: &str,
        _verbose: bool,
    ) -> Result<Option<Weather>, Error> {
        let __looked = Self::__at(
            ::cached_runtime::__private::Refresh,
            (
                ::cached_runtime::__private::Arg::new(&place.id).shared_part_again(),
                ::cached_runtime::__private::Arg::new(&lang).shared_part_again(),
            ),
        );
        __looked.or(move || Self::uncached(place, lang, _verbose)).await
    }
    pub(crate) fn invalidate(
        place: &Place,
        lang: &str,
    ) -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>> {
        Self::__at(
            ::cached_runtime::__private::Invalidate,
            (
                ::cached_runtime::__private::Arg::new(&place.id).shared_part_again(),
                ::cached_runtime::__private::Arg::new(&lang).shared_part_again(),
            ),
        )
    }
    pub(crate) fn put(
        place: &Place,
        lang: &str,
        __value: impl ::cached_runtime::__private::Stands<Result<Option<Weather>, Error>>,
    ) -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>> {
        Self::__at(
            ::cached_runtime::__private::Put(
                ::cached_runtime::__private::Stands::output(__value),
            ),
            (
                ::cached_runtime::__private::Arg::new(&place.id).shared_part_again(),
                ::cached_runtime::__private::Arg::new(&lang).shared_part_again(),
            ),
        )
    }
    pub(crate) fn peek(
        place: &Place,
        lang: &str,
    ) -> ::cached_runtime::BoxFuture<
        'static,
        ::cached_runtime::__private::Option<Result<Option<Weather>, Error>>,
    > {
        Self::__at(
            ::cached_runtime::__private::Peek,
            (
                ::cached_runtime::__private::Arg::new(&place.id).shared_part_again(),
                ::cached_runtime::__private::Arg::new(&lang).shared_part_again(),
            ),
        )
    }
    pub(crate) fn clear() -> ::cached_runtime::BoxFuture<
        'static,
        ::cached_runtime::Result<()>,
    > {
        Self::__at(::cached_runtime::__private::Clear, ())
    }
    pub(crate) fn stats() -> ::cached_runtime::Stats {
        Self::__at(::cached_runtime::__private::Count, ())
    }
    fn __at<
        __Verb: ::cached_runtime::__private::Verb<Result<Option<Weather>, Error>>,
        __Key: ::cached_runtime::__private::SharedParts,
    >(__verb: __Verb, __key: __Key) -> __Verb::Out {
        ::cached_runtime::__private::redis! {
            { static __SITE : ::cached_runtime::__private::Site =
            ::cached_runtime::__private::Site::new(|| ::cached_runtime::__private::json!
            { ::cached_runtime::__private::Policy::new()
            .ttl(::cached_runtime::__private::Duration::new(60u64, 0u32)).redis().json()
            }); ::cached_runtime::__private::At::new(__SITE.instance(& Self::clear),
            __key, ::cached_runtime::__private::Shape:: < Result < Option < Weather >,
            Error > > ::new().kind(), ::cached_runtime::__private::Shape:: < Result <
            Option < Weather >, Error > > ::new().absent()).shared(__verb) }
        }
    }
}
