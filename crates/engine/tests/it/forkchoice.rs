//! `engine_forkchoiceUpdated`.

use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, PayloadAttributes};
use rapid_engine::EngineError;

use crate::{
    bed::{Bed, Status},
    maker::{Maker, hash},
};

#[test]
fn a_side_chain_becomes_canonical_and_the_first_one_again() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.chain(&maker.genesis(), 3, "first");
    let side = maker.chain(&first[0].header, 3, "side");
    bed.send_valid(&first);
    let [first_head, side_head] = [&first[2], &side[2]].map(hash);
    assert_eq!(bed.choose(first_head), Status::Valid(first_head));
    bed.send_valid(&side);
    assert_eq!(bed.head(), first_head, "executed, not chosen");
    for head in [side_head, first_head, side_head] {
        assert_eq!(bed.choose(head), Status::Valid(head));
        assert_eq!(bed.head(), head);
    }
    assert_eq!(bed.chain.block_hash(2).unwrap(), Some(hash(&side[0])));
}

#[test]
fn an_ancestor_of_the_head_is_valid_and_unwinds_nothing() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let blocks = maker.chain(&maker.genesis(), 4, "");
    bed.send_valid(&blocks);
    let hashes: Vec<B256> = blocks.iter().map(hash).collect();
    bed.choose_all(hashes[3], hashes[2], hashes[1]).unwrap();
    assert_eq!(bed.choose(hashes[1]), Status::Valid(hashes[1]));
    assert_eq!(bed.head(), hashes[3]);
    // Below the finalized block as well, but then nothing is taken.
    assert_eq!(bed.choose(hashes[0]), Status::Valid(hashes[0]));
    assert_eq!(bed.points(), [Some(hashes[2]), Some(hashes[1])]);
}

#[test]
fn zero_hashes_leave_what_was_said() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let blocks = maker.chain(&maker.genesis(), 3, "");
    bed.send_valid(&blocks);
    let hashes: Vec<B256> = blocks.iter().map(hash).collect();
    assert_eq!(
        bed.choose_all(B256::ZERO, B256::ZERO, B256::ZERO),
        Err(EngineError::InvalidForkchoiceState)
    );
    bed.choose(hashes[0]);
    assert_eq!(bed.points(), [None, None]);
    bed.choose_all(hashes[1], hashes[1], hashes[0]).unwrap();
    bed.choose(hashes[2]);
    assert_eq!(bed.points(), [Some(hashes[1]), Some(hashes[0])]);
}

#[test]
fn safe_and_finalized_are_on_the_chain_of_the_head_or_nothing_is_taken() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.chain(&maker.genesis(), 3, "first");
    let side = maker.chain(&maker.genesis(), 2, "side");
    bed.send_valid(&first);
    bed.send_valid(&side);
    let [first, side] = [first, side].map(|blocks| blocks.iter().map(hash).collect::<Vec<_>>());
    bed.choose(first[1]);
    let zero = B256::ZERO;
    for (head, safe, finalized) in [
        (first[2], B256::repeat_byte(9), zero),
        (first[2], side[0], zero),
        (first[2], zero, side[1]),
        (side[1], first[0], zero),
        (side[1], side[1], first[1]),
        // Above the head.
        (first[0], first[1], zero),
    ] {
        assert_eq!(
            bed.choose_all(head, safe, finalized),
            Err(EngineError::InvalidForkchoiceState)
        );
        assert_eq!((bed.head(), bed.points()), (first[1], [None, None]));
    }
    // Blocks of a branch that is being chosen are on its chain.
    bed.choose_all(side[1], side[1], side[0]).unwrap();
    assert_eq!(bed.points(), [Some(side[1]), Some(side[0])]);
}

#[test]
fn a_branch_below_the_finalized_block_is_too_deep() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.chain(&maker.genesis(), 3, "first");
    let side = maker.chain(&first[0].header, 3, "side");
    bed.send_valid(&first);
    bed.send_valid(&side);
    let [finalized, head, other] = [&first[1], &first[2], &side[2]].map(hash);
    bed.choose_all(head, finalized, finalized).unwrap();
    let refused = bed.choose_all(other, B256::ZERO, B256::ZERO);
    assert_eq!(refused, Err(EngineError::TooDeepReorg));
    assert_eq!(bed.head(), head);
}

#[test]
fn a_safe_block_that_was_left_is_forgotten() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.chain(&maker.genesis(), 2, "first");
    let side = maker.chain(&maker.genesis(), 2, "side");
    bed.send_valid(&first);
    bed.send_valid(&side);
    let [first, side] = [&first[1], &side[1]].map(hash);
    bed.choose_all(first, first, B256::ZERO).unwrap();
    bed.choose(side);
    assert_eq!(bed.points(), [None, None]);
}

#[test]
fn attributes_are_checked_after_the_head_has_moved() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let blocks = maker.chain(&maker.genesis(), 2, "");
    bed.send_valid(&blocks);
    let head = hash(&blocks[1]);
    let state = |head_block_hash| ForkchoiceState {
        head_block_hash,
        ..ForkchoiceState::default()
    };
    let late = PayloadAttributes {
        timestamp: blocks[1].header.timestamp,
        withdrawals: Some(Vec::new()),
        parent_beacon_block_root: Some(B256::ZERO),
        ..PayloadAttributes::default()
    };
    // Of an unknown head they say nothing.
    let unknown = bed.try_choose(state(B256::repeat_byte(9)), Some(late.clone()));
    assert!(unknown.unwrap().is_syncing());
    let refused = bed.try_choose(state(head), Some(late.clone())).unwrap_err();
    assert_eq!((refused.code(), bed.head()), (-38003, head));
    let good = PayloadAttributes {
        timestamp: late.timestamp + 12,
        ..late
    };
    let updated = bed.try_choose(state(head), Some(good)).unwrap();
    assert!(updated.is_valid());
    assert_eq!(updated.payload_id, None, "nothing is built");
}
