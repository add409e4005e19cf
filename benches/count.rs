//! Runs a number of hits of one contender, for a tool that counts instructions: see `benches/count`.

use std::env;
use std::hint::black_box;

use cached_benches::{KEYS, at_once, by_hand, by_quick_cache, by_the_attribute, not_at_all};

fn main() {
    let mut arguments = env::args().skip(1);
    let (kind, hits) = (arguments.next(), arguments.next().and_then(|hits| hits.parse().ok()));
    match (kind.as_deref(), hits) {
        (Some("not_at_all"), Some(hits)) => hit(not_at_all, hits),
        (Some("quick_cache"), Some(hits)) => hit(by_quick_cache, hits),
        (Some("by_hand"), Some(hits)) => hit(by_hand, hits),
        (Some("async_cached"), Some(hits)) => hit(by_the_attribute, hits),
        _ => panic!("count not_at_all|quick_cache|by_hand|async_cached HITS"),
    }
}

fn hit<F: Future<Output = u64>>(function: fn(u64) -> F, hits: u64) {
    for n in 0..KEYS {
        at_once(function(n));
    }
    for n in 0..hits {
        black_box(at_once(function(black_box(n % KEYS))));
    }
}
