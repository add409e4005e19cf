pub async fn load<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
where
    T: Entity,
{
    let __looked = load::__at::<
        T,
        N,
        _,
        _,
    >(
        ::cached_runtime::__private::Look,
        (::cached_runtime::__private::Arg::new(&id).part(),),
    );
    __looked.or(move || load::uncached::<T, N>(db, id)).await
}
///What has been remembered of [`load()`](load()): `invalidate`, `put` and `peek` take what makes the key, `refresh` and `uncached` every argument, `clear` and `stats` nothing.
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
pub struct load {}
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
impl load {
    pub async fn uncached<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
    where
        T: Entity,
    {
        db.load(id).await
    }
}
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
impl load {
    pub async fn refresh<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
    where
        T: Entity,
    {
        let __looked = Self::__at::<
            T,
            N,
            _,
            _,
        >(
            ::cached_runtime::__private::Refresh,
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        );
        __looked.or(move || Self::uncached::<T, N>(db, id)).await
    }
    pub fn invalidate<T, const N: usize>(
        id: T::Id,
    ) -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>>
    where
        T: Entity,
    {
        Self::__at::<
            T,
            N,
            _,
            _,
        >(
            ::cached_runtime::__private::Invalidate,
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        )
    }
    pub fn put<T, const N: usize>(
        id: T::Id,
        __value: impl ::cached_runtime::__private::Stands<Result<[T; N], Error>>,
    ) -> ::cached_runtime::BoxFuture<'static, ::cached_runtime::Result<()>>
    where
        T: Entity,
    {
        Self::__at::<
            T,
            N,
            _,
            _,
        >(
            ::cached_runtime::__private::Put(
                ::cached_runtime::__private::Stands::output(__value),
            ),
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        )
    }
    pub fn peek<T, const N: usize>(
        id: T::Id,
    ) -> ::cached_runtime::BoxFuture<
        'static,
        ::cached_runtime::__private::Option<Result<[T; N], Error>>,
    >
    where
        T: Entity,
    {
        Self::__at::<
            T,
            N,
            _,
            _,
        >(
            ::cached_runtime::__private::Peek,
            (::cached_runtime::__private::Arg::new(&id).part_again(),),
        )
    }
    pub fn clear<T, const N: usize>() -> ::cached_runtime::BoxFuture<
        'static,
        ::cached_runtime::Result<()>,
    >
    where
        T: Entity,
    {
        Self::__at::<T, N, _, _>(::cached_runtime::__private::Clear, ())
    }
    pub fn stats<T, const N: usize>() -> ::cached_runtime::Stats
    where
        T: Entity,
    {
        Self::__at::<T, N, _, _>(::cached_runtime::__private::Count, ())
    }
    fn __at<
        T,
        const N: usize,
        __Verb: ::cached_runtime::__private::Verb<Result<[T; N], Error>>,
        __Key: ::cached_runtime::__private::Parts,
    >(__verb: __Verb, __key: __Key) -> __Verb::Out
    where
        T: Entity,
    {
        static __SITE: ::cached_runtime::__private::Site = ::cached_runtime::__private::Site::new(||
        ::cached_runtime::__private::Policy::new().ttl(MINUTE));
        ::cached_runtime::__private::At::new(
                __SITE.instance(&Self::clear::<T, N>),
                __key,
                ::cached_runtime::__private::Shape::<Result<[T; N], Error>>::new()
                    .kind(),
                ::cached_runtime::__private::Shape::<Result<[T; N], Error>>::new()
                    .absent(),
            )
            .cache_if(|value: &T| value.is_current())
            .memory(__verb)
    }
}
