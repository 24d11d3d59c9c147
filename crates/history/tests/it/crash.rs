//! A process that ends without closing the database.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    blocks::{BlockSeed, Chain},
    round_trip::check,
};

const CHILD_DIR: &str = "RAPID_HISTORY_CRASH_DIR";

fn chain() -> Chain {
    Chain::of(
        &(1..=20)
            .map(|salt| BlockSeed::transfers(30, salt))
            .collect::<Vec<_>>(),
    )
}

/// The child: stores blocks and aborts without a sync or a close.
fn write_and_abort(dir: &Path) -> ! {
    let chain = chain();
    let history = chain.open(dir);
    for record in &chain.records {
        history.append(std::slice::from_ref(record)).unwrap();
    }
    std::process::abort();
}

#[test]
fn everything_appended_survives_an_abort() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        write_and_abort(&PathBuf::from(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::everything_appended_survives_an_abort",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir.path())
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    let chain = chain();
    let history = chain.open(dir.path());
    check(&history, &chain);
    assert_eq!(history.durable_head(), history.head().unwrap());
}
