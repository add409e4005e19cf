//! Every public item has an example that runs.

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
    assert!(lacking.is_empty(), "without an example that runs, in {SOURCE}:\n{}", lacking.join("\n"));
    for known in
        ["Result", "Store", "Store::get", "Key::MAX_LEN", "MethodCache::put", "configure", "MAX_EXPIRY_DELAY"]
    {
        assert!(seen.contains(known), "{known} is not among the public items {seen:?}");
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
fn examples_are_recognized() {
    let runs = |fence: &str| has_example(&format!("/// Does.\n///\n/// {fence}\n/// f();\n/// ```\n"), "///");
    assert!(runs("```") && runs("```should_panic"));
    assert!(!runs("```ignore") && !runs("```no_run") && !runs("```text"));
    assert!(!has_example("/// Like `f()`.\nlet a = \"```\";\n", "///"));
}

#[test]
fn public_items_are_recognized() {
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

/// A public item.
#[derive(Debug, PartialEq)]
struct Item {
    /// `Key`, or `Key::new`.
    path: String,
    has_example: bool,
}

/// Returns the modules among the names that the root of the crate exports.
fn public_modules(lib: &str) -> BTreeSet<String> {
    let is_module = |(name, layer): &(String, String)| {
        let file = top().join(SOURCE).join(layer).join("mod.rs");
        std::fs::read_to_string(file).is_ok_and(|layer| layer.contains(&format!("pub mod {name};")))
    };
    re_exports(lib).into_iter().filter(is_module).map(|(name, _)| name).collect()
}

/// Returns the public items of a file, including those of impls and traits. Relies on the layout of rustfmt.
fn items(source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    // The lines directly above a line, and the impl or trait around it.
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
    /// The beginning of public members.
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

/// Returns the text after the `<...>` at its beginning, if there is one.
fn without_parameters(text: &str) -> Option<&str> {
    let mut open = 0;
    let end = text.find(|c| {
        open += i32::from(c == '<') - i32::from(c == '>');
        open == 0
    });
    text.get(end?..)
}

/// Returns the name in a declaration with this beginning.
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

/// Returns `true` if a comment contains code that runs as a documentation test.
fn has_example(comment: &str, margin: &str) -> bool {
    let lines = comment.lines().filter_map(|line| line.trim_start().strip_prefix(margin));
    let fences = lines.filter_map(|line| line.trim_start().strip_prefix("```"));
    // Every second fence closes the block of the one before it.
    fences.step_by(2).any(|language| matches!(language, "" | "should_panic"))
}
