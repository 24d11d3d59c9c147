//! Good files.

use std::{io::Write, num::NonZeroUsize, time::Duration};

use flate2::{Compression, write::GzEncoder};
use rapid_stages::{BlockFiles, ExecutionThresholds, Pipeline, PipelineConfig, Thresholds, unwind};

use crate::bed::{assert_at, blocks, file, open, run, run_with};

#[test]
fn a_file_becomes_the_chain_and_again_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(40);
    let mut importer = open(dir.path());
    let (pipeline, ran) = run(&mut importer, &file(&blocks));
    ran.unwrap();
    assert_at(&importer, &blocks[39]);
    let report = pipeline.report();
    assert_eq!((report.counts.blocks, report.counts.transactions), (40, 20));
    assert_eq!(report.counts.gas, 20 * 21_000);
    assert!(
        report
            .steps
            .iter()
            .any(|step| step.name == "execution" && !step.effort.wall.is_zero())
    );

    let (pipeline, ran) = run(&mut importer, &file(&blocks));
    ran.unwrap();
    let counts = pipeline.report().counts;
    assert_eq!((counts.blocks, counts.skipped), (0, 40));
    assert_at(&importer, &blocks[39]);
    importer.finish().unwrap();
}

#[test]
fn an_empty_file_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(dir.path());
    run(&mut importer, &[]).1.unwrap();
    assert_eq!(importer.chain().view().head.number(), 0);
    importer.finish().unwrap();
}

#[test]
fn blocks_that_come_twice_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(6);
    let mut importer = open(dir.path());
    let doubled = file(blocks.iter().flat_map(|block| [block, block]));
    let (pipeline, ran) = run(&mut importer, &doubled);
    ran.unwrap();
    let counts = pipeline.report().counts;
    assert_eq!((counts.blocks, counts.skipped), (6, 6));
    assert_at(&importer, &blocks[5]);
    importer.finish().unwrap();
}

#[test]
fn several_files_plain_and_compressed_are_one_source() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(9);
    let path = |name: &str| dir.path().join(name);
    let zipped = |blocks| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&file(blocks)).unwrap();
        encoder.finish().unwrap()
    };
    std::fs::write(path("1.rlp"), file(&blocks[..3])).unwrap();
    // Compressed by its first bytes, whatever it is called; two members are one file.
    std::fs::write(
        path("2.rlp"),
        [zipped(&blocks[3..5]), zipped(&blocks[5..6])].concat(),
    )
    .unwrap();
    std::fs::write(path("3.gz"), file(&blocks[6..])).unwrap();

    let mut importer = open(&path("store"));
    let source = BlockFiles::open(["1.rlp", "2.rlp", "3.gz"].map(path)).unwrap();
    let mut pipeline = Pipeline::default();
    pipeline.run(&mut importer, source, None).unwrap();
    assert_at(&importer, &blocks[8]);
    let counts = pipeline.report().counts;
    assert_eq!(counts.percent(), Some(100.0), "{counts:?}");
    importer.finish().unwrap();

    assert!(BlockFiles::open(["1.rlp", "absent.rlp"].map(path)).is_err());
}

#[test]
fn a_target_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(8);
    let mut importer = open(dir.path());
    let bytes = file(&blocks);
    let mut pipeline = Pipeline::default();
    let source = rapid_stages::BlockReader::new("file", bytes.as_slice());
    pipeline.run(&mut importer, source, Some(5)).unwrap();
    assert_at(&importer, &blocks[4]);
    importer.finish().unwrap();
}

#[test]
fn every_threshold_leads_to_the_same_chain() {
    let blocks = blocks(20);
    let unbounded = ExecutionThresholds {
        max_blocks: None,
        max_changes: None,
        max_cumulative_gas: None,
        max_duration: None,
    };
    for execution in [
        ExecutionThresholds {
            max_blocks: Some(3),
            ..unbounded
        },
        ExecutionThresholds {
            max_changes: Some(1),
            ..unbounded
        },
        ExecutionThresholds {
            max_cumulative_gas: Some(21_000),
            ..unbounded
        },
        ExecutionThresholds {
            max_duration: Some(Duration::ZERO),
            ..unbounded
        },
        unbounded,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut importer = open(dir.path());
        let config = PipelineConfig {
            thresholds: Thresholds {
                execution,
                sender_recovery: 1,
            },
            recovery_threads: NonZeroUsize::MIN,
        };
        run_with(&mut importer, &file(&blocks), config).1.unwrap();
        assert_at(&importer, &blocks[19]);
        importer.finish().unwrap();
    }
}

#[test]
fn what_was_unwound_is_imported_again_to_the_same_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(30);
    let mut importer = open(dir.path());
    run(&mut importer, &file(&blocks)).1.unwrap();
    assert_eq!(unwind(&mut importer, 7).unwrap(), 23);
    assert_at(&importer, &blocks[6]);
    assert_eq!(unwind(&mut importer, 7).unwrap(), 0);
    importer.finish().unwrap();

    let mut importer = open(dir.path());
    assert_at(&importer, &blocks[6]);
    let (pipeline, ran) = run(&mut importer, &file(&blocks));
    ran.unwrap();
    let counts = pipeline.report().counts;
    assert_eq!((counts.blocks, counts.skipped), (23, 7));
    assert_at(&importer, &blocks[29]);
    assert!(unwind(&mut importer, 31).is_err(), "there is no such block");
    importer.finish().unwrap();
}
