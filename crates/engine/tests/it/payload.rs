//! `engine_newPayload`.

use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::ExecutionPayloadInputV2;
use rapid_engine::{NewPayload, ORPHANS_MAX, payload_bodies_by_hash, payload_bodies_by_range};
use rapid_primitives::{Block, MemoryPressure};

use crate::{
    bed::{Bed, Status},
    maker::{Maker, hash, new_payload, payload_of, transfer},
};

/// A block that is valid but for the root of the state after it.
fn broken(maker: &mut Maker, parent: &Block, salt: &'static str) -> Block {
    let mut block = maker.block(&parent.header, Vec::new(), salt);
    block.header.state_root = B256::repeat_byte(0xbb);
    block
}

#[test]
fn a_valid_block_is_valid_again_and_moves_no_head() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let genesis = bed.head();
    let block = maker.block(&maker.genesis(), vec![transfer(0)], "");
    for _ in 0..2 {
        assert_eq!(bed.send(&block), Status::Valid(hash(&block)));
    }
    assert_eq!(bed.head(), genesis);
}

#[test]
fn a_node_above_the_hard_mark_fails_and_says_nothing_of_the_block() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.block(&maker.genesis(), vec![transfer(0)], "");
    let second = maker.block(&first.header, Vec::new(), "");
    bed.send_valid(std::slice::from_ref(&first));
    bed.chain.memory().store(MemoryPressure::Hard);
    let error = bed.try_payload(new_payload(&second)).unwrap_err();
    assert_eq!(error.code(), -32603);
    assert!(error.detail().unwrap().contains("read-only"), "{error:?}");
    assert_eq!(
        bed.send(&first),
        Status::Valid(hash(&first)),
        "what is known is known"
    );
    let error = bed.choose_all(hash(&first), B256::ZERO, B256::ZERO).unwrap_err();
    assert_eq!((error.code(), bed.head()), (-32603, hash_of_genesis(&maker)));
    bed.chain.memory().store(MemoryPressure::Soft);
    bed.send_valid(std::slice::from_ref(&second));
    assert_eq!(bed.choose(hash(&second)), Status::Valid(hash(&second)));
}

#[test]
fn an_invalid_block_and_its_descendants_name_the_last_valid_ancestor() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.block(&maker.genesis(), Vec::new(), "");
    let bad = broken(&mut maker, &first, "bad");
    let child = maker.untried(&bad.header, Vec::new(), "");
    let grandchild = maker.untried(&child.header, Vec::new(), "");
    bed.send_valid(std::slice::from_ref(&first));
    let refused = Status::Invalid(Some(hash(&first)));
    for block in [&bad, &bad, &child, &grandchild] {
        assert_eq!(bed.send(block), refused);
    }
    assert_eq!(bed.choose(hash(&grandchild)), refused);
    assert_eq!(bed.head(), hash_of_genesis(&maker));
}

fn hash_of_genesis(maker: &Maker) -> B256 {
    maker.genesis().hash_slow()
}

#[test]
fn a_body_that_breaks_a_rule_is_remembered_like_a_header() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.block(&maker.genesis(), Vec::new(), "");
    bed.send_valid(std::slice::from_ref(&first));
    let mut bad = maker.untried(&first.header, Vec::new(), "");
    // Says that it carries a blob, which no transaction does.
    bad.header.blob_gas_used = Some(131_072);
    let child = maker.untried(&bad.header, Vec::new(), "");
    for block in [&bad, &child] {
        assert_eq!(bed.send(block), Status::Invalid(Some(hash(&first))));
    }
}

#[test]
fn blocks_wait_for_their_parent() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let blocks = maker.chain(&maker.genesis(), 4, "");
    for block in blocks[1..].iter().rev() {
        assert_eq!(bed.send(block), Status::Syncing);
    }
    assert_eq!(bed.choose(hash(&blocks[3])), Status::Syncing);
    bed.send_valid(&blocks[..1]);
    // Those that waited were connected, and the head that was chosen in vain was taken.
    bed.send_valid(&blocks[1..]);
    assert_eq!(bed.head(), hash(&blocks[3]));
}

#[test]
fn what_waited_for_an_invalid_block_is_invalid() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.block(&maker.genesis(), Vec::new(), "");
    let bad = broken(&mut maker, &first, "bad");
    let child = maker.untried(&bad.header, Vec::new(), "");
    assert_eq!(bed.send(&child), Status::Syncing);
    assert_eq!(bed.send(&bad), Status::Syncing);
    bed.send_valid(std::slice::from_ref(&first));
    assert_eq!(bed.send(&child), Status::Invalid(Some(hash(&first))));
}

#[test]
fn few_blocks_wait_at_a_time() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.block(&maker.genesis(), Vec::new(), "");
    let dropped = maker.untried(&first.header, Vec::new(), "dropped");
    let child = maker.untried(&dropped.header, Vec::new(), "");
    assert_eq!(bed.send(&child), Status::Syncing);
    for salt in 0..ORPHANS_MAX {
        let mut orphan = maker.untried(&child.header, Vec::new(), "");
        orphan.header.gas_used = salt as u64;
        assert_eq!(bed.send(&orphan), Status::Syncing);
    }
    bed.send_valid(std::slice::from_ref(&first));
    // The dropped one's child was the oldest, so nobody waits for it: its grandchildren still do not know of it.
    assert!(matches!(bed.send(&dropped), Status::Invalid(_)));
    assert_eq!(bed.send(&child), Status::Invalid(Some(hash(&first))));
}

#[test]
fn a_payload_that_contradicts_itself_is_invalid_whatever_its_parent_is() {
    let (maker, bed) = (Maker::new(), Bed::new());
    let block = maker.untried(&maker.genesis(), vec![transfer(0)], "");
    let nothing = Status::Invalid(None);
    let v4 = |payload| NewPayload::v4(payload, Vec::new(), B256::ZERO, Vec::new());

    let mut other_hash = payload_of(&block);
    other_hash.payload_inner.payload_inner.block_hash = B256::repeat_byte(1);
    assert_eq!(bed.payload(v4(other_hash)), nothing);

    for transaction in [Bytes::new(), Bytes::from_static(&[2, 0xc0])] {
        let mut undecodable = payload_of(&block);
        undecodable.payload_inner.payload_inner.transactions = vec![transaction];
        assert_eq!(bed.payload(v4(undecodable)), nothing);
    }
    let hashes = vec![B256::repeat_byte(1)];
    let blobs = NewPayload::v4(payload_of(&block), hashes, B256::ZERO, Vec::new());
    assert_eq!(bed.payload(blobs), nothing);
    let root = NewPayload::v4(payload_of(&block), Vec::new(), B256::repeat_byte(1), Vec::new());
    assert_eq!(bed.payload(root), nothing);
    let requests = vec![Bytes::from_static(&[0, 1])];
    let requests = NewPayload::v4(payload_of(&block), Vec::new(), B256::ZERO, requests);
    assert_eq!(bed.payload(requests), nothing);
}

#[test]
fn a_version_takes_what_it_is_for() {
    let (maker, bed) = (Maker::new(), Bed::new());
    let block = maker.untried(&maker.genesis(), Vec::new(), "");
    let code = |payload| bed.try_payload(payload).unwrap_err().code();
    let payload = payload_of(&block);
    let v3 = NewPayload::v3(payload.clone(), Vec::new(), B256::ZERO);
    assert_eq!(code(v3), -38005);
    let v2 = |withdrawals| {
        NewPayload::v2(ExecutionPayloadInputV2 {
            execution_payload: payload.payload_inner.payload_inner.clone(),
            withdrawals,
        })
    };
    assert_eq!(code(v2(Some(Vec::new()))), -38005);
    assert_eq!(code(v2(None)), -32602);
    let requests = vec![Bytes::from_static(&[1])];
    let empty = NewPayload::v4(payload.clone(), Vec::new(), B256::ZERO, requests);
    assert_eq!(code(empty), -32602);
    // The first version asks for no fork, but this is not the block's whole header.
    let v1 = NewPayload::v1(payload.payload_inner.payload_inner);
    assert_eq!(bed.payload(v1), Status::Invalid(None));
}

#[test]
fn bodies_are_of_canonical_blocks() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let first = maker.block(&maker.genesis(), vec![transfer(0)], "");
    let second = maker.block(&first.header, Vec::new(), "");
    let side = maker.block(&first.header, Vec::new(), "side");
    bed.send_valid(&[first.clone(), second.clone(), side.clone()]);
    bed.choose(hash(&second));
    let hashes = [hash(&first), hash(&side), hash(&second)];
    let bodies = payload_bodies_by_hash(&bed.chain, &hashes).unwrap();
    let counts: Vec<_> = bodies
        .iter()
        .map(|body| body.as_ref().map(|body| body.transactions.len()))
        .collect();
    assert_eq!(counts, [Some(1), None, Some(0)]);
    assert_eq!(bodies[2].as_ref().unwrap().withdrawals, Some(Vec::new()));
    let range = |start, count| payload_bodies_by_range(&bed.chain, start, count);
    assert_eq!(range(1, 32).unwrap(), [bodies[0].clone(), bodies[2].clone()]);
    assert_eq!(range(2, 1).unwrap().len(), 1);
    assert!(range(3, 1).unwrap().is_empty());
    assert_eq!(range(0, 1).unwrap_err().code(), -32602);
    assert_eq!(range(1, 0).unwrap_err().code(), -32602);
    assert_eq!(range(1, 1_025).unwrap_err().code(), -38004);
}

#[test]
fn a_stopped_engine_answers_nothing_and_leaves_what_was_chosen() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let block = maker.block(&maker.genesis(), Vec::new(), "");
    bed.send_valid(std::slice::from_ref(&block));
    bed.choose(hash(&block));
    let handle = bed.engine.handle().clone();
    bed.engine.stop().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(handle.new_payload(new_payload(&block)));
    assert_eq!(refused.unwrap_err().code(), -32603);
    assert_eq!(bed.chain.view().head.hash, hash(&block));
}
