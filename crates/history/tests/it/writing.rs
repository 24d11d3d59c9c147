//! What is refused, and what a refusal leaves behind.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_history::{AppendError, BlockRecord};
use rapid_primitives::{MiniBlockNumber, SealedBlock};

use crate::{
    blocks::{BlockSeed, Chain},
    round_trip::check,
};

fn chain(blocks: u64) -> Chain {
    Chain::of(
        &(1..=blocks)
            .map(|salt| BlockSeed::transfers(3, salt))
            .collect::<Vec<_>>(),
    )
}

#[test]
fn the_same_blocks_again_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let chain = chain(4);
    let history = chain.open(dir.path());
    for _ in 0..3 {
        history.append(&chain.records).unwrap();
        history.append(&chain.records[1..3]).unwrap();
        history.append(&[]).unwrap();
        check(&history, &chain);
    }
}

#[test]
fn gaps_and_other_blocks_are_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut stored = chain(5);
    let history = stored.open(dir.path());
    let gap = history.append(&stored.records[1..]);
    assert!(
        matches!(
            gap,
            Err(AppendError::Gap {
                expected: 0,
                found: 1
            })
        ),
        "{gap:?}"
    );
    assert_eq!(history.head().unwrap(), None);

    history.append(&stored.records[..3]).unwrap();
    let gap = history.append(&[stored.records[3].clone(), stored.records[5].clone()]);
    assert!(
        matches!(
            gap,
            Err(AppendError::Gap {
                expected: 4,
                found: 5
            })
        ),
        "{gap:?}"
    );

    let mut other = chain(1);
    other.grow(&BlockSeed::transfers(1, 99));
    other.grow(&BlockSeed::transfers(1, 99));
    let conflict = history.append(&other.records);
    assert!(
        matches!(conflict, Err(AppendError::Conflict { number: 2, .. })),
        "{conflict:?}"
    );
    let parent = history.append(&other.records[3..]);
    assert!(
        matches!(parent, Err(AppendError::Parent { number: 3, .. })),
        "{parent:?}"
    );

    stored.records.truncate(3);
    check(&history, &stored);
}

#[test]
fn genesis_must_be_that_of_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let chain = chain(0);
    let history = chain.open(dir.path());
    let block = SealedBlock {
        hash: B256::repeat_byte(7),
        ..(*chain.records[0].block).clone()
    };
    let other = BlockRecord {
        block: Arc::new(block),
        last_mini_block: MiniBlockNumber(0),
        reverts: Arc::default(),
        codes: Vec::new(),
    };
    let refused = history.append(&[other]);
    assert!(matches!(refused, Err(AppendError::Genesis { .. })), "{refused:?}");
}

#[test]
fn counts_must_match() {
    let dir = tempfile::tempdir().unwrap();
    let chain = chain(1);
    let history = chain.open(dir.path());
    let mut block = (*chain.records[1].block).clone();
    block.senders.pop();
    let short = BlockRecord {
        block: Arc::new(block),
        last_mini_block: MiniBlockNumber(1),
        reverts: Arc::default(),
        codes: Vec::new(),
    };
    let refused = history.append(&[chain.records[0].clone(), short]);
    let counts = |it: &_| {
        matches!(
            it,
            Err(AppendError::Counts {
                transactions: 3,
                senders: 2,
                receipts: 3,
                ..
            })
        )
    };
    assert!(counts(&refused), "{refused:?}");
    assert_eq!(history.head().unwrap(), None);
}

#[test]
fn the_durable_head_follows_syncs_and_unwinds() {
    let dir = tempfile::tempdir().unwrap();
    let chain = chain(4);
    let history = chain.open(dir.path());
    assert_eq!(history.durable_head(), None);
    history.append(&chain.records[..3]).unwrap();
    assert_eq!(history.durable_head(), None);
    assert_eq!(history.sync().unwrap().unwrap().number, 2);
    history.append(&chain.records).unwrap();
    assert_eq!(history.durable_head().unwrap().number, 2);
    assert_eq!(history.unwind_to(1).unwrap(), 3);
    assert_eq!(history.durable_head(), history.head().unwrap());
    assert_eq!(history.durable_head().unwrap().number, 1);
    assert_eq!(history.unwind_to(1).unwrap(), 0);
}

#[test]
fn stage_checkpoints_stay_where_they_were_set() {
    let dir = tempfile::tempdir().unwrap();
    let chain = chain(4);
    let history = chain.open(dir.path());
    assert_eq!(history.stage_checkpoint("Finish").unwrap(), None);
    history.append(&chain.records).unwrap();
    for number in [3, 4] {
        history.set_stage_checkpoint("Finish", number).unwrap();
    }
    history.set_stage_checkpoint("Execution", 2).unwrap();
    history.unwind_to(1).unwrap();
    drop(history);
    let history = chain.open(dir.path());
    assert_eq!(history.stage_checkpoint("Finish").unwrap(), Some(4));
    assert_eq!(history.stage_checkpoint("Execution").unwrap(), Some(2));
    assert_eq!(history.stage_checkpoint("Headers").unwrap(), None);
}
