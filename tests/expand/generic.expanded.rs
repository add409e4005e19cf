pub async fn load<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
where
    T: Entity,
{
    use ::cached_runtime::__private;
    let __lookup = load::__entry::<
        T,
        N,
        _,
        _,
    >(__private::Get, (__private::Arg::new(&id).key_part(),));
    let __lookup = match __lookup {
        __private::Found::Hit(__output) => return __output,
        __lookup => __lookup,
    };
    __lookup.or_compute(move || load::uncached::<T, N>(db, id)).await
}
///The cache of [`load()`](load()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none.
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
    ::cached_runtime::__private::companions! {
        (id : T::Id,) [Self::__entry:: < T, N, _, _ >] => (__private::Arg::new(& id)
        .key_part_unchecked(),); pub, [] [< T, const N : usize >] (db : & Db, id : T::Id)
        -> Result < [T; N], Error >, [where T : Entity,] __lookup => __lookup
        .or_compute(move || Self::uncached:: < T, N > (db, id)). await
    }
    fn __entry<
        T,
        const N: usize,
        __Operation: ::cached_runtime::__private::Operation<Result<[T; N], Error>>,
        __Key: ::cached_runtime::__private::KeyParts,
    >(__operation: __Operation, __key: __Key) -> __Operation::Out
    where
        T: Entity,
    {
        use ::cached_runtime::__private;
        static __FUNCTION: __private::CachedFunction = __private::CachedFunction::new(
            __private::FunctionName::new(&|| ()),
            || __private::Policy::new().ttl_by(|| MINUTE),
        );
        __private::declare! {
            __FUNCTION
        }
        __private::EntryRef::new(
                __FUNCTION.instance(&Self::clear::<T, N>),
                __key,
                __private::ReturnType::<Result<[T; N], Error>>::new().kind(),
                __private::ReturnType::<Result<[T; N], Error>>::new().absent(),
            )
            .cache_if(|value: &T| value.is_current())
            .memory(__operation)
    }
}
