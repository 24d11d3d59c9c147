//! Production while memory is short.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use rapid_chainspec::ChainSpec;
use rapid_log::Durability;
use rapid_primitives::{MemoryPressure, MiniBlockNumber, ReadState};

use crate::bed::{Bed, Wallet, interval_blocks};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn above_the_hard_mark_what_is_executed_becomes_durable_and_nothing_else_is_executed() {
    // The first record is made durable at once; within this window only the pause does it after that.
    let bed = Bed::start_durable(
        ChainSpec::realtime(),
        interval_blocks(HOUR),
        Durability::Async(HOUR),
    );
    let mut alice = Wallet::dev(0, &bed.spec);
    let bob = Address::repeat_byte(0xb0);
    bed.execute(&alice.transfer(bob, 2)).await;
    durable(&bed, 1).await;
    bed.execute(&alice.transfer(bob, 3)).await;
    assert_eq!(bed.chain.log().durable(), MiniBlockNumber(1));

    bed.chain.memory().store(MemoryPressure::Hard);
    // The second one, and the end of the block.
    durable(&bed, 3).await;
    bed.sealed(1).await;
    let late = alice.transfer(bob, 7);
    let waiter = bed.chain.wait_for(*late.tx_hash());
    bed.submit(&late).unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), waiter).await;
    assert!(waited.is_err(), "nothing is executed");
    let balance = || {
        let state = bed.chain.view().state.clone();
        state.account(&bob).unwrap().unwrap().balance
    };
    assert_eq!(balance(), U256::from(5), "reads go on");
    assert_eq!(bed.pool.status().pending, 1);

    let waiter = bed.chain.wait_for(*late.tx_hash());
    bed.chain.memory().store(MemoryPressure::None);
    waiter.await.unwrap();
    assert_eq!(balance(), U256::from(12));
}

/// Waits until a mini-block is durable.
async fn durable(bed: &Bed, number: u64) {
    while bed.chain.log().durable() < MiniBlockNumber(number) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn above_the_soft_mark_production_rests_three_times_as_long_as_it_works() {
    let bed = Bed::start(ChainSpec::realtime(), interval_blocks(HOUR));
    let mut alice = Wallet::dev(0, &bed.spec);
    bed.chain.memory().store(MemoryPressure::Soft);
    let mut times = Vec::new();
    // Each rest makes the next mini-block come later, until a whole interval counts.
    for wei in 1..=12 {
        bed.execute(&alice.transfer(Address::repeat_byte(0xb0), wei))
            .await;
        let view = bed.chain.view();
        let newest = view.open.as_ref().unwrap().mini_blocks.last().unwrap().clone();
        times.push(newest.header().time_us);
    }
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let interval_us = 10_000;
    for pair in gaps.windows(2) {
        // The two clocks of a cut are read one after the other.
        let least = 3 * pair[0].min(interval_us) - 1_000_u64.min(3 * pair[0]);
        assert!(pair[1] >= least, "{gaps:?}");
    }
    assert!(gaps[10] >= 3 * interval_us - 1_000, "{gaps:?}");
}
