//! What is published and sealed.

use std::{collections::BTreeSet, time::Duration};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use rapid_chainspec::ChainSpec;
use rapid_pool::PoolError;
use rapid_primitives::ReadState;
use rapid_sequencer::{BlockPolicy, EmptyBlocks, SequencerConfig, TimestampPolicy};

use crate::bed::{Bed, Wallet, blocks_when_idle, interval_blocks};

#[tokio::test]
async fn a_receipt_is_visible_with_its_state_before_its_block_is_sealed() {
    let bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_secs(3_600)));
    let mut alice = Wallet::dev(0, &bed.spec);
    let bob = Address::repeat_byte(0xb0);

    let at = bed.execute(&alice.transfer(bob, 5)).await;

    assert!(at.receipt.success);
    assert_eq!((at.block_number, at.index, at.gas_used), (1, 0, 21_000));
    assert!(at.block_hash.is_zero());
    let view = bed.chain.view();
    assert_eq!(view.state.account(&bob).unwrap().unwrap().balance, U256::from(5));
    assert_eq!(view.head.number(), 0);
    assert_eq!(view.open.as_ref().unwrap().position.transaction_index, 1);
}

#[tokio::test]
async fn a_block_is_sealed_when_idle_and_has_the_hash_of_its_receipts() {
    let bed = Bed::start(ChainSpec::dev(), blocks_when_idle());
    let mut alice = Wallet::dev(0, &bed.spec);

    for number in 1..=5 {
        let at = bed
            .execute(&alice.transfer(Address::repeat_byte(1), number))
            .await;
        assert_eq!(at.block_number, number);
        bed.sealed(number).await;
    }

    for number in 1..=5u64 {
        let block = bed.chain.block_by_number(number).unwrap().unwrap();
        let parent = bed.chain.block_by_number(number - 1).unwrap().unwrap();
        assert_eq!(block.header.parent_hash, parent.hash);
        assert_eq!(block.body.transactions.len(), 1);
        let at = bed
            .chain
            .transaction(*block.body.transactions[0].tx_hash())
            .unwrap()
            .unwrap();
        assert_eq!(at.block_hash, block.hash);
    }
}

#[tokio::test]
async fn transactions_of_many_senders_run_in_nonce_order() {
    let bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_millis(200)));
    let mut wallets: Vec<_> = (0..10).map(|index| Wallet::dev(index, &bed.spec)).collect();
    let mut waiters = Vec::new();
    for round in 0..50 {
        for wallet in &mut wallets {
            let transaction = wallet.transfer(Address::repeat_byte(2), round);
            waiters.push(bed.chain.wait_for(*transaction.tx_hash()));
            bed.submit(&transaction).unwrap();
        }
    }
    for waiter in waiters {
        waiter.await.unwrap();
    }

    let state = &bed.chain.view().state;
    for wallet in &wallets {
        assert_eq!(state.account(&wallet.address()).unwrap().unwrap().nonce, 50);
    }
    let received = state.account(&Address::repeat_byte(2)).unwrap().unwrap().balance;
    assert_eq!(received, U256::from(10 * (0..50u64).sum::<u64>()));
}

#[tokio::test]
async fn a_full_block_closes_and_the_rest_goes_to_the_next() {
    let bed = Bed::start(ChainSpec::dev(), interval_blocks(Duration::from_secs(3_600)));
    let mut alice = Wallet::dev(0, &bed.spec);
    // Three transactions of 12 M gas limit do not fit 30 M; what they use is little.
    let mut big = || {
        alice.sign(
            TxKind::Call(Address::repeat_byte(3)),
            U256::ZERO,
            Bytes::new(),
            16_000_000,
        )
    };
    let first = bed.execute(&big()).await;
    let second = bed.execute(&big()).await;
    assert_eq!((first.block_number, second.block_number), (1, 1));

    let mut filler = Wallet::dev(1, &bed.spec);
    let burn = burner(&mut filler, &bed).await;
    for _ in 0..2 {
        bed.execute(&filler.sign(TxKind::Call(burn), U256::ZERO, Bytes::new(), 14_000_000))
            .await;
    }
    let next = bed.execute(&big()).await;
    assert_eq!(next.block_number, 2);
    bed.sealed(1).await;
    assert!(bed.chain.view().head.header.gas_used > 28_000_000);
}

/// A block that is full early in its second leaves transactions to the next one, which the block due then must not take
/// from them by being empty.
#[tokio::test]
async fn what_waits_for_the_next_second_runs_in_it() {
    let config = SequencerConfig {
        block_policy: BlockPolicy::Interval {
            interval: Duration::from_secs(1),
            empty: EmptyBlocks::Make,
        },
        timestamps: TimestampPolicy::WaitForSecond,
        ..SequencerConfig::default()
    };
    let bed = Bed::start(ChainSpec::dev(), config);
    let mut filler = Wallet::dev(1, &bed.spec);
    let burn = burner(&mut filler, &bed).await;
    let burns: Vec<_> = (0..6)
        .map(|_| filler.sign(TxKind::Call(burn), U256::ZERO, Bytes::new(), 14_000_000))
        .collect();
    let last = bed.chain.wait_for(*burns[5].tx_hash());
    for burn in &burns {
        bed.submit(burn).unwrap();
    }
    let last = tokio::time::timeout(Duration::from_secs(15), last).await;
    assert!(last.is_ok(), "only empty blocks are made");
}

/// A contract that uses all gas it gets.
async fn burner(wallet: &mut Wallet, bed: &Bed) -> Address {
    // JUMPDEST PUSH0 JUMP, deployed by copying three bytes.
    let created = bed
        .execute(&wallet.create(hex!("625b5f565f526003601df3").into()))
        .await;
    created.sender.create(created.transaction.nonce())
}

#[tokio::test]
async fn the_hash_of_the_parent_can_be_read_from_the_next_block() {
    let bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_millis(50)));
    let mut alice = Wallet::dev(0, &bed.spec);
    // Stores BLOCKHASH(NUMBER - 1) at slot NUMBER: PUSH1 1 NUMBER SUB BLOCKHASH NUMBER SSTORE.
    let runtime = hex!("6001430340435500");
    let mut init = hex!("67").to_vec();
    init.extend_from_slice(&runtime);
    init.extend_from_slice(&hex!("5f5260086018f3"));
    let created = bed.execute(&alice.create(init.into())).await;
    let reader = created.sender.create(created.transaction.nonce());

    let mut seen = BTreeSet::new();
    while seen.len() < 4 {
        let at = bed.execute(&alice.call(reader, Bytes::new())).await;
        assert!(at.receipt.success);
        seen.insert(at.block_number);
    }

    let state = bed.chain.view().state.clone();
    for number in seen {
        let stored = state.storage(&reader, &U256::from(number)).unwrap();
        let parent = bed.chain.block_hash(number - 1).unwrap().unwrap();
        assert_eq!(stored, U256::from_be_bytes(parent.0), "block {number}");
    }
}

#[tokio::test]
async fn a_transaction_that_cannot_run_is_refused_and_changes_nothing() {
    let bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_secs(3_600)));
    let mut poor = Wallet::dev(0, &bed.spec);
    let everything = U256::from(10).pow(U256::from(25));
    let too_much = poor.sign(TxKind::Call(Address::ZERO), everything, Bytes::new(), 21_000);

    assert!(matches!(
        bed.submit(&too_much),
        Err(PoolError::InsufficientFunds { .. })
    ));
    assert!(bed.chain.view().open.is_none());
}
