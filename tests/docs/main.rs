//! The documents agree with the code. Needs no server.
#![allow(clippy::unwrap_used, reason = "in a test and its helpers it is as good as an assertion")]

mod blocks;
mod examples;
mod layers;
mod links;
mod logs;
mod metrics;
mod options;
mod packages;

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root of the workspace.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the files below a directory with an extension, without `target` and hidden files.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let (path, name) = {
            let entry = entry.unwrap();
            (entry.path(), entry.file_name())
        };
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_symlink() {
            // The target of the link is found itself.
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
