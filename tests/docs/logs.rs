//! The code logs the messages that the guide lists for operators.

use crate::{files, read, top};

const PAGE: &str = "cached-runtime/docs/guide/operating.md";

#[test]
fn every_listed_message_is_logged_at_its_level() {
    let sources: Vec<_> = files(&top().join("cached-runtime/src"), "rs")
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let page = read(PAGE);
    let rows: Vec<_> = page.lines().filter_map(listed).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for (level, message) in rows {
        let call = format!("{}!(", level.to_lowercase());
        // The message is inside the macro call, after its fields.
        let is_logged = |source: &String| {
            source.split(&call).skip(1).any(|after| {
                after.split(");\n").next().is_some_and(|call| call.contains(&format!("\"{message}")))
            })
        };
        assert!(sources.iter().any(is_logged), "no {level} event begins with {message:?}");
    }
}

/// Returns the level and the beginning of the message in a row of the table.
fn listed(line: &str) -> Option<(&str, &str)> {
    let (level, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
    ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level).then_some((level, rest.split('`').next()?))
}
