//! What storing changes costs; run by hand. MDBX checks itself in the development profile, which halves the numbers:
//! `--config 'profile.dev.package.signet-mdbx-sys.debug-assertions=false'`, and the same for `signet-libmdbx`.

use std::{sync::Arc, time::Instant};

use alloy_primitives::{Address, U256, keccak256};
use rapid_history::{AccountRevert, BlockReverts, History, HistoryConfig, Past};
use rapid_primitives::Account;

use crate::blocks::{BlockSeed, Chain};

const BLOCK_CHANGES: u64 = 50_000;

/// Blocks that bring the table to two million entries.
const WARM_UP_BLOCKS: u64 = 40;

const MEASURED_BLOCKS: u64 = 20;

/// An account that is somewhere else for every index.
fn account_revert(index: u64) -> AccountRevert {
    AccountRevert {
        address: Address::from_word(keccak256(index.to_be_bytes())),
        account: Past::Was(Some(Account {
            nonce: index,
            balance: U256::from(index) << 64,
            ..Account::default()
        })),
        storage: Vec::new(),
    }
}

fn slot_revert(index: u64) -> AccountRevert {
    AccountRevert {
        account: Past::Unchanged,
        storage: vec![(U256::from(index), U256::from(index) << 64)],
        ..account_revert(index)
    }
}

fn measure(what: &str, revert: fn(u64) -> AccountRevert, blocks_per_append: usize) {
    let dir = tempfile::tempdir().unwrap();
    let blocks = WARM_UP_BLOCKS + MEASURED_BLOCKS;
    let seeds: Vec<_> = (1..=blocks).map(|salt| BlockSeed::transfers(0, salt)).collect();
    let mut chain = Chain::of(&seeds);
    for (number, record) in (0..).zip(&mut chain.records).skip(1) {
        let first = number * BLOCK_CHANGES;
        let accounts = (first..first + BLOCK_CHANGES).map(revert).collect();
        record.reverts = Arc::new(BlockReverts::new(accounts));
    }
    let history = History::open(dir.path(), &HistoryConfig::new(chain.identity())).unwrap();
    let (warm_up, measured) = chain.records.split_at(WARM_UP_BLOCKS as usize + 1);
    for record in warm_up {
        history.append(std::slice::from_ref(record)).unwrap();
    }
    history.sync().unwrap();
    let start = Instant::now();
    for records in measured.chunks(blocks_per_append) {
        history.append(records).unwrap();
    }
    let append = start.elapsed();
    let changes = MEASURED_BLOCKS * BLOCK_CHANGES;
    let start = Instant::now();
    history.sync().unwrap();
    let sync = start.elapsed();
    let bytes = std::fs::metadata(dir.path().join("mdbx.dat")).unwrap().len();
    let start = Instant::now();
    let past = history.state_after(0).unwrap();
    let reads = 100_000;
    for index in 0..reads {
        let AccountRevert { address, storage, .. } = revert(index * 29 % (blocks * BLOCK_CHANGES));
        let is_changed = match storage.first() {
            Some((slot, _)) => past.storage(&address, slot).unwrap() != Past::Unchanged,
            None => past.account(&address).unwrap() != Past::Unchanged,
        };
        assert_eq!(is_changed, index * 29 % (blocks * BLOCK_CHANGES) >= BLOCK_CHANGES);
    }
    let read = start.elapsed();
    drop(past);
    let start = Instant::now();
    history.prune_changes_below(MEASURED_BLOCKS + 1).unwrap();
    let prune = start.elapsed();
    println!(
        "{what}, {blocks_per_append} blocks at a time: {:.0} changes/s appended ({:.0} ms a block; sync of all {:.1} s), {} bytes a change, {:.2} us a read, \
         {:.0} changes/s pruned",
        changes as f64 / append.as_secs_f64(),
        append.as_secs_f64() * 1e3 / MEASURED_BLOCKS as f64,
        sync.as_secs_f64(),
        bytes / (blocks * BLOCK_CHANGES),
        read.as_secs_f64() * 1e6 / reads as f64,
        changes as f64 / prune.as_secs_f64(),
    );
}

#[test]
#[ignore = "a measurement of a minute"]
fn changes_at_random_addresses() {
    measure("accounts", account_revert, 1);
    measure("accounts", account_revert, 10);
    measure("slots", slot_revert, 1);
}
