//! Going on after a run that ended early.

use rapid_stages::{Checkpoints, StageId};

use crate::bed::{assert_at, blocks, file, open, run};

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(25);
    let whole = file(&blocks);
    let mut importer = open(dir.path());
    run(&mut importer, &whole[..whole.len() / 2]).1.unwrap_err();
    let reached = importer.chain().view().head.number();
    assert!(reached > 0 && reached < 25);
    importer.finish().unwrap();

    let mut importer = open(dir.path());
    let (pipeline, ran) = run(&mut importer, &whole);
    ran.unwrap();
    let counts = pipeline.report().counts;
    assert_eq!((counts.skipped, counts.blocks), (reached, 25 - reached));
    assert_at(&importer, &blocks[24]);
    importer.finish().unwrap();
}

#[test]
fn a_checkpoint_above_what_is_there_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = blocks(5);
    let mut importer = open(dir.path());
    let history = importer.chain().history().clone();
    history
        .set_stage_checkpoint(StageId::Finish.name(), 1_000)
        .unwrap();
    assert_eq!(Checkpoints::load(&history).unwrap().get(StageId::Finish), 0);
    run(&mut importer, &file(&blocks)).1.unwrap();
    assert_at(&importer, &blocks[4]);
    importer.finish().unwrap();
}
