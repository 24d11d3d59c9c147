//! Checkpoints: round trip, damage, pruning.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use proptest::prelude::*;
use rapid_log::{
    CheckpointEntry, CheckpointError, CheckpointMeta, CheckpointTotals, Checkpoints, newest_checkpoint_size,
};
use rapid_primitives::{Account, MiniBlockNumber};

use crate::{
    chain::files,
    disk::{Crash, Disk, Fault},
};

const DIR: &str = "/checkpoints";

fn meta(number: u64) -> CheckpointMeta {
    CheckpointMeta {
        mini_block: MiniBlockNumber(number),
        mini_block_hash: B256::repeat_byte(1),
        block_number: 7,
        block_hash: B256::repeat_byte(2),
        extra: Bytes::from_static(b"extra"),
    }
}

fn write(
    checkpoints: &Checkpoints,
    number: u64,
    content: &[CheckpointEntry],
) -> Result<CheckpointTotals, CheckpointError> {
    let mut writer = checkpoints.create(&meta(number))?;
    for entry in content {
        match entry {
            CheckpointEntry::Account { address, account } => writer.account(*address, account)?,
            CheckpointEntry::Slot { address, slot, value } => writer.slot(*address, *slot, *value)?,
            CheckpointEntry::Code { hash, code } => writer.code(*hash, code)?,
        }
    }
    writer.finish()
}

/// Accounts, codes and enough slots for several chunks.
fn content(accounts: u8, slots: u64) -> Vec<CheckpointEntry> {
    let mut content = Vec::new();
    for byte in 0..accounts {
        let address = Address::repeat_byte(byte);
        let account = Account {
            nonce: u64::from(byte),
            balance: U256::from(9) << 200,
            code_hash: KECCAK256_EMPTY,
        };
        content.push(CheckpointEntry::Account { address, account });
        let slot = |slot| CheckpointEntry::Slot {
            address,
            slot: U256::from(slot),
            value: U256::from(slot + 1),
        };
        content.extend((0..slots).map(slot));
        let code = Bytes::from(vec![byte; usize::from(byte) * 1000]);
        content.push(CheckpointEntry::Code {
            hash: keccak256(&code),
            code,
        });
    }
    content
}

fn only_file(disk: &Disk) -> PathBuf {
    let paths = disk.paths();
    assert_eq!(paths.len(), 1);
    paths[0].clone()
}

#[test]
fn round_trip_on_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(dir.path(), files()).unwrap();
    assert!(checkpoints.latest().unwrap().is_none());
    let content = content(30, 3_000);
    let totals = write(&checkpoints, 42, &content).unwrap();
    assert_eq!(
        totals,
        CheckpointTotals {
            accounts: 30,
            slots: 90_000,
            codes: 30
        }
    );
    let reader = checkpoints.latest().unwrap().unwrap();
    assert_eq!((reader.meta(), reader.totals()), (&meta(42), totals));
    assert_eq!(reader.verify().unwrap(), totals);
    assert!(reader.entries().map(Result::unwrap).eq(content));
}

#[test]
fn the_newest_two_are_kept() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    for number in [5, 9, 300] {
        write(&checkpoints, number, &content(2, 2)).unwrap();
    }
    assert_eq!(
        checkpoints.list().unwrap(),
        [MiniBlockNumber(300), MiniBlockNumber(9)]
    );
    assert_eq!(checkpoints.read(MiniBlockNumber(9)).unwrap().meta(), &meta(9));
    assert!(matches!(
        checkpoints.read(MiniBlockNumber(5)),
        Err(CheckpointError::Io { .. })
    ));
}

#[test]
fn an_unfinished_one_is_never_seen() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    let mut writer = checkpoints.create(&meta(1)).unwrap();
    writer.code(KECCAK256_EMPTY, &[]).unwrap();
    assert!(checkpoints.latest().unwrap().is_none());
    let crashed = disk.after(Crash::Kill, || 0);
    drop(writer);
    assert_eq!(disk.paths(), Vec::<PathBuf>::new());
    assert_eq!(crashed.paths().len(), 1);
    let checkpoints = Checkpoints::open(Path::new(DIR), crashed.storage()).unwrap();
    assert!(checkpoints.latest().unwrap().is_none());
    assert_eq!(crashed.paths(), Vec::<PathBuf>::new());
}

#[test]
fn a_finished_one_survives_a_power_loss() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    let content = content(3, 3);
    write(&checkpoints, 1, &content).unwrap();
    for coin in [0, 1] {
        let disk = disk.after(Crash::Power, || coin);
        let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
        assert!(
            checkpoints
                .latest()
                .unwrap()
                .unwrap()
                .entries()
                .map(Result::unwrap)
                .eq(content.clone())
        );
    }
}

#[test]
fn a_disk_error_leaves_the_old_one() {
    for fault in [Fault::Write, Fault::ShortWrite, Fault::Sync] {
        let disk = Disk::new();
        let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
        write(&checkpoints, 1, &content(3, 3)).unwrap();
        disk.fail(fault, 0);
        let failed = write(&checkpoints, 2, &content(3, 3));
        assert!(matches!(failed, Err(CheckpointError::Io { .. })), "{failed:?}");
        assert_eq!(checkpoints.list().unwrap(), [MiniBlockNumber(1)]);
        assert_eq!(disk.paths().len(), 1);
    }
}

/// As a state that is scanned in the order of its entries gives them.
#[test]
fn slots_need_not_follow_their_account() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    let account = |byte| CheckpointEntry::Account {
        address: Address::repeat_byte(byte),
        account: Account::default(),
    };
    let slot = |byte, slot: u64| CheckpointEntry::Slot {
        address: Address::repeat_byte(byte),
        slot: U256::from(slot),
        value: U256::ONE,
    };
    let content = [
        account(1),
        account(2),
        slot(2, 1),
        slot(1, 1),
        slot(1, 2),
        slot(2, 2),
    ];
    let totals = write(&checkpoints, 1, &content).unwrap();
    assert_eq!((totals.accounts, totals.slots), (2, 4));
    let reader = checkpoints.read(MiniBlockNumber(1)).unwrap();
    let read: Vec<_> = reader.entries().map(Result::unwrap).collect();
    assert_eq!(read, content);
}

#[test]
fn zero_slots_are_left_out() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    let mut writer = checkpoints.create(&meta(1)).unwrap();
    writer.account(Address::ZERO, &Account::default()).unwrap();
    writer.slot(Address::ZERO, U256::from(1), U256::ZERO).unwrap();
    writer.slot(Address::ZERO, U256::from(2), U256::from(3)).unwrap();
    assert_eq!(writer.finish().unwrap().slots, 1);
}

#[test]
fn a_code_that_is_not_its_hash_is_damage() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    let mut writer = checkpoints.create(&meta(1)).unwrap();
    writer.code(B256::ZERO, b"code").unwrap();
    writer.finish().unwrap();
    let verified = checkpoints.latest().unwrap().unwrap().verify();
    assert!(
        matches!(verified, Err(CheckpointError::Damaged { .. })),
        "{verified:?}"
    );
}

#[test]
fn one_under_another_name_is_refused() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    write(&checkpoints, 1, &content(1, 1)).unwrap();
    let path = only_file(&disk);
    disk.storage()
        .rename(&path, &path.with_file_name("0000000000000002.checkpoint"))
        .unwrap();
    assert!(matches!(
        checkpoints.latest(),
        Err(CheckpointError::Damaged { .. })
    ));
}

#[test]
fn truncation_is_seen_when_opened() {
    let disk = Disk::new();
    let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
    write(&checkpoints, 1, &content(2, 5)).unwrap();
    let path = only_file(&disk);
    for end in 0..disk.bytes(&path).len() {
        let copy = disk.after(Crash::Kill, || 0);
        copy.tamper(&path, |bytes| bytes.truncate(end));
        let latest = Checkpoints::open(Path::new(DIR), copy.storage())
            .unwrap()
            .latest();
        assert!(matches!(latest, Err(CheckpointError::Damaged { .. })), "{end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_flipped_bit_is_seen(bit: prop::sample::Index) {
        let disk = Disk::new();
        let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
        write(&checkpoints, 1, &content(4, 50)).unwrap();
        let path = only_file(&disk);
        let bit = bit.index(disk.bytes(&path).len() * 8);
        disk.tamper(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let verified = checkpoints.latest().and_then(|reader| reader.unwrap().verify());
        prop_assert!(matches!(verified, Err(CheckpointError::Damaged { .. })), "{:?}", verified);
    }

    /// A chunk left out or put elsewhere does not go unnoticed.
    #[test]
    fn entries_left_out_are_seen(cut in 1usize..2000) {
        let disk = Disk::new();
        let checkpoints = Checkpoints::open(Path::new(DIR), disk.storage()).unwrap();
        write(&checkpoints, 1, &content(4, 50)).unwrap();
        let path = only_file(&disk);
        disk.tamper(&path, |bytes| {
            let at = bytes.len() / 2;
            bytes.drain(at..at + cut);
        });
        let verified = checkpoints.latest().and_then(|reader| reader.unwrap().verify());
        prop_assert!(verified.is_err());
    }
}

#[test]
fn the_size_is_told_without_changing_anything() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    assert_eq!(newest_checkpoint_size(&nowhere).unwrap(), None);
    assert!(!nowhere.exists());

    let checkpoints = Checkpoints::open(dir.path(), files()).unwrap();
    let older = write(&checkpoints, 4, &content(3, 10)).unwrap();
    let totals = write(&checkpoints, 5, &content(4, 20_000)).unwrap();
    std::fs::write(dir.path().join("0000000000000006.checkpoint.tmp"), b"unfinished").unwrap();
    let size = newest_checkpoint_size(dir.path()).unwrap().unwrap();
    let path = dir.path().join("0000000000000005.checkpoint");
    assert_eq!(size.totals, Some(totals));
    assert_eq!(size.file_bytes, path.metadata().unwrap().len());
    let code = 1_000 + 2_000 + 3_000;
    assert!((code..code + 1_000).contains(&size.code_bytes()), "{size:?}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 3);

    // Recovery falls back to the one before, and so does this.
    std::fs::write(&path, [0; 1_000]).unwrap();
    let size = newest_checkpoint_size(dir.path()).unwrap().unwrap();
    assert_eq!(size.totals, Some(older));
    std::fs::write(dir.path().join("0000000000000004.checkpoint"), b"").unwrap();
    let size = newest_checkpoint_size(dir.path()).unwrap().unwrap();
    assert_eq!(
        (size.totals, size.file_bytes, size.code_bytes()),
        (None, 1_000, 0)
    );
}
