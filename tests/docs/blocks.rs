//! The examples in the README and in the guide are compiled and run as documentation tests.
//!
//! Those of the README belong to the library of this package, those of the guide to the runtime. This file checks that no
//! example is left out.

use crate::{files, read, top};

#[test]
fn every_example_of_the_readme_is_a_whole_program() {
    assert!(
        read("tests/src/lib.rs").contains("include_str!(\"../../README.md\")"),
        "the examples of the README are documentation tests"
    );
    let readme = read("README.md");
    let examples: Vec<_> =
        blocks(&readme).into_iter().filter(|block| block.language.starts_with("rust")).collect();
    assert!(examples.len() > 1, "{} examples", examples.len());
    for Block { language, code } in examples {
        assert_eq!(language, "rust", "the example is not compiled:\n{code}");
        assert!(code.contains("fn main()"), "the example is not a whole program:\n{code}");
        // Only rustdoc hides such lines.
        assert!(!code.lines().any(|line| line.starts_with("# ")), "the example has hidden lines:\n{code}");
    }
}

#[test]
fn every_page_of_the_guide_has_examples_that_run() {
    let pages = files(&top().join("cached-runtime/docs/guide"), "md");
    assert!(!pages.is_empty());
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = blocks(&text);
        let known = ["rust", "toml", "text", "console"];
        let other = blocks.iter().find(|block| !known.contains(&block.language));
        assert!(other.is_none(), "{}: ```{}", page.display(), other.unwrap().language);
        assert!(blocks.iter().any(|block| block.language == "rust"), "{}: no example", page.display());
    }
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines < 250, "{lines} lines: move details to the guide");
}

#[test]
fn blocks_are_found() {
    let text = "```rust\na\n```\n\n```toml\nb\n\nc\n```\n";
    let blocks: Vec<_> = blocks(text).into_iter().map(|block| (block.language, block.code)).collect();
    assert_eq!(blocks, [("rust", "a\n".to_owned()), ("toml", "b\n\nc\n".to_owned())]);
}

/// A block of code.
struct Block<'a> {
    /// The info string after the fence.
    language: &'a str,
    code: String,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block<'_>>);
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some(Block { language, code: String::new() }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.code += line;
                block.code.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}
