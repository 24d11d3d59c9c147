//! Files that are not what they should be: what is valid before the damage stays, and nothing after it comes in.

use alloy_primitives::B256;
use rapid_chain::ImportError;
use rapid_primitives::Block;
use rapid_stages::{BLOCK_BYTES_MAX, StageError};

use crate::bed::{assert_at, block_on, blocks, file, forged, open, run};

/// Imports `bytes`, which must fail because of them after `valid` blocks.
fn refused(bytes: &[u8], valid: &[Block]) -> StageError {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(dir.path());
    let error = run(&mut importer, bytes).1.unwrap_err();
    assert!(error.is_invalid_block(), "{error}");
    match valid.last() {
        Some(last) => assert_at(&importer, last),
        None => assert_eq!(importer.chain().view().head.number(), 0),
    }
    importer.finish().unwrap();
    // What stayed is found by the next process.
    let importer = open(dir.path());
    if let Some(last) = valid.last() {
        assert_at(&importer, last);
    }
    importer.finish().unwrap();
    error
}

#[test]
fn a_state_root_that_is_wrong() {
    let mut blocks = blocks(20);
    blocks[9].header.state_root = B256::repeat_byte(1);
    let error = refused(&file(&blocks), &blocks[..9]);
    assert_eq!(error.bad_block(), Some(10));
    assert!(
        error.to_string().starts_with("file, entry 9: block 10 "),
        "{error}"
    );
    assert!(
        matches!(error.import_error(), Some(ImportError::PostExecution { .. })),
        "{error}"
    );
}

#[test]
fn a_body_of_another_block() {
    let mut blocks = blocks(6);
    blocks[2].body = blocks[3].body.clone();
    let error = refused(&file(&blocks), &blocks[..2]);
    assert!(
        matches!(error.import_error(), Some(ImportError::Body { .. })) && error.bad_block() == Some(3),
        "{error}"
    );
}

#[test]
fn a_signature_of_nobody() {
    let mut blocks = blocks(6);
    blocks[4] = block_on(&blocks[3].header, vec![forged()]);
    let error = refused(&file(&blocks), &blocks[..4]);
    assert!(
        matches!(error.import_error(), Some(ImportError::Signature { .. })) && error.bad_block() == Some(5),
        "{error}"
    );
}

#[test]
fn a_file_that_ends_inside_a_block() {
    let blocks = blocks(5);
    let whole = file(&blocks);
    let error = refused(&whole[..whole.len() - 1], &blocks[..4]);
    assert!(error.to_string().contains("ends inside it"), "{error}");
}

#[test]
fn a_length_that_is_a_lie() {
    let blocks = blocks(3);
    let mut bytes = file(&blocks);
    bytes.push(0xfb);
    bytes.extend_from_slice(&u32::try_from(BLOCK_BYTES_MAX + 1).unwrap().to_be_bytes());
    let error = refused(&bytes, &blocks);
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn compressed_bytes_that_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.gz");
    std::fs::write(&path, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff]).unwrap();
    let mut importer = open(&dir.path().join("store"));
    let source = rapid_stages::BlockFiles::open([path]).unwrap();
    let error = rapid_stages::Pipeline::default()
        .run(&mut importer, source, None)
        .unwrap_err();
    assert!(error.is_invalid_block(), "{error}");
    importer.finish().unwrap();
}

#[test]
fn blocks_in_another_order() {
    let mut blocks = blocks(10);
    blocks.swap(5, 6);
    let error = refused(&file(&blocks), &blocks[..5]);
    assert!(
        matches!(error.import_error(), Some(ImportError::UnknownParent { .. }))
            && error.bad_block() == Some(7),
        "{error}"
    );
}

#[test]
fn blocks_whose_parents_are_missing() {
    let blocks = blocks(10);
    let error = refused(&file(&blocks[3..]), &[]);
    assert!(
        matches!(error.import_error(), Some(ImportError::UnknownParent { .. }))
            && error.bad_block() == Some(4),
        "{error}"
    );
}

#[test]
fn another_block_at_the_same_height() {
    let blocks = blocks(4);
    let sibling = block_on(&blocks[0].header, Vec::new());
    let mut other = blocks.clone();
    other.push(sibling);
    let error = refused(&file(&other), &blocks);
    assert!(
        matches!(error, StageError::OtherBlock { number: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_file_of_another_chain() {
    let blocks = blocks(2);
    let mut stranger = block_on(&blocks[0].header, Vec::new());
    stranger.header.number = 1;
    stranger.header.parent_hash = B256::repeat_byte(9);
    refused(&file([&stranger]), &[]);
}
