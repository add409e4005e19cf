//! The dashboard and the alert rules use metrics and labels that exist: a test of `it` compares the table with what is published.

use std::collections::BTreeSet;

use crate::read;

const FILES: [&str; 2] = ["docs/operating/dashboard.json", "docs/operating/alerts.yml"];

#[test]
fn the_dashboard_and_the_alerts_use_metrics_that_exist() {
    let (metrics, labels) = listed();
    for file in FILES {
        let text = read(file);
        let used = names(&text);
        assert!(used.len() > 5, "{file}: {used:?}");
        for name in used {
            let name = ["_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
            assert!(metrics.contains(name), "{file} uses {name}");
        }
        for label in used_labels(&text) {
            assert!(labels.contains(&label), "{file} uses the label {label}");
        }
    }
}

/// Returns the metrics in the table of the guide, and all their labels.
fn listed() -> (BTreeSet<String>, BTreeSet<String>) {
    let guide = read("cached-runtime/docs/guide/operating.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `cached_"));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let cells: Vec<Vec<_>> = rows.map(|row| row.split('|').map(quoted).collect()).collect();
    let column = |index: usize| cells.iter().flat_map(|row| row[index].clone()).collect();
    (column(1), column(3))
}

fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("cached_")).map(str::to_owned).collect()
}

/// Returns the labels in `by (...)`, in `{...=` and after `$labels.`, and those of legends.
fn used_labels(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let grouped = text.split(" by (").skip(1).flat_map(|rest| rest.split(')').next().unwrap().split(", "));
    let others = ["$labels.", "\"{{", "_sum{", "_count{", "_total{"].into_iter();
    let others = others.flat_map(|before| text.split(before).skip(1));
    grouped.chain(others).map(word).filter(|word| !word.is_empty()).collect()
}
