//! The published packages contain their documents and licenses, and no other files.

use std::process::Command;

use crate::top;

const BOTH: [&str; 5] = ["CHANGELOG.md", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

#[test]
fn both_packages_ship_their_documents_and_licenses() {
    let (runtime, macros) = (listed("cached-runtime"), listed("cached-macros"));
    for file in BOTH {
        assert!(runtime.iter().any(|name| name == file), "cached-runtime does not ship {file}");
        assert!(macros.iter().any(|name| name == file), "cached-macros does not ship {file}");
    }
    for page in crate::files(&top().join("cached-runtime/docs/guide"), "md") {
        let page = page.strip_prefix(top().join("cached-runtime")).unwrap().display().to_string();
        assert!(runtime.contains(&page), "cached-runtime does not ship {page}");
    }
    assert!(runtime.iter().any(|name| name == "docs/WIRE.md"));
    let is_code_or_document = |name: &&String| {
        let folder = name.split('/').next().unwrap();
        ["src", "docs"].contains(&folder) || !name.contains('/')
    };
    let others: Vec<_> = runtime.iter().chain(&macros).filter(|name| !is_code_or_document(name)).collect();
    assert!(others.is_empty(), "unexpected files are shipped: {others:?}");
}

/// Returns the files of a package.
fn listed(package: &str) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let list = ["package", "--list", "--offline", "--allow-dirty", "--package", package];
    let output = Command::new(cargo).args(list).current_dir(top()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.replace('\\', "/")).collect()
}
