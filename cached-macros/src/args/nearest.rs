//! Guesses which name was meant by one that does not exist.

use strsim::osa_distance;

/// The candidate that is a slip of the pen away from `wrong`, if there is one.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(&wrong, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + wrong.len().min(candidate.len()) / 4)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// What an option of other caches is called here.
pub(crate) fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "time" | "time_to_live" | "expires" | "expire" | "expiry" | "expiration" | "lifespan" | "max_age" => {
            "ttl"
        }
        "size" | "max_size" | "max_entries" | "max_capacity" | "limit" => "capacity",
        "convert" | "key_fn" | "key_builder" | "cache_key" => "key",
        "ignore" | "exclude" | "skip_args" => "skip",
        "prefix" | "namespace" | "cache_prefix" => "name",
        "condition" | "unless" | "result" | "option" => "cache_if",
        "swr" | "stale" => "stale_while_revalidate",
        "fail_safe" | "with_cached_flag" => "stale_if_error",
        "eager_refresh" | "early_refresh" | "refresh" => "refresh_ahead",
        "lock" | "sync_writes" | "sync_lock" | "unsync_reads" => "single_flight",
        "store" | "storage" | "cache" | "ty" | "disk" => "backend",
        "serializer" | "format" => "codec",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{elsewhere, nearest};

    #[test]
    fn a_slip_finds_its_name() {
        let names = ["ttl", "ttl_from", "capacity", "single_flight"];
        assert_eq!(nearest("tll", names), Some("ttl"));
        assert_eq!(nearest("TTL", names), Some("ttl"));
        assert_eq!(nearest("ttl_form", names), Some("ttl_from"));
        assert_eq!(nearest("capcity", names), Some("capacity"));
        assert_eq!(nearest("singleflight", names), Some("single_flight"));
        assert_eq!(nearest("x", names), None);
        assert_eq!(nearest("convert", names), None);
    }

    #[test]
    fn a_name_from_elsewhere_finds_ours() {
        assert_eq!(elsewhere("time"), Some("ttl"));
        assert_eq!(elsewhere("size"), Some("capacity"));
        assert_eq!(elsewhere("tll"), None);
    }
}
