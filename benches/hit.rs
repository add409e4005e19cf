//! The cost of a hit in memory, compared with the engine below it and with a hand-written cache.
#![allow(missing_docs, reason = "criterion generates functions without docs")]

use std::hint::black_box;

use cached_benches::{KEYS, at_once, by_hand, by_quick_cache, by_the_attribute};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

fn hits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    measure(&mut group, "quick_cache", by_quick_cache);
    measure(&mut group, "quick_cache and an expiry", by_hand);
    measure(&mut group, "async_cached", by_the_attribute);
    group.finish();
}

fn measure<F: Future<Output = u64>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    function: fn(u64) -> F,
) {
    for n in 0..KEYS {
        at_once(function(n));
    }
    let mut n = 0;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            n = if n + 1 == KEYS { 0 } else { n + 1 };
            at_once(function(black_box(n)))
        });
    });
}

criterion_group!(benches, hits);
criterion_main!(benches);
