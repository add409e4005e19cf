//! Every relative link in a document has a target.

use crate::{files, top};

#[test]
fn every_relative_link_has_a_target() {
    let guide = top().join("cached-runtime/docs/guide");
    let mut dead = Vec::new();
    for document in files(top(), "md") {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            // A page of the guide links to items of the crate. Rustdoc resolves them; only pages are checked here.
            if let Some(item) = target.strip_prefix("crate::") {
                let page = item.strip_prefix("guide::").map(|page| guide.join(page).with_extension("md"));
                if page.is_some_and(|page| !page.exists()) {
                    dead.push(format!("{}: {target}", document.strip_prefix(top()).unwrap().display()));
                }
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            // An address, or a path that rustdoc resolves.
            if target.contains("::") || target.contains("://") {
                continue;
            }
            let file = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let is_there =
                file.exists() && (anchor.is_empty() || anchors(&file).any(|found| found == anchor));
            if !is_there {
                dead.push(format!("{}: {target}", document.strip_prefix(top()).unwrap().display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// Returns the anchors of the headings of a document.
fn anchors(document: &std::path::Path) -> impl Iterator<Item = String> {
    let text = std::fs::read_to_string(document).unwrap_or_default();
    let heading =
        |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let anchor = |heading: String| {
        heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    };
    text.lines().filter_map(heading).map(anchor).collect::<Vec<_>>().into_iter()
}
