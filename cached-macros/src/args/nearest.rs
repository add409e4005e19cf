//! Suggestions for names that do not exist.

use std::fmt::Display;

use strsim::osa_distance;

use super::{OPTIONS, elsewhere};

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

/// The error for an option that does not exist.
pub(super) fn unknown_option(wrong: &str) -> String {
    let options = OPTIONS.map(|(option, _)| option);
    let advice = match (elsewhere::option(wrong), nearest(wrong, options)) {
        (Some(advice), _) => advice.to_owned(),
        (None, Some(name)) => format!("did you mean `{name}`?"),
        (None, None) => format!("the nearest are {}", list(three_nearest(wrong, options), "`", "`", "and")),
    };
    format!("unknown option `{wrong}`; {advice} (the documentation of `async_cached` lists all options)")
}

/// The error for a string that is not one of `values`.
pub(super) fn unknown_value<'a>(
    option: impl Display,
    wrong: &str,
    values: impl IntoIterator<Item = &'a str> + Clone,
    advice: Option<&str>,
) -> String {
    let advice = match (advice, nearest(wrong, values.clone())) {
        (Some(advice), _) => format!("; {advice}"),
        (None, Some(value)) => format!("; did you mean `\"{value}\"`?"),
        (None, None) => String::new(),
    };
    let are = if values.clone().into_iter().count() == 1 { "is" } else { "are" };
    format!("unknown {option} `\"{wrong}\"`{advice} (there {are} {})", list(values, "`\"", "\"`", "and"))
}

/// The three candidates that are nearest to `wrong`, however far they are.
fn three_nearest<'a, const N: usize>(
    wrong: &str,
    mut candidates: [&'a str; N],
) -> impl Iterator<Item = &'a str> {
    candidates.sort_by_key(|candidate| osa_distance(wrong, candidate));
    candidates.into_iter().take(3)
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
    use super::nearest;

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
}
