//! Every truncation point and flipped bits, before and after the durable mark.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rapid_log::{Damage, OpenError};
use rapid_primitives::MiniBlockNumber;

use crate::{
    chain::{Chain, open, recovered},
    disk::{Crash, Disk},
};

const DIR: &str = "/log";

fn mark() -> PathBuf {
    Path::new(DIR).join("durable")
}

/// Segments with records, oldest first.
fn segments(disk: &Disk) -> Vec<PathBuf> {
    let used = |path: &PathBuf| disk.bytes(path)[32..].iter().any(|byte| *byte != 0);
    disk.paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "log") && used(path))
        .collect()
}

/// A log with `synced` durable records and then `unsynced` ones.
fn written(synced: usize, unsynced: usize) -> (Disk, Chain) {
    let disk = Disk::new();
    let (log, _) = open(Path::new(DIR), disk.storage()).unwrap();
    let chain = Chain::of((0..synced + unsynced).map(|index| 37 * (index % 11)));
    chain.records[..synced]
        .iter()
        .for_each(|record| log.append(record).unwrap());
    log.sync().unwrap();
    chain.records[synced..]
        .iter()
        .for_each(|record| log.append(record).unwrap());
    drop(log);
    (disk, chain)
}

fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

/// Opens, expects the first `kept` records, goes on with two more, and finds them again.
fn continues(disk: &Disk, mut chain: Chain, kept: usize) {
    let (log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert_eq!(recovered(&recovery), chain.records[..kept]);
    chain.keep(kept);
    for size in [3, 90] {
        log.append(&chain.grow(size, 1)).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert!(!recovery.was_cut());
    assert_eq!(recovered(&recovery), chain.records);
}

fn refuses(disk: &Disk) -> OpenError {
    let before = disk.image();
    let error = open(Path::new(DIR), disk.storage()).unwrap_err();
    assert!(before == disk.image(), "a refused log is left as it is");
    error
}

#[test]
fn every_truncation_of_the_unsynced_tail_is_cut() {
    let (disk, chain) = written(3, 3);
    let path = segments(&disk).pop().unwrap();
    let bytes = disk.bytes(&path);
    let mut kept_before = chain.records.len();
    // From the end towards the front: each byte lost may only lose records from the end.
    for end in (32..used(&bytes)).rev() {
        let copy = disk.after(Crash::Kill, || 0);
        copy.tamper(&path, |bytes| bytes[end..].fill(0));
        match open(Path::new(DIR), copy.storage()) {
            Ok((log, recovery)) => {
                let kept = recovered(&recovery).len();
                assert!(kept >= 3 && kept <= kept_before, "{kept} at {end}");
                assert!(
                    used(&copy.bytes(&path)) <= end,
                    "nothing is left behind the last record"
                );
                kept_before = kept;
                drop(log);
                continues(
                    &copy,
                    Chain {
                        records: chain.records.clone(),
                    },
                    kept,
                );
            }
            Err(OpenError::Corrupt { durable, .. }) => {
                assert_eq!((durable, kept_before), (MiniBlockNumber(3), 3), "at {end}");
            }
            Err(other) => panic!("{other} at {end}"),
        }
    }
}

#[test]
fn a_file_cut_short_is_a_torn_tail() {
    let (disk, chain) = written(0, 4);
    let path = segments(&disk).pop().unwrap();
    let bytes = disk.bytes(&path);
    for end in [32, 33, 100, used(&bytes) - 1] {
        let copy = disk.after(Crash::Kill, || 0);
        copy.tamper(&path, |bytes| bytes.truncate(end));
        let (_log, recovery) = open(Path::new(DIR), copy.storage()).unwrap();
        let kept = recovered(&recovery);
        assert_eq!(kept, chain.records[..kept.len()]);
        assert!(kept.len() < 4);
    }
}

#[test]
fn a_damaged_durable_record_is_refused() {
    let (disk, _) = written(4, 0);
    let path = segments(&disk).pop().unwrap();
    // The last byte of the last durable record: only the mark file knows that it was durable.
    let last = used(&disk.bytes(&path)) - 1;
    disk.tamper(&path, |bytes| bytes[last] ^= 1);
    let error = refuses(&disk);
    assert!(
        matches!(
            error,
            OpenError::Corrupt {
                missing: MiniBlockNumber(4),
                durable: MiniBlockNumber(4),
                reason: Damage::Record,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn later_frames_tell_what_was_durable_without_the_mark_file() {
    let (disk, _) = written(4, 1);
    disk.tamper(&mark(), |bytes| bytes.fill(0));
    let path = segments(&disk).pop().unwrap();
    let copy = disk.after(Crash::Kill, || 0);
    // Damage in the third record; the fifth says that the fourth was durable.
    copy.tamper(&path, |bytes| bytes[32 + 600] ^= 4);
    let error = refuses(&copy);
    assert!(
        matches!(
            error,
            OpenError::Corrupt {
                durable: MiniBlockNumber(4),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn vanished_durable_records_are_refused() {
    let (disk, _) = written(4, 0);
    for path in segments(&disk) {
        disk.storage().remove(&path).unwrap();
    }
    let error = refuses(&disk);
    let reason = |error: &OpenError| {
        matches!(
            error,
            OpenError::Corrupt {
                reason: Damage::Missing,
                ..
            }
        )
    };
    assert!(reason(&error), "{error}");
}

#[test]
fn a_missing_segment_in_the_middle_is_refused() {
    let (disk, _) = written(300, 0);
    let paths = segments(&disk);
    assert!(paths.len() > 3);
    disk.storage().remove(&paths[1]).unwrap();
    let error = refuses(&disk);
    assert!(
        matches!(
            error,
            OpenError::Corrupt {
                reason: Damage::Number,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_emptied_segment_is_a_torn_tail() {
    let (disk, chain) = written(0, 300);
    let paths = segments(&disk);
    assert!(paths.len() > 3);
    let mut kept_before = 0;
    for (index, path) in paths.iter().enumerate() {
        let copy = disk.after(Crash::Kill, || 0);
        copy.tamper(path, |bytes| bytes[32..].fill(0));
        let (log, recovery) = open(Path::new(DIR), copy.storage()).unwrap();
        let kept = recovered(&recovery).len();
        assert_eq!(kept > kept_before, index > 0, "{kept} without {}", path.display());
        kept_before = kept;
        drop(log);
        let records = chain.records.clone();
        continues(&copy, Chain { records }, kept);
    }
}

#[test]
fn an_emptied_segment_with_durable_records_is_refused() {
    // The second segment goes on from the first. All but the last three records are durable: the mark file says so, and
    // so do the last three.
    let (disk, _) = written(12, 3);
    let path = &segments(&disk)[0];
    disk.tamper(path, |bytes| bytes[32..].fill(0));
    let unmarked = disk.after(Crash::Kill, || 0);
    unmarked.tamper(&mark(), |bytes| bytes.fill(0));
    for disk in [disk, unmarked] {
        let error = refuses(&disk);
        assert!(
            matches!(
                &error,
                OpenError::Corrupt {
                    missing: MiniBlockNumber(1),
                    durable: MiniBlockNumber(12),
                    segment,
                    offset: 32,
                    reason: Damage::Missing,
                } if segment == path
            ),
            "{error}"
        );
    }
}

#[test]
fn another_format_is_refused() {
    let (disk, _) = written(2, 0);
    let path = segments(&disk).pop().unwrap();
    disk.tamper(&path, |bytes| {
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let crc = crc32fast::hash(&bytes[..32]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    });
    let error = refuses(&disk);
    assert!(
        matches!(
            error,
            OpenError::Format {
                found: 2,
                expected: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn old_bytes_behind_a_cut_never_come_back() {
    // The second of three unsynced records is torn, the third is intact. After the cut, a second record of the same
    // length is written: the old third must not be taken for its successor.
    let (disk, chain) = written(0, 3);
    let path = segments(&disk).pop().unwrap();
    let torn = disk
        .bytes(&path)
        .windows(8)
        .position(|bytes| bytes == 2u64.to_le_bytes())
        .unwrap();
    disk.tamper(&path, |bytes| bytes[torn] ^= 1);
    let (log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert!(recovery.was_cut());
    assert_eq!(recovered(&recovery), chain.records[..1]);
    log.append(&chain.records[1]).unwrap();
    drop(log);
    let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert_eq!(recovered(&recovery), chain.records[..2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A flipped bit anywhere is either refused, or only unsynced records are lost; never is something else recovered.
    #[test]
    fn flipped_bits(synced in 1usize..40, unsynced in 0usize..40, file: prop::sample::Index, bit: prop::sample::Index) {
        let (disk, chain) = written(synced, unsynced);
        let paths = segments(&disk);
        let path = &paths[file.index(paths.len())];
        let bits = disk.bytes(path).len() * 8;
        let bit = bit.index(bits);
        disk.tamper(path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let before = disk.image();
        match open(Path::new(DIR), disk.storage()) {
            Ok((log, recovery)) => {
                let kept = recovered(&recovery);
                prop_assert!(kept.len() >= synced);
                prop_assert_eq!(&kept[..], &chain.records[..kept.len()]);
                drop(log);
                continues(&disk, chain, kept.len());
            }
            Err(OpenError::Corrupt { missing, durable, .. }) => {
                prop_assert!(missing <= durable);
                prop_assert_eq!(durable.0 as usize, synced);
                prop_assert!(before == disk.image());
            }
            Err(OpenError::Format { .. }) => prop_assert!(false, "the format is covered by a checksum"),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
