//! Imports run down: a layer imports layers below it only, and `ARCHITECTURE.md` lists the layers in that order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{files, read, top};

/// The folders of `cached-runtime/src`, from the top.
const RUNTIME: [&str; 10] =
    ["test", "observe", "function", "call", "shared", "memory", "policy", "store", "signature", "util"];

/// The modules of `cached-macros/src`, from the top.
const MACROS: [&str; 5] = ["expand", "memo", "args", "item", "errors"];

#[test]
fn the_runtime_imports_lower_layers_only() {
    check("cached-runtime/src", &RUNTIME);
}

#[test]
fn the_macros_import_lower_layers_only() {
    check("cached-macros/src", &MACROS);
}

#[test]
fn the_map_lists_the_layers_in_order() {
    let map = read("ARCHITECTURE.md");
    for layers in [&RUNTIME[..], &MACROS] {
        let places = layers.iter().map(|layer| {
            map.find(&format!("\n| `{layer}`"))
                .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {layer}"))
        });
        assert!(places.is_sorted(), "ARCHITECTURE.md lists the layers in another order than {layers:?}");
    }
}

#[test]
fn an_upward_import_is_found() {
    let names = BTreeMap::from([("Key".to_owned(), "store".to_owned())]);
    let upward = |layer: &str, source: &str| upward(layer, source, &RUNTIME, &names);
    assert_eq!(upward("memory", "use crate::shared::Tier;"), ["shared"]);
    assert_eq!(upward("util", "use std::fmt;\nfn f() { crate::Key::new() }"), ["store"]);
    assert_eq!(upward("error", "use crate::util::random;"), ["util"]);
    assert_eq!(
        upward("call", "use crate::{Key,\n    memory::{self, Entry}};\nuse crate::call::Miss;"),
        [""; 0]
    );
    assert_eq!(upward("util", "// use crate::call;\n//! [`x`](crate::call::x)"), [""; 0]);
}

fn check(source: &str, layers: &[&str]) {
    let names = re_exports(&read(&format!("{source}/lib.rs")));
    let mut found = BTreeSet::new();
    for file in files(&top().join(source), "rs") {
        let code = std::fs::read_to_string(&file).unwrap();
        let layer = layer(file.strip_prefix(top().join(source)).unwrap());
        // These use every layer: the root of the crate, and the test of the expansions.
        if !["lib", "snapshots"].contains(&&*layer) {
            found.extend(upward(&layer, &code, layers, &names).into_iter().map(|up| (file.clone(), up)));
        }
    }
    assert_eq!(found, BTreeSet::new(), "imports of the same or a higher layer");
}

/// Returns the layers that the code of a layer imports and that are not below it. Modules outside the layers, such as
/// `error`, are below all of them.
fn upward(layer: &str, source: &str, layers: &[&str], names: &BTreeMap<String, String>) -> Vec<String> {
    let height = |name: &str| layers.iter().rev().position(|layer| *layer == name).map_or(0, |i| i + 1);
    let is_upward =
        |import: &String| import != layer && height(import) > 0 && height(import) >= height(layer);
    imports(source, names).into_iter().filter(is_upward).collect()
}

/// Returns the layer of a file: its top folder, or the file itself at the root.
pub(crate) fn layer(file: &Path) -> String {
    let first = file.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Returns the layer of each name that the root of the crate exports.
pub(crate) fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for path in code(lib).split("pub use crate::").skip(1) {
        let path = path.split(';').next().unwrap();
        let (layer, exported) = path.split_once("::").unwrap();
        for name in exported.trim_matches(['{', '}']).split(',') {
            names.insert(name.trim().to_owned(), layer.to_owned());
        }
    }
    names
}

/// Returns the layers in paths that begin with `crate::`.
fn imports(source: &str, names: &BTreeMap<String, String>) -> BTreeSet<String> {
    let code = code(source);
    let paths = code.split("crate::").skip(1);
    let heads = paths.flat_map(|path| path.strip_prefix('{').map_or_else(|| vec![head(path)], heads));
    heads.map(|head| names.get(&head).cloned().unwrap_or(head)).collect()
}

/// Returns the first name of each path in a group of imports, given without its opening brace.
fn heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut path) = (Vec::new(), 0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut path)),
            _ => path.push(c),
        }
    }
    heads.push(path);
    heads.iter().map(|path| head(path)).filter(|head| !head.is_empty()).collect()
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Returns the source without comments.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
