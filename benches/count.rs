//! Runs a number of calls of one contender, for a tool that counts instructions: see `benches/count`.

use std::env;
use std::hint::black_box;

use cached_benches::{CAPACITY, KEYS, at_once, by_hand, by_quick_cache, by_the_attribute, not_at_all};

fn main() {
    let mut arguments = env::args().skip(1);
    let (kind, what) = (arguments.next(), arguments.next());
    let calls = arguments.next().and_then(|calls| calls.parse().ok());
    match (kind.as_deref(), what.as_deref(), calls) {
        (Some("not_at_all"), Some(what), Some(calls)) => call(not_at_all, what, calls),
        (Some("quick_cache"), Some(what), Some(calls)) => call(by_quick_cache, what, calls),
        (Some("by_hand"), Some(what), Some(calls)) => call(by_hand, what, calls),
        (Some("async_cached"), Some(what), Some(calls)) => call(by_the_attribute, what, calls),
        _ => panic!("count not_at_all|quick_cache|by_hand|async_cached hits|misses CALLS"),
    }
}

fn call<F: Future<Output = u64>>(function: fn(u64) -> F, what: &str, calls: u64) {
    // Misses are of new keys, in a table that is full.
    let (stored, different) = if what == "misses" { (CAPACITY as u64, u64::MAX) } else { (KEYS, KEYS) };
    for n in 0..stored {
        at_once(function(n));
    }
    for n in stored..stored + calls {
        black_box(at_once(function(black_box(n % different))));
    }
}
