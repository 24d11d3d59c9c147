//! Writing, reopening, rolling over, trimming.

use std::{path::Path, time::Duration};

use alloy_primitives::B256;
use rapid_log::{DiskState, Durability, Log, LogConfig, LogError, RecoveryError};
use rapid_primitives::MiniBlockNumber;

use crate::{
    chain::{Chain, WINDOW, config, files, open, recovered},
    disk::{Disk, Fault},
};

#[test]
fn a_fresh_log_is_empty_and_small() {
    let dir = tempfile::tempdir().unwrap();
    let (log, recovery) = Log::open(dir.path(), LogConfig::default(), files()).unwrap();
    assert_eq!(
        (recovery.oldest(), recovery.newest(), recovery.was_cut()),
        (None, None, false)
    );
    assert_eq!(
        (log.durable(), log.appended()),
        (MiniBlockNumber(0), MiniBlockNumber(0))
    );
    drop(log);
    let bytes: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 16 << 20, "{bytes}");
}

#[test]
fn what_is_written_is_recovered_from_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    for round in 0..4 {
        let (log, recovery) = open(dir.path(), files()).unwrap();
        assert_eq!(recovered(&recovery), chain.records, "round {round}");
        assert_eq!(
            recovery.newest_hash(),
            chain.records.last().map(|record| record.hash())
        );
        for size in [0, 1, 700, 3000, 15_000, 40_000, 10] {
            log.append(&chain.grow(size, 0)).unwrap();
        }
        if round % 2 == 0 {
            assert_eq!(log.sync().unwrap(), chain.records.last().unwrap().number());
        }
    }
}

#[test]
fn replay_starts_after_the_checkpoint() {
    let disk = Disk::new();
    let dir = Path::new("/log");
    let (log, _) = open(dir, disk.storage()).unwrap();
    let chain = Chain::of([500; 40]);
    chain
        .records
        .iter()
        .for_each(|record| log.append(record).unwrap());
    drop(log);
    let (_log, recovery) = open(dir, disk.storage()).unwrap();
    for from in [0usize, 1, 17, 39, 40] {
        let hash = from
            .checked_sub(1)
            .map_or(B256::ZERO, |index| chain.records[index].hash());
        let tail: Vec<_> = recovery
            .after(MiniBlockNumber(from as u64), hash)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(tail, chain.records[from..]);
    }
    let other = recovery
        .after(MiniBlockNumber(7), B256::repeat_byte(1))
        .unwrap()
        .next()
        .unwrap();
    assert!(
        matches!(
            other,
            Err(RecoveryError::OtherChain {
                number: MiniBlockNumber(7),
                ..
            })
        ),
        "{other:?}"
    );
    let other = recovery.after(MiniBlockNumber(40), B256::repeat_byte(1));
    assert!(
        matches!(other, Err(RecoveryError::OtherChain { .. })),
        "{other:?}"
    );
    let behind = recovery.after(MiniBlockNumber(41), B256::ZERO);
    assert!(
        matches!(
            behind,
            Err(RecoveryError::Behind {
                newest: MiniBlockNumber(40),
                ..
            })
        ),
        "{behind:?}"
    );
}

#[test]
fn numbers_and_parents_must_follow() {
    let disk = Disk::new();
    let (log, _) = open(Path::new("/log"), disk.storage()).unwrap();
    let chain = Chain::of([10; 3]);
    log.append(&chain.records[0]).unwrap();
    let skipped = log.append(&chain.records[2]);
    assert!(
        matches!(
            skipped,
            Err(LogError::OutOfOrder {
                expected: MiniBlockNumber(2),
                ..
            })
        ),
        "{skipped:?}"
    );
    let repeated = log.append(&chain.records[0]);
    assert!(
        matches!(repeated, Err(LogError::OutOfOrder { .. })),
        "{repeated:?}"
    );
    let mut other = Chain::new();
    other.grow(10, 1);
    let foreign = log.append(&other.grow(10, 1));
    assert!(
        matches!(foreign, Err(LogError::WrongParent { .. })),
        "{foreign:?}"
    );
    chain.records[1..]
        .iter()
        .for_each(|record| log.append(record).unwrap());
    assert_eq!(log.appended(), MiniBlockNumber(3));
}

#[test]
fn a_log_may_begin_anywhere() {
    let disk = Disk::new();
    let dir = Path::new("/log");
    let (log, _) = open(dir, disk.storage()).unwrap();
    let chain = Chain::of([10; 9]);
    chain.records[4..]
        .iter()
        .for_each(|record| log.append(record).unwrap());
    drop(log);
    let (_log, recovery) = open(dir, disk.storage()).unwrap();
    let tail: Vec<_> = recovery
        .after(MiniBlockNumber(4), chain.records[3].hash())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tail, chain.records[4..]);
}

#[test]
fn trimming_removes_whole_old_segments_only() {
    let disk = Disk::new();
    let dir = Path::new("/log");
    let (log, _) = open(dir, disk.storage()).unwrap();
    let mut chain = Chain::of([1000; 100]);
    chain
        .records
        .iter()
        .for_each(|record| log.append(record).unwrap());
    assert_eq!(
        log.trim(MiniBlockNumber(50)).unwrap(),
        0,
        "nothing is durable yet"
    );
    log.sync().unwrap();
    assert!(log.trim(MiniBlockNumber(50)).unwrap() > 0);
    assert_eq!(log.trim(MiniBlockNumber(50)).unwrap(), 0);
    drop(log);
    let (log, recovery) = open(dir, disk.storage()).unwrap();
    let oldest = recovery.oldest().unwrap().0;
    assert!((2..=50).contains(&oldest), "{oldest}");
    let from = oldest as usize - 1;
    let tail: Vec<_> = recovery
        .after(MiniBlockNumber(oldest - 1), chain.records[from - 1].hash())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tail, chain.records[from..]);
    let trimmed = recovery.after(MiniBlockNumber(oldest - 2), B256::ZERO);
    assert!(
        matches!(trimmed, Err(RecoveryError::Trimmed { .. })),
        "{trimmed:?}"
    );

    // The newest record stays whatever is asked.
    log.trim(MiniBlockNumber(u64::MAX)).unwrap();
    log.append(&chain.grow(10, 0)).unwrap();
    drop(log);
    let (_, recovery) = open(dir, disk.storage()).unwrap();
    assert_eq!(recovery.newest(), Some(MiniBlockNumber(101)));
    assert!(recovery.oldest().unwrap() <= MiniBlockNumber(100));
}

#[test]
fn grouped_policies_sync_by_themselves() {
    for durability in [Durability::Group(WINDOW), Durability::Async(WINDOW)] {
        let disk = Disk::new();
        let config = LogConfig {
            durability,
            ..config()
        };
        let (log, _) = Log::open(Path::new("/log"), config, disk.storage()).unwrap();
        let mut chain = Chain::new();
        for _ in 0..50 {
            let record = chain.grow(300, 0);
            log.append(&record).unwrap();
            log.wait_announceable(record.number()).unwrap();
            assert!(log.announceable() >= record.number());
        }
        while log.durable() < MiniBlockNumber(50) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_failed_operation_poisons_the_log() {
    for fault in [Fault::Write, Fault::ShortWrite, Fault::Sync] {
        for durability in [
            Durability::Sync,
            Durability::Group(WINDOW),
            Durability::Async(WINDOW),
        ] {
            let disk = Disk::new();
            let config = LogConfig {
                durability,
                ..config()
            };
            let (log, _) = Log::open(Path::new("/log"), config, disk.storage()).unwrap();
            let mut chain = Chain::new();
            log.append(&chain.grow(10, 0)).unwrap();
            log.sync().unwrap();
            // Let the helper finish the next segment, or the fault may strike there.
            while disk
                .paths()
                .iter()
                .filter(|path| path.extension().is_some_and(|it| it == "log"))
                .count()
                < 2
            {
                std::thread::yield_now();
            }
            disk.fail(fault, 0);
            let record = chain.grow(10, 0);
            let outcome = log.append(&record).and_then(|()| log.sync().map(drop));
            assert!(
                matches!(outcome, Err(LogError::Fatal { .. })),
                "{fault:?} {durability}: {outcome:?}"
            );
            let writes = disk.writes();
            assert!(matches!(log.append(&record), Err(LogError::Fatal { .. })));
            assert!(
                matches!(log.sync(), Err(LogError::Fatal { .. })),
                "a sync is never repeated"
            );
            assert!(matches!(
                log.wait_announceable(record.number()),
                Err(LogError::Fatal { .. })
            ));
            assert_eq!(log.durable(), MiniBlockNumber(1));
            assert_eq!(disk.writes(), writes, "nothing is written any more");
        }
    }
}

#[test]
fn a_full_disk_is_told_before_and_survived_after() {
    let disk = Disk::new();
    disk.set_free(100 << 20);
    let (log, _) = open(Path::new("/log"), disk.storage()).unwrap();
    assert_eq!(log.disk_state(), DiskState::Ok);
    assert_eq!(log.free_bytes(), 100 << 20);
    // Free space is below the limit, and then below a segment.
    disk.set_free(0);
    let mut chain = Chain::new();
    let refused = loop {
        let record = chain.grow(1000, 0);
        if let Err(error) = log.append(&record) {
            break error;
        }
    };
    assert!(matches!(refused, LogError::DiskFull { .. }), "{refused:?}");
    assert_eq!(log.disk_state(), DiskState::Low);
    assert!(!log.has_room());
    // There is room again: the same record is taken.
    disk.set_free(100 << 20);
    let record = chain.records.last().unwrap().clone();
    while let Err(error) = log.append(&record) {
        assert!(matches!(error, LogError::DiskFull { .. }), "{error:?}");
    }
    assert_eq!(log.sync().unwrap(), record.number());
    assert_eq!(log.appended().0 as usize, chain.records.len());
}

#[test]
fn async_stalls_rather_than_risk_more_than_its_window() {
    let disk = Disk::new();
    let config = LogConfig {
        durability: Durability::Async(Duration::from_nanos(2)),
        ..config()
    };
    let (log, _) = Log::open(Path::new("/log"), config, disk.storage()).unwrap();
    let mut chain = Chain::new();
    for _ in 0..100 {
        log.append(&chain.grow(10, 0)).unwrap();
        // With a window of nothing at most this record and those of the running sync are not durable.
        assert!(log.appended().0 - log.durable().0 <= 3);
    }
}
