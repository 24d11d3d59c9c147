//! Stored blocks checked again: those that are right, and those that are not.

use std::sync::Arc;

use alloy_primitives::Address;
use rapid_chain::Importer;
use rapid_history::BlockRecord;
use rapid_primitives::{MiniBlockNumber, SealedBlock};
use rapid_stages::{Check, check};

use crate::bed::{blocks, file, open, run};

const ALL: [Check; 4] = [
    Check::Bodies,
    Check::Senders,
    Check::Execution,
    Check::TransactionLookup,
];

fn chain(dir: &std::path::Path, count: u64) -> Importer {
    let mut importer = open(dir);
    run(&mut importer, &file(&blocks(count))).1.unwrap();
    importer
}

/// Stores another block instead of the newest one, as damage would.
fn damage(importer: &Importer, change: impl FnOnce(&mut SealedBlock)) {
    let history = importer.chain().history();
    let head = history.head().unwrap().unwrap().number;
    let mut block = history.block(head).unwrap().unwrap();
    change(&mut block);
    history.unwind_to(head - 1).unwrap();
    let record = BlockRecord {
        block: Arc::new(block),
        last_mini_block: MiniBlockNumber(head),
        reverts: Arc::default(),
        codes: Vec::new(),
    };
    history.append(&[record]).unwrap();
}

#[test]
fn a_chain_as_it_was_imported_is_good_from_genesis_to_its_head() {
    let dir = tempfile::tempdir().unwrap();
    let importer = chain(dir.path(), 30);
    for what in ALL {
        let findings = check(importer.chain(), what, 0..=30).unwrap();
        assert!(findings.is_good(), "{what:?}: {:?}", findings.differences);
        assert_eq!((findings.blocks, findings.transactions), (31, 15));
        assert_eq!(findings.gas, 15 * 21_000);
    }
    assert!(check(importer.chain(), Check::Bodies, 30..=31).is_err());
    importer.finish().unwrap();
}

#[test]
fn a_sender_that_is_not_the_signer_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let importer = chain(dir.path(), 8);
    damage(&importer, |block| block.senders[0] = Address::repeat_byte(4));
    let findings = check(importer.chain(), Check::Senders, 1..=8).unwrap();
    assert_eq!(findings.differences_total, 1);
    assert_eq!(findings.differences[0].block, 8);
    assert!(findings.differences[0].what.starts_with("transaction 0 is of "));
    // The stranger has no money either.
    assert!(
        !check(importer.chain(), Check::Execution, 1..=8)
            .unwrap()
            .is_good()
    );
    importer.finish().unwrap();
}

#[test]
fn a_receipt_that_execution_does_not_give_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let importer = chain(dir.path(), 8);
    damage(&importer, |block| block.receipts[0].cumulative_gas_used += 1);
    let findings = check(importer.chain(), Check::Execution, 1..=8).unwrap();
    assert_eq!(findings.differences_total, 1, "{:?}", findings.differences);
    assert_eq!(findings.differences[0].block, 8);
    importer.finish().unwrap();
}

#[test]
fn a_body_that_its_header_does_not_name_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let importer = chain(dir.path(), 8);
    damage(&importer, |block| {
        block.body.transactions.clear();
        block.senders.clear();
        block.receipts.clear();
    });
    let findings = check(importer.chain(), Check::Bodies, 1..=8).unwrap();
    assert_eq!(findings.differences_total, 1, "{:?}", findings.differences);
    importer.finish().unwrap();
}

#[test]
fn look_ups_are_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let importer = chain(dir.path(), 8);
    let history = importer.chain().history();
    assert_eq!(history.rebuild_transaction_lookup(0..=8).unwrap(), 4);
    assert_eq!(history.rebuild_transaction_lookup(7..=100).unwrap(), 1);
    assert!(
        check(importer.chain(), Check::TransactionLookup, 0..=8)
            .unwrap()
            .is_good()
    );
    importer.finish().unwrap();
}
