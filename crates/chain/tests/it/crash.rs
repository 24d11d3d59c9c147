//! A crash at every step of moving the head: what is on the disk then opens, and is one of the states on the way.
//!
//! The head moves in this order: records into the log, one by one; history loses what was taken back; history gets what
//! came. So a crash leaves a prefix of the records with the old history, or all records with a history on its way. Such
//! directories are put together here from those before and after.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rapid_chain::Importer;
use rapid_history::{ChainIdentity, History, HistoryConfig};
use rapid_primitives::Block;

use crate::{
    branches::{Picture, grow, picture, spec},
    by_hand::open,
};

/// What the log adds to a segment and to a record.
const SEGMENT_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 32;
const FRAME_ALIGNMENT: usize = 8;

/// Ends of the records of a log with one segment.
fn record_ends(segment: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while let Some(header) = segment.get(at..at + FRAME_HEADER_BYTES) {
        let length = u32::from_le_bytes(*header[4..].first_chunk().unwrap()) as usize;
        if length == 0 {
            break;
        }
        at = (at + FRAME_HEADER_BYTES + length).next_multiple_of(FRAME_ALIGNMENT);
        ends.push(at);
    }
    ends
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn segment(dir: &Path) -> PathBuf {
    let with_records = fs::read_dir(dir.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = with_records
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .filter(|path| !record_ends(&fs::read(path).unwrap()).is_empty())
        .collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments.remove(0)
}

fn unwind_history(dir: &Path, number: u64) {
    let identity = ChainIdentity {
        chain_id: spec().chain_id(),
        genesis_hash: spec().genesis_hash(),
    };
    let history = History::open(&dir.join("history"), &HistoryConfig::new(identity)).unwrap();
    history.unwind_to(number).unwrap();
    history.sync().unwrap();
}

/// Opens a directory as a crash left it, twice, and looks at it.
fn reopened(dir: &Path, branches: u8) -> Picture {
    let importer = open(spec(), dir);
    let seen = picture(&importer, branches);
    importer.finish().unwrap();
    let importer = open(spec(), dir);
    assert_eq!(picture(&importer, branches), seen, "a second start");
    importer.finish().unwrap();
    seen
}

/// Moves the head in a directory; returns those before and after, closed.
fn before_and_after(
    prepare: impl FnOnce(&mut Importer) -> Vec<Block>,
    act: impl FnOnce(&mut Importer, Vec<Block>),
) -> (tempfile::TempDir, tempfile::TempDir) {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut importer = open(spec(), before.path());
    let blocks = prepare(&mut importer);
    importer.finish().unwrap();
    copy(before.path(), after.path());
    let mut importer = open(spec(), after.path());
    act(&mut importer, blocks);
    importer.finish().unwrap();
    (before, after)
}

/// Every directory that a crash can leave between the two; `fork` is the block both have.
fn crashes(before: &Path, after: &Path, fork: u64) -> Vec<tempfile::TempDir> {
    let whole = fs::read(segment(after)).unwrap();
    let kept = record_ends(&fs::read(segment(before)).unwrap()).len();
    let ends = record_ends(&whole);
    let mut crashes = Vec::new();
    for records in kept..=ends.len() {
        // Also in the middle of the record that follows.
        let torn = ends.get(records).map(|end| (ends[records - 1] + end) / 2);
        for end in [Some(ends[records - 1]), torn].into_iter().flatten() {
            let dir = tempfile::tempdir().unwrap();
            copy(after, dir.path());
            let mut log = whole.clone();
            log[end..].fill(0);
            fs::write(
                segment(after)
                    .to_string_lossy()
                    .replace(&*after.to_string_lossy(), &dir.path().to_string_lossy()),
                log,
            )
            .unwrap();
            fs::copy(before.join("log/durable"), dir.path().join("log/durable")).unwrap();
            fs::remove_dir_all(dir.path().join("history")).unwrap();
            copy(&before.join("history"), &dir.path().join("history"));
            crashes.push(dir);
        }
    }
    for unwound_to in fork.. {
        let dir = tempfile::tempdir().unwrap();
        copy(after, dir.path());
        let head = {
            let history = if unwound_to == fork { before } else { after };
            fs::remove_dir_all(dir.path().join("history")).unwrap();
            copy(&history.join("history"), &dir.path().join("history"));
            let importer = open(spec(), after);
            let head = importer.chain().view().head.number();
            importer.finish().unwrap();
            head
        };
        if unwound_to >= head {
            break;
        }
        unwind_history(dir.path(), unwound_to);
        crashes.push(dir);
    }
    crashes
}

fn assert_on_the_way(crashes: &[tempfile::TempDir], branches: u8, heads: &[alloy_primitives::B256]) {
    let mut seen = Vec::new();
    for crash in crashes {
        let head = reopened(crash.path(), branches).head;
        assert!(heads.contains(&head), "block {head} was on no way");
        seen.push(head);
    }
    assert_eq!(seen.first(), heads.first(), "nothing was written at first");
    assert_eq!(seen.last(), heads.last(), "everything was at last");
}

#[test]
fn an_import_that_ends_anywhere_leaves_a_prefix() {
    let (before, after) = before_and_after(
        |importer| {
            let genesis = importer.chain().view().head.header.clone();
            let blocks = grow(importer, 1, &genesis, 6);
            importer.set_head(blocks[1].header.hash_slow()).unwrap();
            blocks
        },
        |importer, blocks| {
            for block in blocks.into_iter().skip(2) {
                importer.import(block).unwrap();
            }
        },
    );
    let importer = open(spec(), after.path());
    let hash = |number| importer.chain().block_hash(number).unwrap().unwrap();
    let heads: Vec<_> = (2..=6).map(hash).collect();
    importer.finish().unwrap();
    assert_on_the_way(&crashes(before.path(), after.path(), 2), 1, &heads);
}

#[test]
fn a_reorganisation_that_ends_anywhere_leaves_a_head_on_the_way() {
    let mut heads = Vec::new();
    let (before, after) = before_and_after(
        |importer| {
            let genesis = importer.chain().view().head.header.clone();
            let old = grow(importer, 1, &genesis, 6);
            importer.set_head(old[5].header.hash_slow()).unwrap();
            old
        },
        |importer, old| {
            let new = grow(importer, 2, &old[2].header, 5);
            heads.push(old[5].header.hash_slow());
            heads.push(old[2].header.hash_slow());
            heads.extend(new.iter().map(|block| block.header.hash_slow()));
            importer.set_head(new[4].header.hash_slow()).unwrap();
        },
    );
    assert_on_the_way(&crashes(before.path(), after.path(), 3), 2, &heads);
}

#[test]
fn an_unwind_that_ends_anywhere_has_happened_or_not() {
    let mut heads = Vec::new();
    let (before, after) = before_and_after(
        |importer| {
            let genesis = importer.chain().view().head.header.clone();
            let blocks = grow(importer, 1, &genesis, 6);
            importer.set_head(blocks[5].header.hash_slow()).unwrap();
            blocks
        },
        |importer, blocks| {
            heads.push(blocks[5].header.hash_slow());
            heads.push(blocks[1].header.hash_slow());
            importer.unwind_to(2).unwrap();
        },
    );
    assert_on_the_way(&crashes(before.path(), after.path(), 2), 1, &heads);
}

#[test]
fn what_was_only_inserted_is_gone_after_a_crash() {
    let (before, after) = before_and_after(
        |importer| {
            let genesis = importer.chain().view().head.header.clone();
            let blocks = grow(importer, 1, &genesis, 3);
            importer.set_head(blocks[2].header.hash_slow()).unwrap();
            blocks
        },
        |importer, blocks| {
            grow(importer, 2, &blocks[0].header, 4);
        },
    );
    assert_eq!(reopened(before.path(), 2), reopened(after.path(), 2));
}
