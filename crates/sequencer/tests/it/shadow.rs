//! What is published is what executing it again gives.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes, hex};
use rapid_chainspec::ChainSpec;

use crate::bed::{Bed, Wallet, interval_blocks};

/// Blocks that open and close meanwhile, a contract that writes, and one that reads the hash of the parent, which comes in
/// the middle of mini-blocks.
#[tokio::test]
async fn mini_blocks_of_all_kinds_are_executed_again_and_equal() {
    let bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_millis(40)));
    let mut alice = Wallet::dev(0, &bed.spec);
    let mut bob = Wallet::dev(1, &bed.spec);
    // Stores BLOCKHASH(NUMBER - 1) at slot NUMBER.
    let init = hex!("6760014303404355005f5260086018f3");
    let created = bed.execute(&alice.create(init.into())).await;
    let reader = created.sender.create(0);
    let until = Instant::now() + Duration::from_secs(20);
    let mut round = 0u64;
    while bed.shadow().checked < 60 || bed.chain.view().head.number() < 3 {
        assert!(Instant::now() < until, "{:?}", bed.shadow());
        round += 1;
        assert!(
            bed.submit(&bob.transfer(Address::repeat_byte(0xb0), round))
                .is_ok()
        );
        let at = bed.execute(&alice.call(reader, Bytes::new())).await;
        assert!(at.receipt.success);
    }
    assert_eq!(bed.shadow().mismatches, 0);
}
