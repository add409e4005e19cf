//! The lifetime of a cached value, and the release of its memory afterwards.
//!
//! A body returns the number of its run, so that two equal results are one cached value.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use cached_runtime::async_cached;
use cached_tests::map_store::MapStore;
use cached_tests::runs::Runs;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Asserts that a value is cached until its `ttl` has passed, to the millisecond.
async fn lasts<R, F>(ttl: Duration, call: impl Fn() -> F)
where
    R: PartialEq + Debug,
    F: Future<Output = R>,
{
    let first = call().await;
    assert_eq!(call().await, first, "at once");
    advance(ttl - MILLI).await;
    assert_eq!(call().await, first, "a millisecond before the end");
    advance(MILLI).await;
    assert_ne!(call().await, first, "at the end");
}

/// Asserts that every call computes.
async fn is_never_cached<R, F>(call: impl Fn() -> F)
where
    R: PartialEq + Debug,
    F: Future<Output = R>,
{
    let (first, second) = (call().await, call().await);
    assert_ne!(first, second);
}

mod ttl {
    use super::*;

    const QUARTER: Duration = Duration::from_millis(250);

    fn increasing() -> Duration {
        static EVALUATIONS: Runs = Runs::new();
        Duration::from_millis(7 * EVALUATIONS.next())
    }

    macro_rules! lasting {
        ($($name:ident($($ttl:tt)*);)*) => {$(
            #[async_cached(ttl = $($ttl)*)]
            async fn $name() -> u64 {
                static RUNS: Runs = Runs::new();
                RUNS.next()
            }
        )*};
    }

    lasting! {
        whole_seconds(2);
        large_number(86_400);
        millis("1500ms");
        compound("1h30m");
        day("1d");
        named(QUARTER);
        computed(QUARTER * 3 + Duration::from_micros(0));
        evaluated(increasing());
        one_milli(MILLI);
        endless(Duration::MAX);
        nothing(Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_is_whole_seconds() {
        lasts(2 * SECOND, whole_seconds).await;
        lasts(86_400 * SECOND, large_number).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_duration_string_has_units() {
        lasts(1_500 * MILLI, millis).await;
        lasts(5_400 * SECOND, compound).await;
        lasts(86_400 * SECOND, day).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_expression_is_evaluated_for_each_value() {
        lasts(250 * MILLI, named).await;
        lasts(750 * MILLI, computed).await;
        lasts(MILLI, one_milli).await;
        for value in 1..=3 {
            lasts(7 * MILLI * value, evaluated).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_and_the_shortest_ttl_work() {
        let first = endless().await;
        advance(365 * 86_400 * SECOND).await;
        assert_eq!(endless().await, first);
        is_never_cached(nothing).await;
    }
}

mod timeout {
    use super::*;

    #[async_cached(ttl = 60, timeout = Duration::MAX)]
    async fn patient(n: u64) -> io::Result<u64> {
        sleep(SECOND).await;
        Ok(n)
    }

    #[async_cached(ttl = 60, timeout = Duration::MAX, stale_while_revalidate = Duration::MAX)]
    async fn refreshed() -> io::Result<u64> {
        static RUNS: Runs = Runs::new();
        sleep(SECOND).await;
        Ok(RUNS.next())
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_timeout_works() {
        assert_eq!(patient(7).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_timeout_of_a_background_refresh_works() {
        assert_eq!(refreshed().await.unwrap(), 1);
        advance(61 * SECOND).await;
        assert_eq!(refreshed().await.unwrap(), 1);
        sleep(2 * SECOND).await;
        assert_eq!(refreshed().await.unwrap(), 2);
    }
}

mod from_value {
    use super::*;

    /// A value with a lifetime.
    #[derive(Clone, Debug, PartialEq)]
    struct Token {
        run: u64,
        millis: u64,
    }

    impl Token {
        fn lifetime(&self) -> Duration {
            Duration::from_millis(self.millis)
        }
    }

    #[async_cached(ttl_from = Token::lifetime)]
    async fn token(millis: u64) -> Token {
        static RUNS: Runs = Runs::new();
        Token { run: RUNS.next(), millis }
    }

    #[async_cached(ttl_from = |token| token.as_ref().map_or(SECOND, Token::lifetime), cache_none = "3s")]
    async fn perhaps(millis: u64) -> Result<Option<Token>, String> {
        static RUNS: Runs = Runs::new();
        match (RUNS.next(), millis) {
            (run, 0) => Err(run.to_string()),
            (run, _) => Ok(Some(Token { run, millis })),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_determines_its_lifetime() {
        lasts(5 * MILLI, || token(5)).await;
        lasts(60_000 * MILLI, || token(60_000)).await;
        is_never_cached(|| token(0)).await;
        token::put(9, Token { run: 0, millis: 20 }).await.unwrap();
        advance(19 * MILLI).await;
        assert_eq!(token::peek(9).await.map(|token| token.run), Some(0));
        advance(MILLI).await;
        assert_eq!(token::peek(9).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn ttl_from_does_not_apply_to_none_and_errors() {
        lasts(5 * MILLI, || perhaps(5)).await;
        is_never_cached(|| perhaps(0)).await;
        perhaps::put(7, Ok(None)).await.unwrap();
        advance(3 * SECOND - MILLI).await;
        assert_eq!(perhaps(7).await, Ok(None));
        advance(MILLI).await;
        assert_ne!(perhaps(7).await, Ok(None));
    }
}

mod condition {
    use super::*;

    #[async_cached(ttl = 60, cache_if = |value| value % 2 == 0)]
    async fn even(_n: u8) -> u64 {
        static RUNS: Runs = Runs::new();
        RUNS.next()
    }

    #[async_cached(ttl = 60, cache_if = |value: &u64| *value > 2, cache_err = 1)]
    async fn late(n: u8) -> Result<u64, u64> {
        static RUNS: Runs = Runs::new();
        let run = RUNS.next();
        if n == 0 { Err(run) } else { Ok(run) }
    }

    #[tokio::test(start_paused = true)]
    async fn only_values_that_meet_the_condition_are_cached() {
        assert_eq!(even(1).await, 1);
        for _ in 0..3 {
            assert_eq!(even(1).await, 2);
        }
        assert_eq!(even(2).await, 3);
        even::put(1, 5).await.unwrap();
        assert_eq!(even::peek(1).await, None, "putting a value that fails the condition removes the old one");
    }

    #[tokio::test(start_paused = true)]
    async fn the_condition_applies_to_success_only() {
        assert_eq!((late(1).await, late(1).await), (Ok(1), Ok(2)));
        assert_eq!((late(1).await, late(1).await), (Ok(3), Ok(3)));
        lasts(SECOND, || late(0)).await;
    }
}

macro_rules! functions {
    ($backend:tt $($name:ident: ($($options:tt)*) -> $output:ty = |$run:ident| $result:expr;)*) => {$(
        function!($backend $name ($($options)*) $output, |$run| $result);
    )*};
}

macro_rules! function {
    ([$($backend:tt)*] $name:ident ($($options:tt)*) $output:ty, |$run:ident| $result:expr) => {
        #[async_cached($($options)* $($backend)*)]
        async fn $name() -> $output {
            static RUNS: Runs = Runs::new();
            let $run = RUNS.next();
            $result
        }
    };
}

/// Errors and `None`, in memory and in a shared store.
macro_rules! failures {
    ($module:ident $($backend:tt)*) => {
        mod $module {
            use super::*;

            type ApiResult<T> = Result<T, Failure>;
            /// An alias whose name does not say that it is a `Result`.
            type Answer = Result<u64, Failure>;
            type Maybe<T> = Option<T>;

            #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            struct Failure(u64);

            /// Not `Clone`.
            #[derive(Debug, PartialEq)]
            struct Rare(u64);

            functions! {
                [$($backend)*]
                failing: (ttl = 60) -> Result<u64, Failure> = |run| Err(Failure(run));
                rarely_failing: (ttl = 60) -> Result<u64, Rare> = |run| Err(Rare(run));
                failing_by_alias: (ttl = 60) -> ApiResult<u64> = |run| Err(Failure(run));
                failing_by_bare_alias: (ttl = 60) -> Answer = |run| Err(Failure(run));
                succeeding: (ttl = 60) -> Result<u64, Failure> = |run| Ok(run);
                rarely_succeeding: (ttl = 60) -> Result<u64, Rare> = |run| Ok(run);
                succeeding_by_alias: (ttl = 60) -> ApiResult<u64> = |run| Ok(run);
                succeeding_by_bare_alias: (ttl = 60) -> Answer = |run| Ok(run);
                present: (ttl = 60) -> Option<u64> = |run| Some(run);
                present_by_alias: (ttl = 60) -> Maybe<u64> = |run| Some(run);
                present_in_ok: (ttl = 60) -> ApiResult<Option<u64>> = |run| Ok(Some(run));
                plain: (ttl = 60) -> u64 = |run| run;
                plain_tuple: (ttl = 60) -> (String, u64) = |run| (String::new(), run);

                keeping: (ttl = 60, cache_err = "5s") -> Result<u64, Failure> = |run| Err(Failure(run));
                keeping_by_alias: (ttl = 60, cache_err = 5) -> Answer = |run| Err(Failure(run));
                keeping_not: (ttl = 60, cache_err = 5) -> Answer = |run| Ok(run);
                keeping_both: (ttl = 60, cache_err = 5, cache_none = "3s") -> ApiResult<Option<u64>> =
                    |run| Err(Failure(run));
                some_kept: (ttl = 60, cache_none = "3s") -> Option<u64> = |run| Some(run);
                some_kept_in_ok: (ttl = 60, cache_err = 5, cache_none = 3) -> ApiResult<Option<u64>> =
                    |run| Ok(Some(run));
            }

            #[async_cached(ttl = 60 $($backend)*)]
            async fn from_io(fails: bool) -> io::Result<u64> {
                static RUNS: Runs = Runs::new();
                let run = RUNS.next();
                if fails { Err(io::Error::other(run.to_string())) } else { Ok(run) }
            }

            #[async_cached(ttl = 60 $($backend)*)]
            async fn absent() -> Maybe<u64> {
                None
            }

            #[async_cached(ttl = 60 $($backend)*)]
            async fn absent_in_ok() -> ApiResult<Option<u64>> {
                Ok(None)
            }

            #[async_cached(ttl = 60, cache_none = "3s" $($backend)*)]
            async fn absence_kept() -> Maybe<u64> {
                None
            }

            #[async_cached(ttl = 60, cache_none = "3s" $($backend)*)]
            async fn absence_in_ok_kept() -> Result<Maybe<u64>, Rare> {
                Ok(None)
            }

            #[async_cached(ttl = 60, cache_err = "5s", cache_none = "3s" $($backend)*)]
            async fn absence_in_ok_kept_beside_errors() -> ApiResult<Option<u64>> {
                Ok(None)
            }

            #[tokio::test(start_paused = true)]
            async fn success_is_cached_for_its_ttl() {
                let minute = 60 * SECOND;
                lasts(minute, succeeding).await;
                lasts(minute, rarely_succeeding).await;
                lasts(minute, succeeding_by_alias).await;
                lasts(minute, succeeding_by_bare_alias).await;
                lasts(minute, present).await;
                lasts(minute, present_by_alias).await;
                lasts(minute, present_in_ok).await;
                lasts(minute, plain).await;
                lasts(minute, plain_tuple).await;
                lasts(minute, || async { from_io(false).await.unwrap() }).await;
                lasts(minute, keeping_not).await;
                lasts(minute, some_kept).await;
                lasts(minute, some_kept_in_ok).await;
            }

            #[tokio::test(start_paused = true)]
            async fn errors_are_not_cached_by_default() {
                is_never_cached(failing).await;
                is_never_cached(rarely_failing).await;
                is_never_cached(failing_by_alias).await;
                is_never_cached(failing_by_bare_alias).await;
                is_never_cached(|| async { from_io(true).await.unwrap_err().to_string() }).await;
                assert_eq!((failing::stats().errors, failing::peek().await), (2, None));
            }

            #[tokio::test(start_paused = true)]
            async fn none_is_not_cached_by_default() {
                assert_eq!((absent().await, absent().await), (None, None));
                assert_eq!((absent_in_ok().await, absent_in_ok().await), (Ok(None), Ok(None)));
                assert_eq!((absent::stats().computed, absent_in_ok::stats().computed), (2, 2));
                assert_eq!((absent::peek().await, absent_in_ok::peek().await), (None, None));
            }

            #[tokio::test(start_paused = true)]
            async fn errors_are_cached_for_the_time_of_cache_err() {
                lasts(5 * SECOND, keeping).await;
                lasts(5 * SECOND, keeping_by_alias).await;
                lasts(5 * SECOND, keeping_both).await;
            }

            #[tokio::test(start_paused = true)]
            async fn none_is_cached_for_the_time_of_cache_none() {
                macro_rules! absence_lasts {
                    ($absent:ident) => {
                        let first = $absent().await;
                        advance(3 * SECOND - MILLI).await;
                        assert_eq!($absent().await, first);
                        assert_eq!(($absent::stats().computed, $absent::peek().await), (1, Some(first)));
                        advance(MILLI).await;
                        assert_eq!($absent::peek().await, None);
                        let _ = $absent().await;
                        assert_eq!($absent::stats().computed, 2);
                    };
                }
                absence_lasts!(absence_kept);
                absence_lasts!(absence_in_ok_kept);
                absence_lasts!(absence_in_ok_kept_beside_errors);
            }
        }
    };
}

static MAP: LazyLock<MapStore> = LazyLock::new(MapStore::default);

failures!(in_memory);
failures!(in_a_store, backend = &*MAP, jitter = 0);

mod release {
    use super::*;

    type Value = Arc<u64>;

    /// Counts the values that are still in memory.
    #[derive(Default)]
    struct Watch(Vec<Weak<u64>>);

    impl Watch {
        fn add(&mut self, value: &Value) {
            self.0.push(Arc::downgrade(value));
        }

        fn alive(&self) -> usize {
            self.0.iter().filter(|value| value.strong_count() > 0).count()
        }
    }

    #[async_cached(ttl = 60)]
    async fn minute(n: u64) -> Value {
        Arc::new(n)
    }

    #[async_cached(ttl_from = |value: &Value| Duration::from_secs(**value))]
    async fn seconds(n: u64) -> Value {
        Arc::new(n)
    }

    #[async_cached(ttl = 60)]
    async fn removed(n: u64) -> Value {
        Arc::new(n)
    }

    #[async_cached(ttl = 60, capacity = 10)]
    async fn crowded(n: u64) -> Value {
        Arc::new(n)
    }

    #[async_cached(ttl = 60)]
    async fn twice(n: u64) -> Value {
        Arc::new(n)
    }

    #[tokio::test(start_paused = true)]
    async fn expired_values_are_dropped_without_a_call() {
        let mut watch = Watch::default();
        for n in 0..5_000 {
            watch.add(&minute(n).await);
        }
        sleep(60 * SECOND - MILLI).await;
        assert_eq!((watch.alive(), minute::stats().entries), (5_000, 5_000));
        sleep(100 * MILLI).await;
        assert_eq!((watch.alive(), minute::stats().entries), (0, 0));
        // The sweeper starts again after it had nothing left to do.
        watch.add(&minute(0).await);
        sleep(61 * SECOND).await;
        assert_eq!((watch.alive(), minute::stats().entries), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_dropped_within_half_a_minute_of_its_expiry() {
        let mut watch = Watch::default();
        watch.add(&seconds(3_600).await);
        sleep(SECOND).await;
        for n in [1, 40, 100] {
            watch.add(&seconds(n).await);
        }
        sleep(31 * SECOND).await;
        assert_eq!(watch.alive(), 3);
        sleep(10 * SECOND).await;
        assert_eq!(watch.alive(), 2, "the sweeper knows the next expiry");
        sleep(60 * SECOND).await;
        assert_eq!(watch.alive(), 1);
        sleep(3_600 * SECOND).await;
        assert_eq!((watch.alive(), seconds::stats().entries), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn removed_and_replaced_values_are_dropped_at_once() {
        let mut watch = Watch::default();
        for n in 0..100 {
            watch.add(&removed(n).await);
        }
        removed::invalidate(0).await.unwrap();
        assert_eq!(watch.alive(), 99);
        removed::put(1, Arc::new(1)).await.unwrap();
        assert_eq!(watch.alive(), 98);
        removed::refresh(2).await;
        assert_eq!(watch.alive(), 97);
        removed::clear().await.unwrap();
        assert_eq!((watch.alive(), removed::stats().entries), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_replaced_value_is_not_counted_as_evicted() {
        #[async_cached(ttl = 60)]
        async fn replaced() -> u8 {
            1
        }

        for value in 0..3 {
            replaced::put(value).await.unwrap();
            replaced::refresh().await;
        }
        assert_eq!((replaced::stats().evictions, replaced::stats().entries), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn evicted_values_are_dropped_at_once() {
        let mut watch = Watch::default();
        for n in 0..1_000 {
            watch.add(&crowded(n).await);
            assert!(watch.alive() <= 10, "{} values", watch.alive());
        }
    }

    #[test]
    fn another_runtime_takes_over_the_sweeping() {
        let mut watch = Watch::default();
        paused().block_on(async { watch.add(&twice(1).await) });
        assert_eq!(watch.alive(), 1);
        paused().block_on(async {
            watch.add(&twice(2).await);
            sleep(120 * SECOND).await;
        });
        assert_eq!(watch.alive(), 0);
    }

    fn paused() -> Runtime {
        Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    }
}
