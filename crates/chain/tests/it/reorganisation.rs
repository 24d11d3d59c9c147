//! Going over to another branch, and back.

use alloy_primitives::{Address, B256};
use rapid_chain::{ChainError, ChainEvent, ImportError};
use rapid_primitives::Header;

use crate::{
    branches::{DIARY, Picture, block_of, call, grow, picture, spec},
    by_hand::{block, config, insert, open, open_with},
    lives::NO_WINDOW,
};

/// As deep as the chain goes back in these tests.
const DEPTH: u64 = 64;

#[test]
fn the_chain_goes_over_to_another_branch_and_back_at_every_depth() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let trunk = grow(&mut importer, 1, &genesis, DEPTH + 1);
    let tip = trunk.last().unwrap().header.hash_slow();
    importer.set_head(tip).unwrap();
    let before = picture(&importer, 2);
    for depth in 1..=DEPTH {
        let fork = &trunk[(DEPTH - depth) as usize].header;
        let branch = grow(&mut importer, 2, fork, depth);
        assert_eq!(importer.chain().view().head.hash, tip, "inserting moves no head");
        let other = branch.last().unwrap().header.hash_slow();
        let change = importer.set_head(other).unwrap();
        assert_eq!(
            (change.removed.len(), change.added.len()),
            (depth as usize, depth as usize)
        );
        assert_eq!(importer.chain().view().head.hash, other);
        if depth.is_power_of_two() {
            picture(&importer, 2);
        }
        importer.set_head(tip).unwrap();
        if depth.is_power_of_two() || depth == DEPTH - 1 {
            assert_eq!(picture(&importer, 2), before);
        }
    }
    importer.finish().unwrap();
    let reopened = open(spec(), dir.path());
    assert_eq!(picture(&reopened, 2), before);
}

#[test]
fn a_branch_of_another_length_and_a_branch_of_a_branch() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let long = grow(&mut importer, 1, &genesis, 5);
    importer.set_head(long[4].header.hash_slow()).unwrap();
    let short = grow(&mut importer, 2, &long[0].header, 2);
    let twig = grow(&mut importer, 3, &short[0].header, 3);
    for head in [&short[1], &twig[2], &long[4], &twig[0], &short[1]] {
        let hash = head.header.hash_slow();
        importer.set_head(hash).unwrap();
        assert_eq!(picture(&importer, 3).head, hash);
    }
    // Back on the branch that is canonical already.
    importer.set_head(short[0].header.hash_slow()).unwrap();
    assert_eq!(importer.chain().view().head.number(), 2);
    importer.finish().unwrap();
    let mut reopened = open(spec(), dir.path());
    assert_eq!(picture(&reopened, 3).head, short[0].header.hash_slow());
    // What was not canonical is forgotten, and can be inserted again.
    let error = reopened.set_head(twig[2].header.hash_slow());
    assert!(
        matches!(error, Err(ImportError::Chain(ChainError::UnknownHash(_)))),
        "{error:?}"
    );
    for block in twig {
        reopened.import(block).unwrap();
    }
    picture(&reopened, 3);
}

#[test]
fn blocks_are_taken_back_and_imported_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let blocks = grow(&mut importer, 1, &genesis, 40);
    importer.set_head(blocks[39].header.hash_slow()).unwrap();
    let before = picture(&importer, 1);
    for number in [39, 20, 0] {
        let change = importer.unwind_to(number).unwrap();
        assert_eq!(change.added, []);
        let shorter: Picture = picture(&importer, 1);
        assert_eq!(importer.chain().view().head.number(), number);
        importer.finish().unwrap();
        importer = open(spec(), dir.path());
        assert_eq!(picture(&importer, 1), shorter);
        for block in &blocks[number as usize..] {
            importer.import(block.clone()).unwrap();
        }
        assert_eq!(picture(&importer, 1), before);
    }
    assert!(importer.unwind_to(41).is_err());
}

#[test]
fn a_block_becomes_canonical_after_the_state_below_its_parent_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.state = NO_WINDOW;
    let mut importer = open_with(spec(), &config);
    let genesis = importer.chain().view().head.header.clone();
    let blocks = grow(&mut importer, 1, &genesis, 8);
    for block in &blocks {
        importer.set_head(block.header.hash_slow()).unwrap();
        importer.await_history().unwrap();
    }
    picture(&importer, 1);
}

#[test]
fn what_is_beside_the_chain_holds_no_version_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.state = NO_WINDOW;
    let mut importer = open_with(spec(), &config);
    let genesis = importer.chain().view().head.header.clone();
    let trunk = grow(&mut importer, 1, &genesis, 4);
    importer.set_head(trunk[3].header.hash_slow()).unwrap();
    let branch = grow(&mut importer, 2, &trunk[1].header, 2);
    let held = importer.chain().version_of(4).unwrap();
    for block in grow(&mut importer, 1, &trunk[3].header, 4) {
        importer.set_head(block.header.hash_slow()).unwrap();
        importer.await_history().unwrap();
    }
    assert!(importer.chain().state().oldest_sequence() > held);
    // It can be built on nevertheless.
    let branch = grow(&mut importer, 2, &branch[1].header, 6);
    importer.set_head(branch[5].header.hash_slow()).unwrap();
    picture(&importer, 2);
}

/// The log leads over blocks that history has no more, and that are too old to be in memory when it is replayed.
#[test]
fn a_chain_opens_that_went_back_on_a_branch_before_it_left_it() {
    for checkpoint_log_bytes in [u64::MAX, 1] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.checkpoint_log_bytes = checkpoint_log_bytes;
        let mut importer = open_with(spec(), &config);
        let genesis = importer.chain().view().head.header.clone();
        let trunk = grow(&mut importer, 1, &genesis, 2);
        let branch = grow(&mut importer, 2, &genesis, 30);
        for block in [&branch[28], &branch[29]] {
            importer.set_head(block.header.hash_slow()).unwrap();
            importer.await_history().unwrap();
        }
        importer.unwind_to(5).unwrap();
        importer.set_head(trunk[1].header.hash_slow()).unwrap();
        let before = picture(&importer, 2);
        importer.finish().unwrap();
        let reopened = open_with(spec(), &config);
        assert_eq!(picture(&reopened, 2), before);
        let hash = |number| rapid_evm::BlockHashes::block_hash(reopened.chain(), number);
        assert_eq!(hash(1), Some(trunk[0].header.hash_slow()));
    }
}

#[test]
fn subscribers_hear_what_was_taken_back_before_what_came() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let one = grow(&mut importer, 1, &genesis, 2);
    importer.set_head(one[1].header.hash_slow()).unwrap();
    let two = grow(&mut importer, 2, &genesis, 2);
    let mut events = importer.chain().subscribe();
    importer.set_head(two[1].header.hash_slow()).unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| events.try_recv().ok())
        .filter_map(|event| match event {
            ChainEvent::TakenBack { removed, head } => {
                assert_eq!(head.number(), 0);
                Some(removed.iter().map(|block| block.hash).collect::<Vec<_>>())
            }
            ChainEvent::Block(block) => Some(vec![block.hash]),
            ChainEvent::MiniBlock(_) => None,
        })
        .collect();
    let hash = |block: &rapid_primitives::Block| block.header.hash_slow();
    assert_eq!(
        heard,
        [
            vec![hash(&one[0]), hash(&one[1])],
            vec![hash(&two[0])],
            vec![hash(&two[1])]
        ]
    );
}

#[test]
fn descendants_of_an_invalid_block_are_refused_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let valid = insert(&mut importer, block_of(1, &genesis, DIARY));
    let parent = valid.header.hash_slow();
    let mut invalid = block_of(1, &valid.header, DIARY);
    invalid.header.state_root = B256::repeat_byte(9);
    let error = importer.insert(invalid.clone()).unwrap_err();
    assert!(error.is_invalid_block(), "{error}");
    assert_eq!(
        importer.last_valid_ancestor(invalid.header.hash_slow()),
        Some(parent)
    );
    let mut child = invalid.header;
    for _ in 0..3 {
        let next = block(&child, Vec::new(), Vec::new());
        match importer.insert(next.clone()) {
            Err(ImportError::InvalidAncestor { last_valid, .. }) => assert_eq!(last_valid, parent),
            other => panic!("{other:?}"),
        }
        child = next.header;
    }
    assert_eq!(importer.chain().view().head.header, genesis);
}

/// Whoever puts a wrong body under a good header must not be able to have the good block refused.
#[test]
fn a_wrong_body_says_nothing_of_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let good = {
        let dir = tempfile::tempdir().unwrap();
        insert(&mut open(spec(), dir.path()), block_of(1, &genesis, DIARY))
    };
    let mut wrong = good.clone();
    wrong.body.transactions = vec![call(Address::ZERO, 1)];
    assert!(matches!(importer.insert(wrong), Err(ImportError::Body { .. })));
    importer.import(good).unwrap();
}

#[test]
fn unknown_parents_are_told_apart_from_invalid_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let unknown = Header {
        number: 7,
        ..importer.chain().view().head.header.clone()
    };
    let error = importer.insert(block_of(1, &unknown, DIARY)).unwrap_err();
    assert!(
        matches!(error, ImportError::UnknownParent { number: 8, .. }),
        "{error}"
    );
    assert!(!error.is_invalid_block());
}
