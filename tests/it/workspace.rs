//! The workspace as cargo sees it.

use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// Packages and their dependencies, with the graph as resolved for this machine: what other platforms need is not
/// downloaded by a build.
pub(crate) fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--offline", "--filter-platform", "host-tuple"].map(str::to_owned))
        .exec()
        .unwrap()
}

/// Members that belong to the repository. One that git ignores is somebody's local experiment.
pub(crate) fn members(metadata: &Metadata) -> Vec<&Package> {
    metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| !is_ignored(package))
        .collect()
}

fn is_ignored(package: &Package) -> bool {
    Command::new("git")
        .args(["check-ignore", "--quiet"])
        .arg(package.manifest_path.as_std_path())
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
}
