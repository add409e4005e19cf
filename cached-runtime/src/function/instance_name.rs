//! The name of an instance: under which namespace its values are stored and its statistics are listed.

use crate::policy::{InstanceName, Policy};

/// Returns the name of an instance: that in the attribute, or the path of the function, with the types of the instance.
///
/// `marker` is the type name of an item that the macro writes in the place of the function: `shop::find::clear` for the
/// function `shop::find`, `shop::Repo::find_cache` for a method, a closure in the method in the impl of a trait. A name
/// in the attribute is the whole namespace only if the function has one instance.
pub(super) fn instance_name(policy: &Policy, marker: &str) -> InstanceName {
    let marker = marker.replace("'_, ", "").replace("<'_>", "");
    let item = marker.trim_end_matches(CLOSURE);
    let (item, generics) = match item.strip_suffix('>').and_then(split_last_generics) {
        Some((item, generics)) => (item, Some(generics)),
        None => (item, None),
    };
    let (path, owner) = match item.strip_suffix("::clear") {
        Some(path) => (path, None),
        None => {
            let path = item.strip_suffix("_cache").unwrap_or(item);
            (path, owner(path))
        }
    };
    let has_local_type = owner.into_iter().chain(generics).any(is_local);

    let path = path.replace(CLOSURE, "");
    let generics =
        generics.map_or_else(String::new, |generics| format!("<{}>", generics.replace(CLOSURE, "")));
    let namespace = match policy.name {
        Some(name) if policy.is_single_instance => name.to_owned(),
        Some(name) => format!("{name}<{path}{generics}>"),
        None => format!("{path}{generics}"),
    };
    InstanceName { namespace, has_local_type }
}

const CLOSURE: &str = "::{{closure}}";

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

/// Returns the types that a method belongs to: `shop::Repo<u8>` for `shop::Repo<u8>::find`, `A as B` for
/// `<A as B>::find`, `shop::Repo` for `shop::other_module::<impl shop::Repo>::find`.
fn owner(method: &str) -> Option<&str> {
    let (owner, _) = method.rsplit_once("::")?;
    let Some(open) = owner.strip_suffix('>') else { return Some(owner) };
    match split_last_generics(open) {
        Some((_, inner)) => Some(inner.strip_prefix("impl ").unwrap_or(owner)),
        None => Some(open.strip_prefix('<').unwrap_or(open)),
    }
}

/// Returns `true` if types are named that other types of the same program may have the name of: closures, and what is
/// declared in a function or in a block.
///
/// A type in a function that is neither `async` nor a method is not noticed: its name is that of a type in a module.
fn is_local(types: &str) -> bool {
    // The path of a type of a module has brackets only at its end, and of its segments only the last one is a type.
    let is_below_a_type = |path: &str| {
        let mut segments = path.split("::").collect::<Vec<_>>();
        segments.pop();
        segments.iter().any(|segment| *segment == "_" || segment.starts_with(char::is_uppercase))
    };
    types.contains("{{")
        || types.contains(">::")
        || types.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).any(is_below_a_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_is_the_path_of_the_function() {
        let namespace = |marker| instance_name(&Policy::new(), marker).namespace;
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
        let users = || Policy::new().name("users");
        let namespace = |policy: &Policy, marker| instance_name(policy, marker).namespace;
        assert_eq!(namespace(&users().single_instance(), "shop::find::clear"), "users");
        assert_eq!(namespace(&users(), "shop::Repo<u8>::find_cache"), "users<shop::Repo<u8>::find>");
    }

    /// The type names are those of Rust 1.95.
    #[test]
    fn closures_and_local_types_are_noticed() {
        let has_local_type = |marker| instance_name(&Policy::new(), marker).has_local_type;
        for marker in [
            "shop::on::clear<i32, shop::main::{{closure}}>",
            "shop::on::clear<Vec<shop::main::{{closure}}::Local>>",
            "shop::on::clear<shop::_::Local>",
            "shop::on::clear<shop::Repo<_>::method::Local>",
            "shop::on::clear<shop::Users::method::Local>",
            "shop::on::clear<<shop::Free as shop::Tr>::go::Local>",
            "shop::main::{{closure}}::Local::find_cache",
            "shop::_::Local<u8>::find_cache<u8>",
            "shop::Repo<shop::main::{{closure}}>::find_cache",
            "<shop::main::{{closure}}::Local as shop::Tr>::find::{{closure}}::{{closure}}",
            "<shop::Free as shop::Tr<shop::_::Local>>::find::{{closure}}",
            "shop::_::<impl shop::_::Local>::find_cache",
            "<A as B>::find<shop::_::Local>::{{closure}}::{{closure}}",
        ] {
            assert!(has_local_type(marker), "{marker}");
        }
        for marker in [
            "shop::find::clear",
            "shop::_::find::clear",
            "shop::outer::{{closure}}::inner::clear",
            "<shop::Free as shop::Tr>::outer::{{closure}}::inner::clear<u8>",
            "shop::find::clear<u64, fn(shop::Users) -> shop::Order, dyn core::ops::Fn(i32) -> i32>",
            "shop::find::clear<[shop::Users; 3], (u8, &'static str), shop::Repo<shop::users::User>>",
            "shop::Repo<shop::Users>::find_cache<Vec<u16>>",
            "shop::_::<impl shop::Repo<u64>>::find_cache",
            "shop::main::{{closure}}::<impl shop::Tr for shop::Users>::find::{{closure}}",
            "<shop::Repo<u8> as shop::Tr<u16>>::find::{{closure}}::{{closure}}",
            "find_cache",
        ] {
            assert!(!has_local_type(marker), "{marker}");
        }
    }
}
