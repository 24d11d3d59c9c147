//! The pool follows the head.

use alloy_eips::eip2718::Encodable2718;
use rapid_pool::{HeadInfo, Origin};
use rapid_primitives::TransactionSigned;

use crate::{
    bed::Bed,
    maker::{Maker, hash, sender, transfer},
};

fn submit(bed: &Bed, transaction: &TransactionSigned) {
    let view = bed.chain.view();
    let environment = bed.chain.simulation_environment(&view, 0).unwrap();
    let head = HeadInfo::of(bed.chain.spec(), &environment);
    let pooled = bed.pool.decode_and_recover(&transaction.encoded_2718()).unwrap();
    bed.pool
        .submit(Origin::External, pooled, &view.state, &head)
        .unwrap();
}

fn pooled(bed: &Bed, transactions: &[TransactionSigned]) -> Vec<bool> {
    let contains = |transaction: &TransactionSigned| bed.pool.contains(transaction.tx_hash());
    transactions.iter().map(contains).collect()
}

#[test]
fn included_transactions_leave_and_those_of_removed_blocks_return() {
    let (mut maker, bed) = (Maker::new(), Bed::new());
    let genesis = maker.genesis();
    let transactions: Vec<_> = (0..4).map(transfer).collect();
    let first = maker.block(&genesis, transactions[..1].to_vec(), "");
    let both = maker.block(&first.header, transactions[1..3].to_vec(), "both");
    let one = maker.block(&genesis, transactions[..1].to_vec(), "one");
    let two = maker.block(&one.header, transactions[1..2].to_vec(), "two");
    transactions
        .iter()
        .for_each(|transaction| submit(&bed, transaction));
    bed.send_valid(&[first, both.clone(), one, two.clone()]);
    assert_eq!(
        pooled(&bed, &transactions),
        [true; 4],
        "executing a block changes nothing"
    );

    bed.choose(hash(&both));
    assert_eq!(pooled(&bed, &transactions), [false, false, false, true]);
    assert_eq!(bed.pool.pending_nonce(&sender()), Some(4));

    // The other branch has the first two again; the third one is nowhere, so it goes back.
    bed.choose(hash(&two));
    assert_eq!(pooled(&bed, &transactions), [false, false, true, true]);
    assert_eq!(bed.pool.status().pending, 2);
}
