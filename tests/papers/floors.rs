//! A floor imports lower floors only. So no two files import each other, and the code can be read from the bottom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{files, read, top};

/// The rooms on each floor, from the bottom; a room is a file, or a directory with all that is in it.
/// `ARCHITECTURE.md` says the same.
const RUNTIME: [&[&str]; 14] = [
    &[
        "error",
        "future",
        "sync",
        "clock",
        "random",
        "stats",
        "parts",
        "options",
        "schema",
        "lookup",
        "background",
        "tags",
    ],
    &["key", "spelling", "outcome", "flight", "failures", "handle"],
    &["store", "envelope", "owed", "looks", "entry"],
    &["policy", "redis", "memcached", "contract"],
    &["memory", "codec", "config", "registry"],
    &["remote"],
    &["stamps", "groups"],
    &["lease"],
    &["tier"],
    &["cache", "patience", "call"],
    &["attempt", "site"],
    &["verbs"],
    &["method", "companions", "private"],
    &["lib"],
];

const MACROS: [&[&str]; 4] = [&["args", "item", "errors"], &["memo"], &["expand"], &["lib", "snapshots"]];

#[test]
fn the_runtime_imports_lower_floors_only() {
    check("cached-runtime/src", &RUNTIME);
}

#[test]
fn the_macros_import_lower_floors_only() {
    check("cached-macros/src", &MACROS);
}

#[test]
fn the_map_shows_every_floor() {
    let map = read("ARCHITECTURE.md");
    for floors in [&RUNTIME[..], &MACROS] {
        for (floor, rooms) in floors.iter().enumerate() {
            let rooms: Vec<_> = rooms.iter().map(|room| format!("`{room}`")).collect();
            let row = format!("| {floor} | {} |", rooms.join(" · "));
            assert!(map.contains(&row), "ARCHITECTURE.md has no row that begins with\n{row}");
        }
    }
}

#[test]
fn what_is_imported_is_understood() {
    let names = BTreeMap::from([("Key".to_owned(), "key".to_owned())]);
    let imports = |code: &str| imports(code, &names).into_iter().collect::<Vec<_>>();
    assert_eq!(imports("use crate::memory::{Memory, Weigh};"), ["memory"]);
    assert_eq!(imports("use crate::{Key,\n    tier::{self, Held}, clock};"), ["clock", "key", "tier"]);
    assert_eq!(imports("a(crate::cache::Cache::new(), crate::Key::MAX)"), ["cache", "key"]);
    assert_eq!(imports("// use crate::site\n//! [`x`](crate::site::x)"), [""; 0]);
}

fn check(source: &str, floors: &[&[&str]]) {
    let floor_of = |room: &str| floors.iter().position(|rooms| rooms.contains(&room));
    let names = re_exports(&read(&format!("{source}/lib.rs")));
    let mut up = BTreeSet::new();
    let mut rooms = BTreeSet::new();
    for file in files(&top().join(source), "rs") {
        let room = room(file.strip_prefix(top().join(source)).unwrap());
        let floor = floor_of(&room).unwrap_or_else(|| panic!("{room} is on no floor"));
        for import in imports(&std::fs::read_to_string(&file).unwrap(), &names) {
            let below =
                floor_of(&import).unwrap_or_else(|| panic!("{room} imports {import}, which is on no floor"));
            if import != room && below >= floor {
                up.insert((room.clone(), import));
            }
        }
        rooms.insert(room);
    }
    assert_eq!(up, BTreeSet::new(), "imports of the same or a higher floor in {source}");
    let listed: BTreeSet<_> = floors.iter().copied().flatten().map(|room| (*room).to_owned()).collect();
    assert_eq!(rooms, listed, "the rooms in {source}, and those on the floors");
}

/// The room that a file belongs to.
pub(crate) fn room(file: &Path) -> String {
    let room = file.components().next().unwrap().as_os_str().to_string_lossy();
    let room = room.trim_end_matches(".rs");
    // It stands for `tier` in a build without stores.
    if room == "no_tier" { "tier".to_owned() } else { room.to_owned() }
}

/// Which room a name at the top of the crate comes from.
pub(crate) fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for path in code(lib).split("pub use crate::").skip(1) {
        let path = path.split(';').next().unwrap();
        let (room, exported) = path.split_once("::").unwrap();
        for name in exported.trim_matches(['{', '}']).split(',') {
            names.insert(name.trim().to_owned(), room.to_owned());
        }
    }
    names
}

/// The rooms that are mentioned as `crate::...`.
fn imports(source: &str, names: &BTreeMap<String, String>) -> BTreeSet<String> {
    let code = code(source);
    let mut rooms = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let heads = match path.strip_prefix('{') {
            Some(group) => heads(group),
            None => vec![head(path)],
        };
        for head in heads {
            rooms.insert(names.get(&head).cloned().unwrap_or(head));
        }
    }
    // Macros for the expansion are exported at the top; they belong to the file that writes them.
    rooms.into_iter().filter(|room| !room.starts_with("__")).collect()
}

/// The first names of all paths in a group of imports, whose opening brace is gone.
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

/// The lines without comments.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
