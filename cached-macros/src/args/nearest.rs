//! Guesses which name was meant by one that does not exist.

/// The candidate that is a slip of the pen away from `wrong`, if there is one.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&wrong, candidate), candidate))
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

/// How many letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, elsewhere, nearest};

    #[test]
    fn a_slip_finds_its_name() {
        let names = ["ttl", "ttl_from", "capacity", "single_flight"];
        assert_eq!(nearest("tll", names), Some("ttl"));
        assert_eq!(nearest("TTL", names), Some("ttl"));
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

    #[test]
    fn a_swap_counts_once() {
        assert_eq!(distance("ttl", "tlt"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
