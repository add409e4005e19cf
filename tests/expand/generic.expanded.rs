pub async fn load<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
where
    T: Entity,
{
    let __lookup = {
        use ::cached_runtime::__private as __cached;
        <load>::__entry::<
            T,
            N,
            _,
            _,
        >(__cached::Get, (__cached::Arg::new(&id).key_part(),))
    };
    let __lookup = match __lookup {
        ::cached_runtime::__private::Found::Hit(__output) => return __output,
        __lookup => __lookup,
    };
    return __lookup.or_compute(move || <load>::uncached::<T, N>(db, id)).await;
}
///The cache of [`load()`](load()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
#[non_exhaustive]
pub struct load {}
impl load {
    /// Runs the function as it is written: it neither reads the cache nor stores the result.
    pub async fn uncached<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
    where
        T: Entity,
    {
        db.load(id).await
    }
}
impl load {
    ::cached_runtime::__private::companions! {
        (id : T::Id,) [] [Self::__entry:: < T, N, _, _ >] => (__cached::Arg::new(& id)
        .key_part_unchecked(),); pub, [] [< T, const N : usize >] (db : & Db, id : T::Id)
        -> Result < [T; N], Error >, [where T : Entity + 'static,] __lookup => __lookup
        .or_compute(move || Self::uncached:: < T, N > (db, id)). await
    }
    fn __entry<
        T,
        const N: usize,
        __Operation: ::cached_runtime::__private::Operation<Result<[T; N], Error>>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out
    where
        T: Entity + 'static,
    {
        use ::cached_runtime::__private as __cached;
        let _ = load::<T, N>;
        static __FUNCTION: __cached::CachedFunction = __cached::CachedFunction::new(
            __cached::FunctionName::new(&|| ()),
            || __cached::Policy::new().ttl_by(|| MINUTE),
        );
        __cached::declare! {
            __FUNCTION
        }
        __cached::EntryRef::new(
                __FUNCTION.instance(&Self::clear::<T, N>),
                __key,
                __cached::ReturnType::<Result<[T; N], Error>>::new().kind(),
                __cached::ReturnType::<Result<[T; N], Error>>::new().absent(),
            )
            .cache_if(|value: &T| value.is_current())
            .memory(__operation)
    }
}
