//! The documents list exactly the options of the macro.

use std::collections::BTreeSet;

use crate::read;

#[test]
fn the_readme_lists_the_options_that_exist() {
    assert_eq!(first_column(&read("README.md"), "## Options", ""), options());
}

#[test]
fn every_option_of_the_readme_has_an_example_a_meaning_and_a_default() {
    let readme = read("README.md");
    let rows = rows(&readme, "## Options", "");
    let heads: Vec<_> = rows.iter().filter(|row| row.starts_with("| option: ")).collect();
    assert!(heads.len() > 1, "the options are in several tables");
    assert!(heads.iter().all(|head| head.ends_with(" | example | meaning | default |")), "{heads:?}");
    // A `|` in a closure is written `\|`.
    let cells = |row: &str| row.replace(r"\|", "").matches('|').count() - 1;
    assert!(rows.iter().all(|row| cells(row) == 4 && !row.contains("|  |")), "{rows:#?}");
}

#[test]
fn the_attribute_lists_the_options_that_exist() {
    assert_eq!(first_column(&read("cached-macros/src/lib.rs"), "/// # Options", "/// "), options());
}

/// Returns the names in `OPTIONS`, the table of the parser.
fn options() -> BTreeSet<String> {
    let source = read("cached-macros/src/args/mod.rs");
    let table = source.split("const OPTIONS:").nth(1).unwrap().split("];").next().unwrap();
    let row = |line: &str| Some(line.trim().strip_prefix("(\"")?.split('"').next()?.to_owned());
    let options: BTreeSet<_> = table.lines().filter_map(row).collect();
    assert!(options.contains("ttl") && options.contains("crate"), "{options:?}");
    options
}

/// Returns the backquoted names in the first column of the tables in the section below a heading.
fn first_column(document: &str, heading: &str, margin: &str) -> BTreeSet<String> {
    let column = rows(document, heading, margin)
        .into_iter()
        .filter_map(|row| row.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    column.collect()
}

/// Returns the rows of all tables in the section below a heading, with their heads.
fn rows<'a>(document: &'a str, heading: &str, margin: &str) -> Vec<&'a str> {
    let below = document.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let level = heading.trim_start_matches(margin).split(' ').next().unwrap();
    let lines = below.lines().map(|line| line.strip_prefix(margin).unwrap_or(line));
    let section = lines.take_while(|line| line.split(' ').next() != Some(level));
    section.filter(|line| line.starts_with('|')).collect()
}
