//! The namespace of an instance: under which name its values are stored and its statistics are listed.

use crate::policy::Policy;

/// Returns the namespace of an instance: the name in the attribute, or the path of the function.
///
/// `marker` is the type name of an item that the macro writes in the place of the function: `shop::find::clear` for the
/// function `shop::find`, `shop::Repo::find_cache` for a method, a closure in the method in the impl of a trait. A name
/// in the attribute is the whole namespace only if the function has one instance.
pub(super) fn namespace(policy: &Policy, marker: &str) -> String {
    let path = marker.replace("::{{closure}}", "").replace("'_, ", "").replace("<'_>", "");
    let (path, generics) = match path.strip_suffix('>').and_then(|path| split_last_generics(path)) {
        Some((path, generics)) => (path.to_owned(), format!("<{generics}>")),
        None => (path, String::new()),
    };
    let path = path.strip_suffix("::clear").or_else(|| path.strip_suffix("_cache")).unwrap_or(&path);
    match policy.name {
        Some(name) if policy.is_single_instance => name.to_owned(),
        Some(name) => format!("{name}<{path}{generics}>"),
        None => format!("{path}{generics}"),
    }
}

/// Splits `path<generics`, whose closing bracket was cut off, at the matching bracket; `None` if that is the one of
/// `<T as Trait>`.
fn split_last_generics(path: &str) -> Option<(&str, &str)> {
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
    fn namespace_is_the_path_of_the_function() {
        let namespace = |marker| namespace(&Policy::new(), marker);
        assert_eq!(namespace("shop::find::clear"), "shop::find");
        assert_eq!(namespace("shop::find::clear<u64, fn() -> u8>"), "shop::find<u64, fn() -> u8>");
        assert_eq!(namespace("shop::Repo<u8>::find_cache<'_>"), "shop::Repo<u8>::find");
        assert_eq!(namespace("shop::Repo<u8>::find_cache<Vec<u16>>"), "shop::Repo<u8>::find<Vec<u16>>");
        assert_eq!(namespace("<A as B>::find::{{closure}}::{{closure}}"), "<A as B>::find");
        assert_eq!(namespace("<A as B>::find<C>::{{closure}}::{{closure}}"), "<A as B>::find<C>");
        assert_eq!(namespace("shop::outer::{{closure}}::inner::clear"), "shop::outer::inner");
    }

    #[test]
    fn name_in_the_attribute_is_the_namespace_only_of_a_single_instance() {
        let users = Policy::new().name("users");
        assert_eq!(namespace(&users.clone().single_instance(), "shop::find::clear"), "users");
        assert_eq!(namespace(&users, "shop::Repo<u8>::find_cache"), "users<shop::Repo<u8>::find>");
    }
}
