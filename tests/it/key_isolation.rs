//! A call returns a value of its own function for its own arguments, never another value, on every backend.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::Duration;

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, async_cached};
use cached_tests::runs::Runs;
use cached_tests::server::{MemcachedServer, RedisServer};
use serde::{Deserialize, Serialize};

const LONG_DEADLINE: Duration = Duration::from_secs(10);

/// Expands each macro, which defines functions with a backend and a test of them, to one test per backend.
macro_rules! on_each_backend {
    ($($holds:ident)*) => {$(
        mod $holds {
            mod in_memory {
                use super::super::*;

                $holds!();

                #[tokio::test]
                async fn holds() {
                    test().await;
                }
            }

            mod in_redis {
                use super::super::*;

                static STORE: OnceLock<Redis> = OnceLock::new();

                $holds!(, backend = STORE.get().unwrap());

                #[tokio::test]
                async fn holds() {
                    let server = RedisServer::start();
                    STORE.set(redis(&server)).unwrap();
                    test().await;
                }
            }

            mod in_memcached {
                use super::super::*;

                static STORE: OnceLock<Memcached> = OnceLock::new();

                $holds!(, backend = STORE.get().unwrap());

                #[tokio::test]
                async fn holds() {
                    let server = MemcachedServer::start();
                    STORE.set(memcached(&server)).unwrap();
                    test().await;
                }
            }
        }
    )*};
}

fn redis(server: &RedisServer) -> Redis {
    Redis::new(RedisConfig::new(server.url()).deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE)).unwrap()
}

fn memcached(server: &MemcachedServer) -> Memcached {
    let config = MemcachedConfig::new(server.addr()).deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE);
    Memcached::new(config).unwrap()
}

/// Asserts that every call returns its own value, twice, and that each is computed once: the second call is a hit.
macro_rules! assert_apart {
    ($runs:expr; $($call:expr => $answer:expr),+ $(,)?) => {
        for round in ["computed", "cached"] {
            $(assert_eq!($call.await, $answer, "{} {round}", stringify!($call));)+
        }
        assert_eq!($runs.count(), [$(stringify!($call)),+].len() as u64, "one computation each");
    };
}

macro_rules! functions_of_one_name_are_apart {
    ($($backend:tt)*) => {
        static RUNS: Runs = Runs::new();

        fn ran(name: &str, id: u64) -> String {
            RUNS.next();
            format!("{name} {id}")
        }

        mod one {
            use super::*;

            #[async_cached(ttl = 60 $($backend)*)]
            pub(super) async fn load(id: u64) -> String {
                ran("one", id)
            }
        }

        mod two {
            use super::*;

            #[async_cached(ttl = 60 $($backend)*)]
            pub(super) async fn load(id: u64) -> String {
                ran("two", id)
            }
        }

        async fn outer(id: u64) -> String {
            #[async_cached(ttl = 60 $($backend)*)]
            async fn load(id: u64) -> String {
                ran("outer", id)
            }
            load(id).await
        }

        async fn other(id: u64) -> String {
            #[async_cached(ttl = 60 $($backend)*)]
            async fn load(id: u64) -> String {
                ran("other", id)
            }
            load(id).await
        }

        async fn test() {
            assert_apart! { RUNS;
                one::load(1) => "one 1",
                two::load(1) => "two 1",
                outer(1) => "outer 1",
                other(1) => "other 1",
                one::load(2) => "one 2",
            }
        }
    };
}

macro_rules! methods_of_one_name_are_apart {
    ($($backend:tt)*) => {
        static RUNS: Runs = Runs::new();

        fn ran(name: &str, id: u64) -> String {
            RUNS.next();
            format!("{name} {id}")
        }

        struct Users;
        struct Orders;

        impl Users {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            pub(super) async fn find(&self, id: u64) -> String {
                ran("user", id)
            }

            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn secret(&self, id: u64) -> String {
                ran("secret user", id)
            }

            #[async_cached(ttl = 60, associated $($backend)*)]
            pub(super) async fn all(id: u64) -> String {
                ran("users", id)
            }
        }

        impl Orders {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            pub(super) async fn find(&self, id: u64) -> String {
                ran("order", id)
            }

            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn secret(&self, id: u64) -> String {
                ran("secret order", id)
            }

            #[async_cached(ttl = 60, associated $($backend)*)]
            pub(super) async fn all(id: u64) -> String {
                ran("orders", id)
            }
        }

        trait Find {
            async fn look(&self, id: u64) -> String;
        }

        trait Search {
            async fn look(&self, id: u64) -> String;
        }

        trait Pick<T> {
            async fn look(&self, id: u64) -> String;
        }

        impl Find for Users {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn look(&self, id: u64) -> String {
                ran("found user", id)
            }
        }

        impl Search for Users {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn look(&self, id: u64) -> String {
                ran("sought user", id)
            }
        }

        impl Find for Orders {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn look(&self, id: u64) -> String {
                ran("found order", id)
            }
        }

        impl Pick<u8> for Users {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn look(&self, id: u64) -> String {
                ran("user picked by u8", id)
            }
        }

        impl Pick<u16> for Users {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn look(&self, id: u64) -> String {
                ran("user picked by u16", id)
            }
        }

        async fn test() {
            assert_apart! { RUNS;
                Users.find(1) => "user 1",
                Orders.find(1) => "order 1",
                Users.secret(1) => "secret user 1",
                Orders.secret(1) => "secret order 1",
                Users::all(1) => "users 1",
                Orders::all(1) => "orders 1",
                Find::look(&Users, 1) => "found user 1",
                Search::look(&Users, 1) => "sought user 1",
                Find::look(&Orders, 1) => "found order 1",
                Pick::<u8>::look(&Users, 1) => "user picked by u8 1",
                Pick::<u16>::look(&Users, 1) => "user picked by u16 1",
            }
        }
    };
}

macro_rules! instances_of_a_generic_are_apart {
    ($($backend:tt)*) => {
        static RUNS: Runs = Runs::new();

        fn ran<T>(name: &str) -> String {
            RUNS.next();
            format!("{name} {}", size_of::<T>())
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn by_type<T: Key>(value: T) -> String {
            let _ = value;
            ran::<T>("type")
        }

        /// The type is not in the key.
        #[async_cached(ttl = 60, skip(marker) $($backend)*)]
        async fn by_skipped<T: 'static>(marker: PhantomData<T>, id: u64) -> String {
            let _ = (marker, id);
            ran::<T>("skipped")
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn by_turbofish<T: 'static>() -> String {
            ran::<T>("turbofish")
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn by_const<const N: usize>(id: u64) -> String {
            let _ = id;
            ran::<[u8; N]>("const")
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn by_flag<const FLAG: bool>() -> String {
            RUNS.next();
            FLAG.to_string()
        }

        struct Repo<T>(PhantomData<T>);

        impl<T: 'static> Repo<T> {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            pub(super) async fn find(&self, id: u64) -> String {
                let _ = id;
                ran::<T>("repo")
            }

            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn secret<U: 'static>(&self) -> String {
                ran::<(T, [U; 2])>("secret")
            }

            #[async_cached(ttl = 60, associated $($backend)*)]
            pub(super) async fn name() -> String {
                ran::<T>("associated")
            }
        }

        trait Find {
            async fn look(&self, id: u64) -> String;
        }

        impl<T: 'static> Find for Repo<T> {
            #[async_cached(ttl = 60, skip(self) $($backend)*)]
            async fn look(&self, id: u64) -> String {
                let _ = id;
                ran::<T>("trait")
            }
        }

        async fn test() {
            let (small, large) = (Repo(PhantomData::<u8>), Repo(PhantomData::<u16>));
            assert_apart! { RUNS;
                by_type(1_u8) => "type 1",
                by_type(1_u16) => "type 2",
                by_skipped(PhantomData::<u8>, 1) => "skipped 1",
                by_skipped(PhantomData::<u16>, 1) => "skipped 2",
                by_turbofish::<u8>() => "turbofish 1",
                by_turbofish::<u16>() => "turbofish 2",
                by_const::<1>(1) => "const 1",
                by_const::<2>(1) => "const 2",
                by_flag::<true>() => "true",
                by_flag::<false>() => "false",
                small.find(1) => "repo 1",
                large.find(1) => "repo 2",
                small.secret::<u8>() => "secret 3",
                small.secret::<u16>() => "secret 6",
                large.secret::<u8>() => "secret 4",
                Repo::<u8>::name() => "associated 1",
                Repo::<u16>::name() => "associated 2",
                small.look(1) => "trait 1",
                large.look(1) => "trait 2",
            }
        }
    };
}

/// The bounds of a type parameter in a key.
trait Key: std::hash::Hash + Eq + Clone + Send + Sync + Serialize + 'static {}

impl Key for u8 {}
impl Key for u16 {}

macro_rules! instances_with_different_keys_are_apart {
    ($($backend:tt)*) => {
        static RUNS: Runs = Runs::new();

        #[derive(Clone, PartialEq, Eq, Hash, Serialize)]
        struct Tenant {
            id: u64,
            name: &'static str,
        }

        impl Tenant {
            #[async_cached(ttl = 60, key = (self.id, user) $($backend)*)]
            pub(super) async fn user(&self, user: u64) -> String {
                RUNS.next();
                format!("{} of {}", user, self.id)
            }

            #[async_cached(ttl = 60, key = (self.name, user) $($backend)*)]
            async fn secret(&self, user: u64) -> String {
                RUNS.next();
                format!("{} of {}", user, self.name)
            }

            #[async_cached(ttl = 60, key = (self, user) $($backend)*)]
            pub(super) async fn whole(&self, user: u64) -> String {
                RUNS.next();
                format!("{} of {} {}", user, self.id, self.name)
            }
        }

        async fn test() {
            let (a, b, c) =
                (Tenant { id: 1, name: "a" }, Tenant { id: 2, name: "b" }, Tenant { id: 1, name: "c" });
            assert_apart! { RUNS;
                a.user(1) => "1 of 1",
                a.user(2) => "2 of 1",
                b.user(1) => "1 of 2",
                a.secret(1) => "1 of a",
                b.secret(1) => "1 of b",
                c.secret(1) => "1 of c",
                a.whole(1) => "1 of 1 a",
                c.whole(1) => "1 of 1 c",
                b.whole(1) => "1 of 2 b",
            }
            assert_eq!(c.user(1).await, "1 of 1", "a field outside the key is ignored");
        }
    };
}

/// Arguments that are equal when they are concatenated.
macro_rules! arguments_are_not_concatenated {
    ($($backend:tt)*) => {
        static RUNS: Runs = Runs::new();

        fn ran(arguments: impl std::fmt::Debug) -> String {
            RUNS.next();
            format!("{arguments:?}")
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn texts(a: &str, b: &str) -> String {
            ran((a, b))
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn option(a: Option<&str>) -> String {
            ran(a)
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn options(a: Option<&str>, b: Option<String>) -> String {
            ran((a, b))
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn list(a: &[String]) -> String {
            ran(a)
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn lists(a: Vec<u8>, b: Vec<u8>) -> String {
            ran((a, b))
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn numbers(a: i64, b: u64) -> String {
            ran((a, b))
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn pair((a, b): (u8, Option<u8>)) -> String {
            ran((a, b))
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn variant(a: Variant) -> String {
            ran(a)
        }

        async fn test() {
            let list_of = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_apart! { RUNS;
                texts("ab", "c") => r#"("ab", "c")"#,
                texts("a", "bc") => r#"("a", "bc")"#,
                texts("abc", "") => r#"("abc", "")"#,
                texts("", "abc") => r#"("", "abc")"#,
                texts("", "") => r#"("", "")"#,
                option(None) => "None",
                option(Some("")) => r#"Some("")"#,
                option(Some("None")) => r#"Some("None")"#,
                options(None, Some(String::new())) => r#"(None, Some(""))"#,
                options(Some(""), None) => r#"(Some(""), None)"#,
                options(None, None) => "(None, None)",
                list(&list_of(&[])) => "[]",
                list(&list_of(&[""])) => r#"[""]"#,
                list(&list_of(&["", ""])) => r#"["", ""]"#,
                list(&list_of(&["ab"])) => r#"["ab"]"#,
                list(&list_of(&["a", "b"])) => r#"["a", "b"]"#,
                lists(vec![1, 2], vec![]) => "([1, 2], [])",
                lists(vec![1], vec![2]) => "([1], [2])",
                lists(vec![], vec![1, 2]) => "([], [1, 2])",
                numbers(-1, 1) => "(-1, 1)",
                numbers(1, u64::MAX) => "(1, 18446744073709551615)",
                numbers(11, 1) => "(11, 1)",
                numbers(1, 11) => "(1, 11)",
                pair((1, None)) => "(1, None)",
                pair((1, Some(0))) => "(1, Some(0))",
                variant(Variant::Unit) => "Unit",
                variant(Variant::Text(String::new())) => r#"Text("")"#,
                variant(Variant::Text("Unit".to_owned())) => r#"Text("Unit")"#,
                variant(Variant::Other("Unit".to_owned())) => r#"Other("Unit")"#,
                variant(Variant::Fields { a: 1, b: 2 }) => "Fields { a: 1, b: 2 }",
                variant(Variant::Fields { a: 2, b: 1 }) => "Fields { a: 2, b: 1 }",
            }
        }
    };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
enum Variant {
    Unit,
    Text(String),
    Other(String),
    Fields { a: u8, b: u8 },
}

/// Nested options are encoded alike in many formats.
macro_rules! none_and_some_none_are_apart {
    ($($backend:tt)*) => {
        static RUNS: Runs = Runs::new();

        fn ran(arguments: impl std::fmt::Debug) -> String {
            RUNS.next();
            format!("{arguments:?}")
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn change(to: Option<Option<u8>>) -> String {
            ran(to)
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn flag(a: Option<()>) -> String {
            ran(a)
        }

        #[async_cached(ttl = 60 $($backend)*)]
        async fn inside(a: Patch) -> String {
            ran(a)
        }

        async fn test() {
            assert_apart! { RUNS;
                change(None) => "None",
                change(Some(None)) => "Some(None)",
                change(Some(Some(0))) => "Some(Some(0))",
                flag(None) => "None",
                flag(Some(())) => "Some(())",
                inside(Patch { name: vec![None] }) => "Patch { name: [None] }",
                inside(Patch { name: vec![Some(None)] }) => "Patch { name: [Some(None)] }",
            }
        }
    };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Patch {
    name: Vec<Option<Option<String>>>,
}

/// Arguments that contain syntax of the protocols of the stores.
macro_rules! arguments_with_protocol_syntax_are_safe {
    ($($backend:tt)*) => {
        #[async_cached(ttl = 60 $($backend)*)]
        async fn seen(a: &str, b: Option<&str>) -> u64 {
            RUNS.next();
            digest(a, b)
        }

        /// Returns a short digest: Memcached rejects values of a megabyte.
        fn digest(a: &str, b: Option<&str>) -> u64 {
            BuildHasherDefault::<DefaultHasher>::default().hash_one((a, b))
        }

        static RUNS: Runs = Runs::new();

        async fn test() {
            // Two of them together are below the limit of 1 MiB for the arguments of a key in a shared store.
            let mega = "m".repeat(500_000);
            let other_mega = format!("{}n", &mega[1..]);
            let texts = [
                "", " ", "\0", "\r\n", "\n", "a b", "a  b", "a\0b", "ab", "a\r\nb",
                "\r\nflush_all\r\n", "\r\n*1\r\n$8\r\nFLUSHALL\r\n", "}{", "{a}", ":l", "cached:{a}:l",
                "\u{feff}", "é", "e\u{301}", "ß", "ss", "\u{1f600}", "%0d%0a", "../../..", "' OR 1=1 --",
                &mega, &other_mega,
            ];
            for _ in 0..2 {
                for text in texts {
                    for other in [None, Some(""), Some("\r\n"), Some(text)] {
                        assert_eq!(seen(text, other).await, digest(text, other), "{text:.20?}");
                    }
                }
            }
            // The pairs ("", Some("")) and ("\r\n", Some("\r\n")) occur twice.
            assert_eq!(RUNS.count(), 4 * texts.len() as u64 - 2, "one computation each");
        }
    };
}

/// A cached value equals the value that the function returned.
macro_rules! values_survive_a_round_trip {
    ($($backend:tt)*) => {
        macro_rules! round_trip {
            ($function:ident: $type:ty = $value:expr) => {{
                #[async_cached(ttl = 60 $($backend)*)]
                async fn $function() -> $type {
                    $value
                }
                let first: $type = $function().await;
                assert_eq!(first, $value, "computed");
                assert_eq!($function().await, first, "{} again", stringify!($function));
                assert_eq!($function::peek().await.unwrap_or(first), $value, "{} in the cache", stringify!($function));
            }};
        }

        async fn test() {
            round_trip!(unit: () = ());
            round_trip!(ok_unit: Result<(), String> = Ok(()));
            round_trip!(large: u64 = u64::MAX);
            round_trip!(small: i64 = i64::MIN);
            round_trip!(huge: u128 = u128::MAX);
            round_trip!(float: f64 = f64::MIN_POSITIVE);
            round_trip!(infinite: f64 = f64::INFINITY);
            round_trip!(letter: char = '\0');
            round_trip!(empty: String = String::new());
            round_trip!(bytes: Vec<u8> = (0..=255).collect::<Vec<u8>>());
            round_trip!(hostile: String = "\r\nEND\r\n\0".to_owned());
            round_trip!(record: Record = Record { a: None, b: Some(Some(1)), c: vec![(1, String::new())] });
            round_trip!(mega: String = "\r\n".repeat(400_000));
        }
    };
}

macro_rules! nested_options_survive_a_round_trip {
    ($($backend:tt)*) => {
        macro_rules! round_trip {
            ($function:ident: $type:ty = $value:expr) => {{
                #[async_cached(ttl = 60 $($backend)*)]
                async fn $function() -> $type {
                    $value
                }
                let first: $type = $function().await;
                assert_eq!(first, $value, "computed");
                assert_eq!($function().await, first, "{} again", stringify!($function));
                assert_eq!($function::peek().await.unwrap_or(first), $value, "{} in the cache", stringify!($function));
            }};
        }

        async fn test() {
            round_trip!(some_none: Option<Option<u8>> = Some(None));
            round_trip!(some_unit: Option<()> = Some(()));
            round_trip!(ok_some_none: Result<Option<Option<u8>>, String> = Ok(Some(None)));
            round_trip!(nested: Vec<Option<Option<u8>>> = vec![None, Some(None), Some(Some(1))]);
            round_trip!(record: Record = Record { a: None, b: Some(None), c: vec![(1, String::new())] });
        }
    };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    a: Option<Option<u8>>,
    b: Option<Option<u8>>,
    c: Vec<(u8, String)>,
}

on_each_backend! {
    functions_of_one_name_are_apart
    methods_of_one_name_are_apart
    instances_of_a_generic_are_apart
    instances_with_different_keys_are_apart
    arguments_are_not_concatenated
    none_and_some_none_are_apart
    arguments_with_protocol_syntax_are_safe
    values_survive_a_round_trip
    nested_options_survive_a_round_trip
}
