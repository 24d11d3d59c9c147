//! A directory whose checkpoint was written in the format before.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_log::{CheckpointEntry, Checkpoints, FileStorage};
use rapid_primitives::Account;
use rapid_state::StateConfig;

use crate::{
    by_hand::{config, open_with},
    lives::{NO_WINDOW, grow, lives, spec},
};

const META: u32 = 1;
const ENTRIES: u32 = 2;
const TOTALS: u32 = 3;

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

fn push_chunk(file: &mut Vec<u8>, sequence: u32, kind: u32, content: &[u8]) {
    let mut chunk = Vec::new();
    for word in [content.len() as u32, sequence, kind] {
        chunk.extend(word.to_le_bytes());
    }
    chunk.extend(content);
    file.extend(crc32(&chunk).to_le_bytes());
    file.extend(chunk);
}

/// Format 1: the slots of an account follow it, and nothing else names whose they are.
fn entries_of_format_1(
    accounts: &BTreeMap<Address, Account>,
    slots: &BTreeMap<(Address, U256), U256>,
    codes: &BTreeMap<B256, Bytes>,
) -> Vec<u8> {
    let mut out = Vec::new();
    for (hash, code) in codes {
        out.push(3);
        out.extend(hash);
        out.extend((code.len() as u32).to_le_bytes());
        out.extend(code);
    }
    for (address, account) in accounts {
        out.push(1);
        out.extend(address);
        out.extend(account.nonce.to_le_bytes());
        out.extend(account.balance.to_be_bytes::<32>());
        out.extend(account.code_hash);
        for ((_, slot), value) in slots.range((*address, U256::ZERO)..=(*address, U256::MAX)) {
            out.push(2);
            out.extend(slot.to_be_bytes::<32>());
            out.extend(value.to_be_bytes::<32>());
        }
    }
    out
}

/// Writes the newest checkpoint of a directory in format 1 and removes the others.
fn to_format_1(dir: &Path) {
    let checkpoints = Checkpoints::open(dir, Arc::new(FileStorage)).unwrap();
    let reader = checkpoints.latest().unwrap().expect("one was written");
    let (mut accounts, mut slots, mut codes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for entry in reader.entries() {
        match entry.unwrap() {
            CheckpointEntry::Account { address, account } => drop(accounts.insert(address, account)),
            CheckpointEntry::Slot { address, slot, value } => drop(slots.insert((address, slot), value)),
            CheckpointEntry::Code { hash, code } => drop(codes.insert(hash, code)),
        }
    }
    assert!(!slots.is_empty() && !codes.is_empty());
    let meta = reader.meta();
    let mut head = b"RRETHCKP".to_vec();
    head.extend(1_u32.to_le_bytes());
    head.extend(meta.mini_block.0.to_le_bytes());
    head.extend(meta.mini_block_hash);
    head.extend(meta.block_number.to_le_bytes());
    head.extend(meta.block_hash);
    head.extend(&meta.extra);
    let totals: Vec<u8> = [accounts.len(), slots.len(), codes.len()]
        .iter()
        .flat_map(|count| (*count as u64).to_le_bytes())
        .collect();
    let mut file = Vec::new();
    push_chunk(&mut file, 0, META, &head);
    push_chunk(
        &mut file,
        1,
        ENTRIES,
        &entries_of_format_1(&accounts, &slots, &codes),
    );
    push_chunk(&mut file, 2, TOTALS, &totals);
    for entry in fs::read_dir(dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(dir.join(format!("{:016x}.checkpoint", meta.mini_block.0)), file).unwrap();
}

#[test]
fn a_directory_with_a_checkpoint_of_format_1_opens_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.checkpoint_log_bytes = 1;
    let mut importer = open_with(spec(), &config);
    let genesis = importer.chain().view().head.header.clone();
    let blocks = grow(&mut importer, 1, &genesis, 12);
    for block in &blocks[..8] {
        importer.set_head(block.header.hash_slow()).unwrap();
        // After that of the block before a checkpoint is written.
        importer.await_history().unwrap();
    }
    let before = lives(&importer);
    importer.finish().unwrap();
    to_format_1(&dir.path().join("checkpoints"));
    for state in [StateConfig::default(), NO_WINDOW] {
        config.state = state;
        config.checkpoint_log_bytes = u64::MAX;
        let importer = open_with(spec(), &config);
        assert_eq!(lives(&importer), before);
        importer.finish().unwrap();
    }
    let mut importer = open_with(spec(), &config);
    for block in blocks.into_iter().skip(8) {
        importer.import(block).unwrap();
    }
    lives(&importer);
}
