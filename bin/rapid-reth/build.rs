//! Tells the program which commit, profile and target it was built from.

use std::process::Command;

fn main() {
    let sha = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=RAPID_RETH_GIT_SHA={sha}");
    println!("cargo:rustc-env=RAPID_RETH_TARGET={}", variable("TARGET"));
    println!("cargo:rustc-env=RAPID_RETH_PROFILE={}", variable("PROFILE"));
    println!("cargo:rustc-env=RAPID_RETH_BUILD_TIMESTAMP={}", timestamp());
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(directory) = git(&["rev-parse", "--absolute-git-dir"]) {
        // HEAD names a branch; its log changes with every commit. Rebuilding for each would be felt while developing.
        let watched = if variable("PROFILE") == "release" {
            "logs/HEAD"
        } else {
            "HEAD"
        };
        println!("cargo:rerun-if-changed={directory}/{watched}");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| "unknown".to_owned())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Time of the commit, so that two builds of it are the same bytes; `SOURCE_DATE_EPOCH` wins.
fn timestamp() -> String {
    std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .or_else(|| git(&["log", "-1", "--format=%cI"]))
        .unwrap_or_else(|| "unknown".to_owned())
}
