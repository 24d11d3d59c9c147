//! What is stored is what is read, by every way of reading.

use alloy_primitives::B256;
use proptest::prelude::*;
use rapid_history::{BlockId, History, StoredTransaction};
use rapid_primitives::SealedBlock;

use crate::blocks::{BlockSeed, Chain, block_seed};

/// Reads one block in every way and compares.
fn check_block(history: &History, chain: &Chain, number: u64) {
    let record = &chain.records[number as usize];
    let block: &SealedBlock = &record.block;
    assert_eq!(history.block(number).unwrap().as_ref(), Some(block));
    assert_eq!(
        history.header_by_number(number).unwrap().as_ref(),
        Some(&block.header)
    );
    assert_eq!(
        history.header_by_hash(block.hash).unwrap().as_ref(),
        Some(&block.header)
    );
    assert_eq!(history.number_by_hash(block.hash).unwrap(), Some(number));
    assert_eq!(history.hash_by_number(number).unwrap(), Some(block.hash));
    assert_eq!(
        history.last_mini_block(number).unwrap(),
        Some(record.last_mini_block)
    );
    assert_eq!(
        history.transaction_count(number).unwrap(),
        Some(block.senders.len() as u64)
    );
    assert_eq!(history.receipts(number).unwrap().as_ref(), Some(&block.receipts));
    let stored = history.block_without_receipts(number).unwrap().unwrap();
    assert_eq!(
        (stored.hash, &stored.body, &stored.senders),
        (block.hash, &block.body, &block.senders)
    );
    let (mut gas_before, mut first_log_index) = (0, 0);
    for (index, transaction) in block.body.transactions.iter().enumerate() {
        let receipt = &block.receipts[index];
        let expected = StoredTransaction {
            block_number: number,
            block_hash: block.hash,
            index: index as u64,
            transaction: transaction.clone(),
            sender: block.senders[index],
            receipt: receipt.clone(),
            gas_used: receipt.cumulative_gas_used - gas_before,
            first_log_index,
        };
        assert_eq!(
            history.transaction(*transaction.tx_hash()).unwrap().as_ref(),
            Some(&expected)
        );
        assert_eq!(
            history.transaction_at(number, index as u64).unwrap(),
            Some(expected)
        );
        gas_before = receipt.cumulative_gas_used;
        first_log_index += receipt.logs.len() as u64;
    }
    assert_eq!(
        history
            .transaction_at(number, block.senders.len() as u64)
            .unwrap(),
        None
    );
}

/// Compares the whole database with the chain.
pub(crate) fn check(history: &History, chain: &Chain) {
    let head = chain.records.last().map(|record| BlockId {
        number: record.block.number(),
        hash: record.block.hash,
    });
    assert_eq!(history.head().unwrap(), head);
    for number in 0..chain.records.len() as u64 {
        check_block(history, chain, number);
    }
    check_absent(history, chain.records.len() as u64);
    let exported: Vec<_> = history
        .blocks(0..=u64::MAX)
        .map(|block| block.unwrap().hash)
        .collect();
    assert!(
        exported
            .into_iter()
            .eq(chain.records.iter().map(|record| record.block.hash))
    );
}

fn check_absent(history: &History, number: u64) {
    assert_eq!(history.block(number).unwrap(), None);
    assert_eq!(history.header_by_number(number).unwrap(), None);
    assert_eq!(history.hash_by_number(number).unwrap(), None);
    assert_eq!(history.receipts(number).unwrap(), None);
    assert_eq!(history.last_mini_block(number).unwrap(), None);
    assert_eq!(history.transaction_at(number, 0).unwrap(), None);
    assert_eq!(history.transaction(B256::repeat_byte(0xee)).unwrap(), None);
    assert_eq!(history.number_by_hash(B256::repeat_byte(0xee)).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_blocks(seeds in prop::collection::vec(block_seed(), 0..10), split: prop::sample::Index) {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::of(&seeds);
        let split = split.index(chain.records.len());
        {
            let history = chain.open(dir.path());
            history.append(&chain.records[..split]).unwrap();
            // Overlapping with what is there.
            history.append(&chain.records[split / 2..]).unwrap();
            check(&history, &chain);
        }
        check(&chain.open(dir.path()), &chain);
    }

    #[test]
    fn unwinding_and_another_branch(
        seeds in prop::collection::vec(block_seed(), 1..8),
        branch in prop::collection::vec(block_seed(), 0..5),
        keep: prop::sample::Index,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::of(&seeds);
        let history = chain.open(dir.path());
        history.append(&chain.records).unwrap();
        let gone = chain.clone();
        let keep = keep.index(chain.records.len());
        let removed = history.unwind_to(keep as u64).unwrap();
        prop_assert_eq!(removed as usize, chain.records.len() - 1 - keep);
        chain.records.truncate(keep + 1);
        check(&history, &chain);
        for record in &gone.records[keep + 1..] {
            prop_assert_eq!(history.number_by_hash(record.block.hash).unwrap(), None);
            for transaction in &record.block.body.transactions {
                prop_assert_eq!(history.transaction(*transaction.tx_hash()).unwrap(), None);
            }
        }
        branch.iter().for_each(|seed| chain.grow(seed));
        history.append(&chain.records).unwrap();
        check(&history, &chain);
        drop(history);
        check(&chain.open(dir.path()), &chain);
    }
}

#[test]
fn readers_see_whole_blocks_while_one_writes() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::of(
        &(1..40)
            .map(|salt| BlockSeed::transfers(20, salt))
            .collect::<Vec<_>>(),
    );
    let history = chain.open(dir.path());
    history.append(&chain.records[..1]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let head = history.head().unwrap().unwrap();
                    assert_eq!(
                        history.block(head.number).unwrap().as_ref(),
                        Some(&*chain.records[head.number as usize].block)
                    );
                    if head.number as usize + 1 == chain.records.len() {
                        break;
                    }
                }
            });
        }
        for record in &chain.records[1..] {
            history.append(std::slice::from_ref(record)).unwrap();
        }
    });
    check(&history, &chain);
}

#[test]
fn a_large_block() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::of(&[BlockSeed::transfers(50_000, 1), BlockSeed::transfers(3, 2)]);
    let history = chain.open(dir.path());
    history.append(&chain.records).unwrap();
    assert_eq!(history.block(1).unwrap().as_ref(), Some(&*chain.records[1].block));
    let last = chain.records[1].block.body.transactions.last().unwrap();
    assert_eq!(
        history.transaction(*last.tx_hash()).unwrap().unwrap().index,
        49_999
    );
    assert_eq!(history.unwind_to(0).unwrap(), 2);
    assert_eq!(history.transaction(*last.tx_hash()).unwrap(), None);
}
