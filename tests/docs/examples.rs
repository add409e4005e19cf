//! What users can name has an example that runs.

use std::collections::BTreeSet;

use crate::layers::{layer, re_exports};
use crate::{files, read, top};

const SOURCE: &str = "cached-runtime/src";

#[test]
fn everything_public_in_the_runtime_has_an_example() {
    let lib = read(&format!("{SOURCE}/lib.rs"));
    let (exports, modules) = (re_exports(&lib), public_modules(&lib));
    let mut seen = BTreeSet::new();
    let mut lacking = Vec::new();
    for file in files(&top().join(SOURCE), "rs") {
        let path = file.strip_prefix(top().join(SOURCE)).unwrap();
        let layer = layer(path);
        let is_in_module =
            |module: &String| path.components().any(|part| part.as_os_str() == module.as_str());
        for item in items(&std::fs::read_to_string(&file).unwrap()) {
            let name = item.path.split("::").next().unwrap();
            if exports.get(name) != Some(&layer) && !modules.iter().any(is_in_module) {
                continue;
            }
            if !item.has_example {
                lacking.push(format!("{}: {}", path.display(), item.path));
            }
            seen.insert(item.path);
        }
    }
    assert!(lacking.is_empty(), "no example that runs in {SOURCE}:\n{}", lacking.join("\n"));
    for known in
        ["Result", "Store", "Store::get", "Key::MAX_LEN", "MethodCache::put", "configure", "MAX_EXPIRY_DELAY"]
    {
        assert!(seen.contains(known), "{known} was not looked at, but only {seen:?}");
    }
}

#[test]
fn the_crate_and_its_modules_have_an_example() {
    let lib = read(&format!("{SOURCE}/lib.rs"));
    assert!(has_example(&lib, "//!"), "the crate");
    let exports = re_exports(&lib);
    for module in public_modules(&lib) {
        let file = format!("{SOURCE}/{}/{module}/mod.rs", exports[&module]);
        assert!(has_example(&read(&file), "//!"), "{file}");
    }
}

#[test]
fn the_attribute_has_an_example() {
    let items = items(&read("cached-macros/src/lib.rs"));
    assert_eq!(items, [Item { path: "async_cached".to_owned(), has_example: true }]);
}

#[test]
fn what_is_an_example_is_understood() {
    let runs = |fence: &str| has_example(&format!("/// Does.\n///\n/// {fence}\n/// f();\n/// ```\n"), "///");
    assert!(runs("```") && runs("```should_panic"));
    assert!(!runs("```ignore") && !runs("```no_run") && !runs("```text"));
    assert!(!has_example("/// Like `f()`.\nlet a = \"```\";\n", "///"));
}

#[test]
fn what_is_public_is_understood() {
    let exports = "pub use crate::store::{Key, contract};\npub use crate::shared::invalidate_tag;\n";
    assert_eq!(public_modules(exports), BTreeSet::from(["contract".to_owned()]));

    let paths = |source: &str| items(source).into_iter().map(|item| item.path).collect::<Vec<_>>();
    assert_eq!(paths("pub const MAX: u8 = 1;\npub type T<A> = A;\npub struct S<A>(A);\n"), ["MAX", "T", "S"]);
    assert_eq!(paths("pub fn f() {}\npub const unsafe fn g() {}\npub async fn h() {}\n"), ["f", "g", "h"]);
    assert_eq!(paths("pub trait T: Send {\n    fn f(\n        fn_: u8,\n    );\n}\n"), ["T", "T::f"]);
    assert_eq!(paths("impl<K, V: Into<K>> Map<K, V> {\n    pub const fn f() {\n    }\n}\n"), ["Map::f"]);
    assert_eq!(
        paths("pub(crate) fn f() {}\n#[doc(hidden)]\npub fn g() {}\npub use a::B;\npub mod c;\n"),
        [""; 0]
    );
    assert_eq!(paths("impl S<u8>\nwhere\n    u8: T,\n{\n    pub fn f() {\n    }\n}\n"), ["S::f"]);
    assert_eq!(paths("impl S {}\nimpl T for S {\n    pub fn f() {}\n}\npub enum E {\n    A,\n}\n"), ["E"]);

    let example = "/// ```\n/// f();\n/// ```\n#[a(\n    b\n)]\n";
    let item = |source: String| items(&source).pop().unwrap();
    assert!(item(format!("{example}pub fn f() {{}}\n")).has_example);
    assert!(!item(format!("{example}fn f() {{}}\n\n/// Does.\npub fn g() {{}}\n")).has_example);
}

/// Something public.
#[derive(Debug, PartialEq)]
struct Item {
    /// `Key`, or `Key::new`.
    path: String,
    has_example: bool,
}

/// The folders among the names that the top of the crate exports.
fn public_modules(lib: &str) -> BTreeSet<String> {
    let is_folder = |(name, layer): &(String, String)| top().join(SOURCE).join(layer).join(name).is_dir();
    re_exports(lib).into_iter().filter(is_folder).map(|(name, _)| name).collect()
}

/// What a file makes public, by itself and in its impls and traits. Goes by the layout that rustfmt gives.
fn items(source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    // What stands directly above a line, and the impl or trait around it.
    let (mut above, mut block) = (String::new(), None);
    for line in source.lines() {
        let path = match (line.strip_prefix("    "), &block) {
            (None, _) => name(line, "pub ").map(str::to_owned),
            (Some(line), Some(Block { of, visibility })) => {
                name(line, visibility).map(|name| format!("{of}::{name}"))
            }
            (Some(_), None) => None,
        };
        block = if line == "}" { None } else { Block::opened_by(line).or(block) };
        let is_end = path.is_some() || matches!(line.trim(), "" | "}");
        if let Some(path) = path.filter(|_| !above.contains("#[doc(hidden)]")) {
            items.push(Item { path, has_example: has_example(&above, "///") });
        }
        if is_end {
            above.clear();
        } else {
            above.push_str(line);
            above.push('\n');
        }
    }
    items
}

/// An impl of a type, or a trait.
struct Block {
    of: String,
    /// What public members begin with.
    visibility: &'static str,
}

impl Block {
    fn opened_by(line: &str) -> Option<Self> {
        if line.ends_with('}') {
            return None;
        }
        if let Some(name) = line.strip_prefix("pub trait ") {
            return Some(Self { of: words(name).next()?.to_owned(), visibility: "" });
        }
        let of = line.strip_prefix("impl").filter(|_| !line.contains(" for "))?;
        Some(Self { of: words(without_parameters(of)?).next()?.to_owned(), visibility: "pub " })
    }
}

/// What comes behind the `<...>` that a text begins with, if it does.
fn without_parameters(text: &str) -> Option<&str> {
    let mut open = 0;
    let end = text.find(|c| {
        open += i32::from(c == '<') - i32::from(c == '>');
        open == 0
    });
    text.get(end?..)
}

/// The name in a declaration that begins like this.
fn name<'a>(line: &'a str, beginning: &str) -> Option<&'a str> {
    const KEYWORDS: [&str; 9] =
        ["async", "const", "enum", "fn", "static", "struct", "trait", "type", "unsafe"];
    let declaration = line.strip_prefix(beginning).filter(|rest| rest.starts_with(char::is_alphabetic))?;
    let mut words = words(declaration);
    words.next().filter(|word| KEYWORDS.contains(word))?;
    words.find(|word| !KEYWORDS.contains(word))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether there is code in a comment that the tests of the documentation run.
fn has_example(comment: &str, margin: &str) -> bool {
    let lines = comment.lines().filter_map(|line| line.trim_start().strip_prefix(margin));
    let fences = lines.filter_map(|line| line.trim_start().strip_prefix("```"));
    // Every second one closes what the one before it has opened.
    fences.step_by(2).any(|language| matches!(language, "" | "should_panic"))
}
