//! A process that ends without closing the database.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use alloy_primitives::U256;

use crate::{
    blocks::BlockSeed,
    past::check_past,
    round_trip::check,
    state_chain::{Action, StateChain},
};

const CHILD_DIR: &str = "RAPID_HISTORY_CRASH_DIR";

fn chain() -> StateChain {
    let mut chain = StateChain::new();
    for salt in 1..=20 {
        let write = |slot| Action::Write(slot, U256::from(salt));
        let actions = [(0, Action::Pay(salt)), (1, write(0)), (1, write(salt as u8 % 4))];
        chain.grow(&BlockSeed::transfers(30, salt), &actions);
    }
    chain
}

/// The child: stores blocks and aborts without a sync or a close.
fn write_and_abort(dir: &Path) -> ! {
    let chain = chain().chain;
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
    let history = chain.chain.open(dir.path());
    check(&history, &chain.chain);
    check_past(&history, &chain, 0);
    assert_eq!(history.durable_head(), history.head().unwrap());
}
