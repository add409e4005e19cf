//! Suggestions for names that do not exist.

use std::fmt::Display;

use strsim::osa_distance;

use super::OPTIONS;

/// The candidate that is nearest to `wrong`, if it is near enough to be a typo.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(&wrong, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + wrong.len().min(candidate.len()) / 4)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The option that other caching crates call `name`.
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

/// The error for an option that does not exist.
pub(super) fn unknown_option(wrong: &str) -> String {
    unknown("option", wrong, OPTIONS.map(|(option, _)| option), "`")
}

/// The error for a name that is not one of `names`.
pub(super) fn unknown<'a>(
    what: impl Display,
    wrong: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
    open: &str,
) -> String {
    let close: String = open.chars().rev().collect();
    let known = elsewhere(wrong).filter(|known| names.clone().into_iter().any(|name| name == *known));
    let suggestion = match known.or_else(|| nearest(wrong, names.clone())) {
        Some(name) => format!("; did you mean {open}{name}{close}?"),
        None => String::new(),
    };
    format!(
        "unknown {what} {open}{wrong}{close}{suggestion} (there are {})",
        list(names, open, &close, "and")
    )
}

/// Joins names in quotes: `` `a`, `b` and `c` ``.
pub(crate) fn list<'a>(
    names: impl IntoIterator<Item = &'a str>,
    open: &str,
    close: &str,
    conjunction: &str,
) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("{open}{name}{close}")).collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} {conjunction} {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{elsewhere, nearest};

    #[test]
    fn a_typo_suggests_the_nearest_name() {
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
    fn a_name_of_another_crate_suggests_the_option() {
        assert_eq!(elsewhere("time"), Some("ttl"));
        assert_eq!(elsewhere("size"), Some("capacity"));
        assert_eq!(elsewhere("tll"), None);
    }
}
