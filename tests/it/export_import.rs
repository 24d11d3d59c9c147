//! What one process sealed, another one executes to the same hashes.

use crate::{
    process::{Node, run_well},
    rpc::RpcClient,
    wallet::{Action, Wallet, deploy_token},
};
use alloy_primitives::Address;
use serde_json::json;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long the chain may take to seal its next block.
const SEAL_PATIENCE: Duration = Duration::from_secs(30);

/// Exports the sealed chain of `datadir`, has a second process execute it on an empty data directory, and compares:
/// the import checks every header against its own execution, and the second export must be the same bytes.
///
/// Returns the number of bytes exported.
pub(crate) fn assert_second_process_agrees(datadir: &Path) -> usize {
    let scratch = tempfile::tempdir().unwrap();
    let [first, second] = ["first.rlp", "second.rlp"].map(|name| scratch.path().join(name));
    let copy = scratch.path().join("copy");
    run_well(
        &["export", "--chain", "realtime", first.to_str().unwrap()],
        datadir,
    );
    run_well(
        &[
            "import",
            "--chain",
            "realtime",
            "--fail-on-invalid-block",
            first.to_str().unwrap(),
        ],
        &copy,
    );
    run_well(
        &["export", "--chain", "realtime", second.to_str().unwrap()],
        &copy,
    );
    let [first, second] = [first, second].map(|path| fs::read(path).unwrap());
    assert!(!first.is_empty(), "nothing was sealed");
    assert!(first == second, "the imported chain exports to other bytes");
    first.len()
}

/// Waits until block `number` is sealed.
pub(crate) fn await_block(rpc: &mut RpcClient, number: u64) {
    let deadline = Instant::now() + SEAL_PATIENCE;
    while rpc.quantity("eth_blockNumber", json!([])) < number {
        assert!(
            Instant::now() < deadline,
            "block {number} is not sealed after {SEAL_PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_second_process_executes_the_export_to_the_same_chain() {
    let datadir = tempfile::tempdir().unwrap();
    let wallet = Wallet::dev(0);
    // Two lives of the node, so that the export spans a clean restart.
    for life in 0..2u64 {
        let node = Node::start(datadir.path(), &[]);
        let mut rpc = node.rpc();
        let token = deploy_token(&mut rpc, &wallet, &[Wallet::dev(1)]);
        let mut last_block = 0;
        for turn in 0..40u64 {
            let to = Address::repeat_byte(0x80 | turn as u8);
            let action = match turn % 2 {
                0 => Action::Pay(to),
                _ => Action::MoveTokens {
                    token,
                    to,
                    amount: turn + life,
                },
            };
            let raw = wallet.sign(wallet.nonce(&mut rpc), action);
            let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw]));
            assert_eq!(receipt["status"], "0x1", "{receipt}");
            last_block = crate::rpc::parse_quantity(&receipt["blockNumber"]);
        }
        await_block(&mut rpc, last_block + 1);
        assert!(node.stop().success());
    }
    assert_second_process_agrees(datadir.path());
}
