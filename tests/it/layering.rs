//! Who may depend on whom.

use crate::workspace::{members, metadata};
use cargo_metadata::{DependencyKind, Package};
use std::collections::{BTreeMap, BTreeSet};

/// Every crate and its layer. A crate depends on lower layers only.
const LAYERS: &[(u8, &[&str])] = &[
    (
        0,
        &[
            "rapid-sync",
            "rapid-primitives",
            "rapid-keccak",
            "rapid-chainspec",
        ],
    ),
    (
        1,
        &[
            "rapid-state",
            "rapid-trie",
            "rapid-log",
            "rapid-history",
            "rapid-jit",
        ],
    ),
    (2, &["rapid-evm", "rapid-consensus", "rapid-pool"]),
    (3, &["rapid-executor", "rapid-stateless"]),
    (
        4,
        &["rapid-chain", "rapid-sequencer", "rapid-stages", "rapid-stream"],
    ),
    (5, &["rapid-replica", "rapid-rpc", "rapid-engine", "rapid-exex"]),
    (6, &["rapid-node"]),
    (7, &["rapid-reth", "rapid-bench", "rapid-tests"]),
];

/// Test support: any crate may use it in its tests, none outside them.
const TESTING: &str = "rapid-testing";

/// Edges within a layer that the design asks for.
const SIDEWAYS: &[(&str, &str)] = &[
    ("rapid-trie", "rapid-state"),
    ("rapid-sequencer", "rapid-chain"),
    ("rapid-stages", "rapid-chain"),
    ("rapid-rpc", "rapid-engine"),
];

/// Edges that the layers would allow and the design forbids: these crates work on any state that implements the
/// database traits.
const FORBIDDEN: &[(&str, &str)] = &[
    ("rapid-evm", "rapid-state"),
    ("rapid-stateless", "rapid-state"),
    ("rapid-stateless", "rapid-executor"),
];

/// Crates without I/O: no asynchronous runtime, no sockets.
const PURE: &[&str] = &[
    "rapid-sync",
    "rapid-primitives",
    "rapid-keccak",
    "rapid-state",
    "rapid-trie",
    "rapid-evm",
    "rapid-consensus",
];

/// What a pure crate must not depend on.
const IMPURE: &[&str] = &["tokio", "hyper", "jsonrpsee", "futures-util", "mio", "socket2"];

/// Crates whose types cross our boundaries: two versions of one would be two different types of the same name.
fn must_be_single(name: &str) -> bool {
    ["revm", "alloy-", "reth-", "op-revm"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(layer, _)| *layer)
}

/// Dependencies outside tests.
fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
}

/// Why `from` must not depend on `to`, if so; `to` is a member of the workspace.
fn objection(from: &str, to: &str) -> Option<&'static str> {
    if to == TESTING {
        return Some("test support outside tests");
    }
    if FORBIDDEN.contains(&(from, to)) {
        return Some("forbidden by the design");
    }
    if from == TESTING || SIDEWAYS.contains(&(from, to)) {
        return None;
    }
    match (layer(from), layer(to)) {
        (Some(from), Some(to)) if to < from => None,
        (Some(from), Some(to)) if to == from => Some("sideways without being listed"),
        (Some(_), Some(_)) => Some("upwards"),
        _ => Some("crate without a layer"),
    }
}

#[test]
fn crates_depend_on_lower_layers_only() {
    let metadata = metadata();
    let members = members(&metadata);
    let names: BTreeSet<_> = members.iter().map(|package| package.name.as_str()).collect();
    assert!(names.len() > 3, "only found {names:?}");
    let mut wrong = Vec::new();
    for package in &members {
        if package.name.as_str() != TESTING && layer(&package.name).is_none() {
            wrong.push(format!("{} has no layer", package.name));
        }
        for dependency in dependencies(package).filter(|name| names.contains(name)) {
            if let Some(objection) = objection(&package.name, dependency) {
                wrong.push(format!("{} -> {dependency}: {objection}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_crates_have_no_runtime() {
    let metadata = metadata();
    for package in members(&metadata) {
        if PURE.contains(&package.name.as_str()) {
            let found: Vec<_> = dependencies(package)
                .filter(|name| IMPURE.contains(name))
                .collect();
            assert!(found.is_empty(), "{} depends on {found:?}", package.name);
        }
    }
}

#[test]
fn shared_types_exist_once() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        if must_be_single(&package.name) {
            versions
                .entry(package.name.as_str())
                .or_default()
                .insert(package.version.to_string());
        }
    }
    assert!(versions.contains_key("revm"), "the graph has no revm");
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "{versions:#?}");
}

#[test]
fn objections_are_raised() {
    assert_eq!(objection("rapid-state", "rapid-primitives"), None);
    assert_eq!(objection("rapid-trie", "rapid-state"), None);
    assert!(objection("rapid-state", "rapid-trie").is_some());
    assert!(objection("rapid-state", "rapid-pool").is_some());
    assert!(objection("rapid-evm", "rapid-state").is_some());
    assert!(objection("rapid-pool", "rapid-evm").is_some());
    assert!(objection("rapid-chain", "rapid-testing").is_some());
    assert!(objection("rapid-new", "rapid-primitives").is_some());
}
