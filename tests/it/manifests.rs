//! What every member's manifest must say.

use crate::workspace::{members, metadata, root};
use std::fs;
use toml::Table;

/// Package fields that come from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "repository"];

fn inherits(table: &Table, key: &str) -> bool {
    table
        .get(key)
        .and_then(|value| value.get("workspace"))
        .and_then(toml::Value::as_bool)
        == Some(true)
}

#[test]
fn members_inherit_lints_and_licence() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in members(&metadata) {
        let manifest: Table = fs::read_to_string(&package.manifest_path)
            .unwrap()
            .parse()
            .unwrap();
        if !inherits(&manifest, "lints") {
            wrong.push(format!("{}: [lints] is not the workspace's", package.name));
        }
        let fields = manifest["package"].as_table().unwrap();
        for field in INHERITED {
            if !inherits(fields, field) {
                wrong.push(format!("{}: {field} is not the workspace's", package.name));
            }
        }
        if package.description.as_deref().is_none_or(str::is_empty) {
            wrong.push(format!("{}: no description", package.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn packages_are_named_after_their_folder() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in members(&metadata) {
        let folder = package.manifest_path.parent().unwrap();
        let relative = folder.as_std_path().strip_prefix(root()).unwrap();
        let name = folder.file_name().unwrap();
        // Programs carry their own name; packages under crates/reth/ carry reth's.
        let expected = if relative.starts_with("bin") || relative.starts_with("crates/reth") {
            name.to_owned()
        } else {
            format!("rapid-{name}")
        };
        if package.name.as_str() != expected {
            wrong.push(format!("{} is called {}", relative.display(), package.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn both_licences_are_there() {
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(root().join(file).is_file(), "{file}");
    }
}
