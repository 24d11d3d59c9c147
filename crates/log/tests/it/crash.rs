//! Crashes at any moment, under every policy, on a disk that tears and forgets.

use std::path::Path;

use proptest::prelude::*;
use rapid_log::{Durability, Log, LogConfig, OpenError};
use rapid_primitives::SealedMiniBlock;

use crate::{
    chain::{Chain, WINDOW, config, open, recovered},
    disk::{Crash, Disk, Fault, segment_made},
};

const DIR: &str = "/log";

#[derive(Clone, Debug)]
struct Life {
    durability: Durability,
    /// Bytes of each record, and whether its announcement is waited for.
    records: Vec<(usize, bool)>,
    fault: Option<(Fault, u32)>,
    crash: Crash,
    seed: u64,
}

fn life() -> impl Strategy<Value = Life> {
    let durability = prop_oneof![
        Just(Durability::Sync),
        Just(Durability::Group(WINDOW)),
        Just(Durability::Async(WINDOW))
    ];
    let size = prop_oneof![4 => 0usize..400, 2 => 400usize..5_000, 1 => 5_000usize..40_000];
    let fault = prop_oneof![Just(Fault::ShortWrite), Just(Fault::Write), Just(Fault::Sync)];
    let crash = prop_oneof![Just(Crash::Kill), Just(Crash::Power)];
    let records = prop::collection::vec((size, any::<bool>()), 0..30);
    (
        durability,
        records,
        prop::option::of((fault, 0u32..60)),
        crash,
        any::<u64>(),
    )
        .prop_map(|(durability, records, fault, crash, seed)| Life {
            durability,
            records,
            fault,
            crash,
            seed,
        })
}

/// xorshift: what survives a power loss.
fn random(mut seed: u64) -> impl FnMut() -> u64 {
    seed |= 1;
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed >> 20
    }
}

/// How much must be there after the crash.
fn announced(log: &Log, crash: Crash, waited_for: u64) -> u64 {
    match (log.durability(), crash) {
        (Durability::Async(_), Crash::Kill) => log.appended().0,
        (Durability::Async(_), Crash::Power) => log.durable().0,
        _ => log.durable().0.max(waited_for),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Over several lives of a node: everything announced is recovered, in order, and nothing else; the log goes on.
    #[test]
    fn announced_records_survive(lives in prop::collection::vec(life(), 1..4)) {
        let mut disk = Disk::new();
        let mut chain = Chain::new();
        let mut must_have = 0;
        for (round, life) in lives.into_iter().enumerate() {
            let (opened, recovery) = {
                let config = LogConfig { durability: life.durability, ..config() };
                Log::open(Path::new(DIR), config, disk.storage()).unwrap()
            };
            let kept = recovered(&recovery);
            prop_assert!(kept.len() as u64 >= must_have, "{} of {must_have} left", kept.len());
            prop_assert_eq!(&kept[..], &chain.records[..kept.len()]);
            chain.keep(kept.len());

            if let Some((fault, after)) = life.fault {
                disk.fail(fault, after);
            }
            let mut waited_for = kept.len() as u64;
            for (size, wait) in &life.records {
                let record: SealedMiniBlock = chain.grow(*size, round as u64);
                if opened.append(&record).is_err() {
                    break;
                }
                if *wait {
                    if opened.wait_announceable(record.number()).is_err() {
                        break;
                    }
                    if opened.durability().waits_for_sync() {
                        waited_for = record.number().0;
                    }
                }
            }
            // The crash takes its picture while the threads of the log may be at work.
            must_have = announced(&opened, life.crash, waited_for);
            let next = disk.after(life.crash, random(life.seed));
            disk.unplug();
            drop(opened);
            disk = next;
        }
        let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
        let kept = recovered(&recovery);
        prop_assert!(kept.len() as u64 >= must_have);
        prop_assert_eq!(&kept[..], &chain.records[..kept.len()]);
    }

    /// A crash while a torn log is being opened: the next start finds a log it can open, with the same records.
    #[test]
    fn opening_may_crash_too(life in life(), seed: u64, after in 0u32..40) {
        let disk = Disk::new();
        let chain = Chain::of(life.records.iter().map(|(size, _)| *size));
        let (log, _) = open(Path::new(DIR), disk.storage()).unwrap();
        let half = chain.records.len() / 2;
        chain.records[..half].iter().for_each(|record| log.append(record).unwrap());
        log.sync().unwrap();
        chain.records[half..].iter().for_each(|record| log.append(record).unwrap());
        let torn = disk.after(Crash::Power, random(life.seed));
        drop(log);
        torn.fail(life.fault.map_or(Fault::Write, |(fault, _)| fault), after);
        match open(Path::new(DIR), torn.storage()) {
            Ok(_) | Err(OpenError::Io { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
        let torn = torn.after(life.crash, random(seed));
        let (_log, recovery) = open(Path::new(DIR), torn.storage()).unwrap();
        let kept = recovered(&recovery);
        prop_assert!(kept.len() >= half);
        prop_assert_eq!(&kept[..], &chain.records[..kept.len()]);
    }
}

#[test]
fn records_of_a_failed_sync_are_written_again() {
    let disk = Disk::new();
    let (log, _) = open(Path::new(DIR), disk.storage()).unwrap();
    let chain = Chain::of([100; 5]);
    chain
        .records
        .iter()
        .for_each(|record| log.append(record).unwrap());
    disk.fail(Fault::Sync, 0);
    // The system now takes the bytes for clean, although they never reached the disk.
    assert!(log.sync().is_err());
    drop(log);
    let disk = disk.after(Crash::Kill, || 0);
    let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert_eq!(recovered(&recovery), chain.records);
    // Opened, they count as durable; so they must be.
    let disk = disk.after(Crash::Power, || 1);
    let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert_eq!(recovered(&recovery), chain.records);
}

/// Power is lost with record 1 in the first segment and record 2 in the second, none durable; record 2 reached the disk.
fn first_segment_is_lost(disk: &Disk, mut chain: Chain) {
    let (log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert!(recovery.was_cut());
    assert_eq!(recovered(&recovery), []);
    chain.keep(0);
    // The log goes on, also with a chain that differs from the lost one.
    (0..3).for_each(|_| log.append(&chain.grow(2_000, 1)).unwrap());
    log.sync().unwrap();
    let disk = disk.after(Crash::Power, || 0);
    let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert_eq!(recovered(&recovery), chain.records);
}

#[test]
fn a_first_segment_lost_by_a_failed_sync_is_a_torn_tail() {
    let disk = Disk::new();
    let (log, _) = open(Path::new(DIR), disk.storage()).unwrap();
    let chain = Chain::of([4, 4_061]);
    chain
        .records
        .iter()
        .for_each(|record| log.append(record).unwrap());
    // Or the fault may strike the helper.
    segment_made(&disk, Path::new(DIR), 2);
    disk.fail(Fault::Sync, 0);
    assert!(log.sync().is_err());
    // What the failed sync dropped is gone, all else survives.
    first_segment_is_lost(&disk.after(Crash::Power, || 1), chain);
}

#[test]
fn a_first_segment_lost_by_reordered_sectors_is_a_torn_tail() {
    let disk = Disk::new();
    let (log, _) = open(Path::new(DIR), disk.storage()).unwrap();
    let chain = Chain::of([0, 3_683, 0]);
    let (last, first) = chain.records.split_last().unwrap();
    first.iter().for_each(|record| log.append(record).unwrap());
    segment_made(&disk, Path::new(DIR), 2);
    disk.fail(Fault::ShortWrite, 0);
    assert!(log.append(last).is_err());
    // Record 1 lies in the first two sectors; all others are written before the power is gone.
    let mut sectors = 0;
    let power = disk.after(Crash::Power, || {
        sectors += 1;
        u64::from(sectors > 2)
    });
    first_segment_is_lost(&power, chain);
}

#[test]
fn a_first_record_larger_than_the_first_segment_survives() {
    let disk = Disk::new();
    let (log, _) = open(Path::new(DIR), disk.storage()).unwrap();
    let chain = Chain::of([5_000]);
    segment_made(&disk, Path::new(DIR), 1);
    // No third segment is made, whose creation would make the removal of the first one durable too.
    disk.set_free(0);
    log.append(&chain.records[0]).unwrap();
    log.sync().unwrap();
    let disk = disk.after(Crash::Power, || 1);
    // Only the records themselves tell: the mark may be lost.
    disk.tamper(&Path::new(DIR).join("durable"), |bytes| bytes.fill(0));
    let (_log, recovery) = open(Path::new(DIR), disk.storage()).unwrap();
    assert_eq!(recovered(&recovery), chain.records);
}
