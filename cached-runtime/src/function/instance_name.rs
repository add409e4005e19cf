//! The names of a function and of its instances: under which namespace values are stored and statistics are listed.

use std::any::type_name;

use crate::policy::InstanceName;

/// What an expansion says about the name of a function.
#[derive(Debug, Clone, Copy)]
pub struct FunctionName {
    /// Returns the type name of an item inside of the static of the function.
    marker: fn() -> &'static str,
    name: Option<&'static str>,
    /// The name of the function, if that of its companions is another one.
    function: Option<&'static str>,
    pub(super) is_single_instance: bool,
}

impl FunctionName {
    /// Names a function by its path, which the type of a closure inside of its static contains.
    #[must_use]
    pub const fn new<F>(_: &F) -> Self {
        Self { marker: type_name::<F>, name: None, function: None, is_single_instance: false }
    }

    /// `name = "users"`
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Names the function, for one with `companions = Name`.
    #[must_use]
    pub const fn function(mut self, function: &'static str) -> Self {
        self.function = Some(function);
        self
    }

    /// Says that the function has neither type parameters nor a `Self` around it, so that it has one instance.
    #[must_use]
    pub const fn single_instance(mut self) -> Self {
        self.is_single_instance = true;
        self
    }

    /// Returns the name of the function, with `_` for each type parameter of the types around it.
    pub(super) fn display(self) -> String {
        let marker = (self.marker)().trim_end_matches(CLOSURE);
        let item = marker.strip_suffix(STATIC).unwrap_or(marker).trim_end_matches(CLOSURE);
        let (path, entry) = item.rsplit_once("::").unwrap_or(("", item));
        // What the macro writes in the place of a function, and of a method; a method in the impl of a trait has the
        // static in its body.
        let method = entry.strip_prefix("__").and_then(|entry| entry.strip_suffix("_entry"));
        let marker = match (entry, method) {
            ("__entry", _) => format!("{path}::clear"),
            (_, Some(method)) => format!("{path}::{method}_cache"),
            (_, None) => item.to_owned(),
        };
        instance_name(self, &marker).namespace
    }
}

/// Returns the name of an instance: that in the attribute, or the path of the function, with the types of the instance.
///
/// `marker` is the type name of an item that the macro writes in the place of the function: `shop::find::clear` for the
/// function `shop::find`, `shop::Repo::find_cache` for a method, a closure in the method in the impl of a trait. A name
/// in the attribute is the whole namespace only if the function has one instance.
pub(super) fn instance_name(function: FunctionName, marker: &str) -> InstanceName {
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

    let mut path = path.replace(CLOSURE, "");
    if let Some(function) = function.function {
        path.truncate(path.rfind("::").map_or(0, |at| at + "::".len()));
        path.push_str(function);
    }
    let generics =
        generics.map_or_else(String::new, |generics| format!("<{}>", generics.replace(CLOSURE, "")));
    let namespace = match function.name {
        Some(name) if function.is_single_instance => name.to_owned(),
        Some(name) => format!("{name}<{path}{generics}>"),
        None => format!("{path}{generics}"),
    };
    InstanceName { namespace, has_local_type, is_named: function.name.is_some() }
}

const CLOSURE: &str = "::{{closure}}";
/// The static of a function, in an expansion.
const STATIC: &str = "::__FUNCTION";

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
        let namespace = |marker| instance_name(FunctionName::new(&()), marker).namespace;
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
        let users = FunctionName::new(&()).named("users");
        let namespace = |function, marker| instance_name(function, marker).namespace;
        assert_eq!(namespace(users.single_instance(), "shop::find::clear"), "users");
        assert_eq!(namespace(users, "shop::Repo<u8>::find_cache"), "users<shop::Repo<u8>::find>");
    }

    #[test]
    fn function_is_named_as_its_instances_are() {
        let display = |marker: fn() -> &'static str| {
            FunctionName { marker, name: None, function: None, is_single_instance: false }.display()
        };
        assert_eq!(display(|| "shop::find::__entry::__FUNCTION::{{closure}}"), "shop::find");
        assert_eq!(
            display(|| "shop::on::{{closure}}::find::__entry::__FUNCTION::{{closure}}"),
            "shop::on::find"
        );
        assert_eq!(display(|| "shop::Repo<_>::__find_entry::__FUNCTION::{{closure}}"), "shop::Repo<_>::find");
        assert_eq!(display(|| "<A as B>::find::__FUNCTION::{{closure}}"), "<A as B>::find");
        assert_eq!(display(|| "<A as B>::find::{{closure}}::__FUNCTION::{{closure}}"), "<A as B>::find");
        let users = FunctionName::new(&()).named("users").single_instance();
        assert_eq!(users.display(), "users");
    }

    #[test]
    fn name_of_the_companions_is_not_in_the_namespace() {
        let function = FunctionName::new(&|| ()).function("find");
        let namespace = |marker| instance_name(function, marker).namespace;
        assert_eq!(namespace("shop::Finder::clear"), "shop::find");
        assert_eq!(namespace("shop::outer::{{closure}}::Finder::clear<u8>"), "shop::outer::find<u8>");
    }

    /// The type names are those of Rust 1.95.
    #[test]
    fn closures_and_local_types_are_noticed() {
        let has_local_type = |marker| instance_name(FunctionName::new(&()), marker).has_local_type;
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
