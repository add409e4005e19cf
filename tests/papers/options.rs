//! The papers list the options of the macro, all of them and no others.

use std::collections::BTreeSet;

use crate::read;

#[test]
fn the_readme_lists_the_options_that_exist() {
    assert_eq!(first_column(&read("README.md"), "## Options", ""), options());
}

#[test]
fn the_attribute_lists_the_options_that_exist() {
    assert_eq!(first_column(&read("cached-macros/src/lib.rs"), "/// # Options", "/// "), options());
}

/// The names in `OPTIONS`, the table that the parser goes by.
fn options() -> BTreeSet<String> {
    let source = read("cached-macros/src/args/mod.rs");
    let table = source.split("const OPTIONS:").nth(1).unwrap().split("];").next().unwrap();
    let row = |line: &str| Some(line.trim().strip_prefix("(\"")?.split('"').next()?.to_owned());
    let options: BTreeSet<_> = table.lines().filter_map(row).collect();
    assert!(options.contains("ttl") && options.contains("crate"), "{options:?}");
    options
}

/// What stands in backquotes in the first column of the first table below a heading.
fn first_column(paper: &str, heading: &str, margin: &str) -> BTreeSet<String> {
    let below = paper.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let rows = below.lines().map(|line| line.strip_prefix(margin).unwrap_or(line));
    let table = rows.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.filter_map(|row| row.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect()
}
