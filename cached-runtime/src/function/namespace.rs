//! The namespace of an instance.

use crate::policy::Policy;

/// The namespace of an instance: the name that the user gave, or the path of the function.
///
/// The macro marks an instance by an item that stands where the function stands: for `shop::find` that is
/// `shop::find::clear`, for a method `shop::Repo::find_cache`, in a trait's impl a closure in the method.
pub(super) fn name(policy: &Policy, marker: &str) -> String {
    let path = marker.replace("::{{closure}}", "").replace("'_, ", "").replace("<'_>", "");
    let (path, generics) = match path.strip_suffix('>').and_then(|path| last_generics(path)) {
        Some((path, generics)) => (path.to_owned(), format!("<{generics}>")),
        None => (path, String::new()),
    };
    let path = path.strip_suffix("::clear").or_else(|| path.strip_suffix("_cache")).unwrap_or(&path);
    match policy.name {
        Some(name) if policy.one_instance => name.to_owned(),
        Some(name) => format!("{name}<{path}{generics}>"),
        None => format!("{path}{generics}"),
    }
}

/// Splits `path<generics` at the bracket that the cut-off one closed, if it is not that of a `<T as Trait>`.
fn last_generics(path: &str) -> Option<(&str, &str)> {
    let mut open = 1;
    for (at, c) in path.char_indices().rev() {
        match c {
            '>' if !path[..at].ends_with('-') => open += 1,
            '<' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return (at > 0).then(|| (&path[..at], &path[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_after_the_function_of_the_user() {
        let name = |marker| name(&Policy::new(), marker);
        assert_eq!(name("shop::find::clear"), "shop::find");
        assert_eq!(name("shop::find::clear<u64, fn() -> u8>"), "shop::find<u64, fn() -> u8>");
        assert_eq!(name("shop::Repo<u8>::find_cache<'_>"), "shop::Repo<u8>::find");
        assert_eq!(name("shop::Repo<u8>::find_cache<Vec<u16>>"), "shop::Repo<u8>::find<Vec<u16>>");
        assert_eq!(name("<A as B>::find::{{closure}}::{{closure}}"), "<A as B>::find");
        assert_eq!(name("<A as B>::find<C>::{{closure}}::{{closure}}"), "<A as B>::find<C>");
        assert_eq!(name("shop::outer::{{closure}}::inner::clear"), "shop::outer::inner");
    }

    #[test]
    fn a_given_name_is_one_namespace_only_where_there_is_one_instance() {
        let users = Policy::new().name("users");
        assert_eq!(name(&users.clone().one_instance(), "shop::find::clear"), "users");
        assert_eq!(name(&users, "shop::Repo<u8>::find_cache"), "users<shop::Repo<u8>::find>");
    }
}
