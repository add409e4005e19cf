//! The bounds on the number of entries and on their weight.

use cached_runtime::{Stats, async_cached};

mod entries {
    use super::*;

    macro_rules! bounded {
        ($($name:ident, $test:ident: $capacity:expr;)*) => {$(
            #[async_cached(ttl = 60, capacity = $capacity)]
            async fn $name(n: u64) -> u64 {
                n
            }

            #[tokio::test]
            async fn $test() {
                for n in 0..$capacity {
                    $name(n).await;
                }
                for n in 0..$capacity {
                    assert_eq!($name::peek(n).await, Some(n), "the bound is {}, and {n} is missing", $capacity);
                }
                assert_eq!(entries_and_evictions($name::stats()), ($capacity, 0));

                for n in $capacity..5 * $capacity {
                    $name(n).await;
                    assert_eq!($name::peek(n).await, Some(n), "the latest value is present");
                    assert_eq!(entries_and_evictions($name::stats()), ($capacity, n + 1 - $capacity));
                }
            }
        )*};
    }

    bounded! {
        one, holds_1_and_no_more: 1;
        two, holds_2_and_no_more: 2;
        ten, holds_10_and_no_more: 10;
        hundred, holds_100_and_no_more: 100;
        thousand, holds_1_000_and_no_more: 1_000;
    }

    #[async_cached(ttl = 60)]
    async fn by_default(n: u64) -> u64 {
        n
    }

    /// A shard evicts when its share of the bound is used up, and keys are not spread evenly.
    #[tokio::test]
    async fn holds_nearly_10_000_and_no_more_by_default() {
        for n in 0..10_000 {
            by_default(n).await;
        }
        let (entries, evicted) = entries_and_evictions(by_default::stats());
        println!("10 000 keys in a bound of 10 000: {entries} remain");
        assert!((9_600..=10_000).contains(&entries), "{entries}");
        assert_eq!(entries + evicted, 10_000);

        for n in 10_000..50_000 {
            by_default(n).await;
            if n % 100 == 0 {
                assert!(by_default::stats().entries <= 10_000);
            }
        }
        let (entries, evicted) = entries_and_evictions(by_default::stats());
        assert!((9_900..=10_000).contains(&entries), "{entries}");
        assert_eq!(entries + evicted, 50_000);
    }

    fn entries_and_evictions(stats: Stats) -> (u64, u64) {
        (stats.entries, stats.evictions)
    }
}

mod bytes {
    use super::*;

    #[async_cached(ttl = 60, max_bytes = "1KiB", weigh = |key, value: &String| (key.0.len() + value.len()) as u64)]
    async fn text(name: &str, length: usize) -> String {
        let _ = name;
        "x".repeat(length)
    }

    /// Returns the weight of the values that are present.
    async fn weight(calls: &[(String, usize)]) -> usize {
        let mut weight = 0;
        for (name, length) in calls {
            weight += text::peek(name, *length).await.map_or(0, |value| name.len() + value.len());
        }
        weight
    }

    #[tokio::test]
    async fn the_bound_is_kept_and_used() {
        let calls: Vec<_> = (0..200).map(|n: usize| (format!("{n:03}"), n * 37 % 300)).collect();
        for (at, (name, length)) in calls.iter().enumerate() {
            text(name, *length).await;
            let weight = weight(&calls[..=at]).await;
            assert!(weight <= 1_024, "{weight} bytes after {at} values");
        }
        let stats = text::stats();
        assert_eq!(stats.entries + stats.evictions, 200);
        let weight = weight(&calls).await;
        assert!(weight > 1_024 - 303, "{weight} bytes are used");
    }

    #[async_cached(ttl = 60, max_bytes = 1_000, weigh = |_, value: &Vec<u8>| value.len() as u64)]
    async fn blob(_name: &str, length: usize) -> Vec<u8> {
        vec![0; length]
    }

    #[async_cached(ttl = 60, max_bytes = 1_000, key = name, weigh = |_, value: &Vec<u8>| value.len() as u64)]
    async fn grows(name: &str, length: usize) -> Vec<u8> {
        let _ = name;
        vec![0; length]
    }

    #[tokio::test]
    async fn a_value_above_the_bound_is_not_stored_and_evicts_nothing() {
        for name in ["a", "b", "c"] {
            blob(name, 300).await;
        }
        assert_eq!(blob("d", 1_001).await.len(), 1_001, "the caller gets the value");
        assert_eq!(blob::peek("d", 1_001).await, None);
        for name in ["a", "b", "c"] {
            assert!(blob::peek(name, 300).await.is_some(), "{name} was not evicted");
        }
        // A few percent of the bound are reserved for new entries.
        assert_eq!(blob("nearly all", 970).await.len(), 970);
        assert!(blob::peek("nearly all", 970).await.is_some());
    }

    #[tokio::test]
    async fn a_value_above_the_bound_removes_the_older_value() {
        grows("a", 10).await;
        grows::refresh("a", 5_000).await;
        assert_eq!(grows::peek("a").await, None);
        grows("a", 10).await;
        grows::put("a", vec![0; 5_000]).await.unwrap();
        assert_eq!(grows::peek("a").await, None);
    }

    #[async_cached(ttl = 60, max_bytes = "1GiB", weigh = |_, weight: &u64| *weight)]
    async fn weighs(weight: u64) -> u64 {
        weight
    }

    /// The bound is divided among shards; a value has to fit into one shard.
    #[tokio::test]
    async fn a_value_of_15_mib_is_kept_under_any_larger_bound() {
        weighs(15 << 20).await;
        assert!(weighs::peek(15 << 20).await.is_some());
    }

    #[async_cached(ttl = 60, max_bytes = 100, weigh = |_, _: &u64| 0)]
    async fn weightless(n: u64) -> u64 {
        n
    }

    #[tokio::test]
    async fn weightless_values_are_bounded_too() {
        for n in 0..10_000 {
            weightless(n).await;
        }
        assert!(weightless::stats().entries <= 100);
    }
}
