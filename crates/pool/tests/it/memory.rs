//! What is refused while memory is short.

use alloy_primitives::{Address, Bytes, TxKind};
use rapid_pool::{Lane, Origin, PoolConfig, PoolError};
use rapid_primitives::{MemoryPressure, MemoryPressureCell};

use crate::support::{Bench, Spec, address, config, head};

const BULK_TARGET: Address = Address::repeat_byte(0xb1);

/// A pool whose sender 0 is in the lane `Critical`, and its cell.
fn bench() -> (Bench, MemoryPressureCell) {
    let mut config = PoolConfig {
        account_slots_max: 100,
        ..config()
    };
    config.lanes.senders.insert(address(0), Lane::Critical);
    config.lanes.targets.insert(BULK_TARGET, Lane::Bulk);
    let cell = config.memory.clone();
    (Bench::new(config), cell)
}

fn creation(nonce: u64) -> Spec {
    Spec {
        to: TxKind::Create,
        gas: 100_000,
        input: Bytes::from_static(&[0]),
        ..Spec::nonce(nonce)
    }
}

fn bulk(nonce: u64) -> Spec {
    Spec {
        to: TxKind::Call(BULK_TARGET),
        ..Spec::nonce(nonce)
    }
}

#[test]
fn above_the_soft_mark_creations_and_bulk_transactions_wait() {
    let (bench, memory) = bench();
    memory.store(MemoryPressure::Soft);
    for refused in [creation(0), bulk(0)] {
        let error = bench.submit(refused.by(1)).unwrap_err();
        assert_eq!((&error, error.code()), (&PoolError::MemoryLow, -32003));
    }
    bench.submit(Spec::default().by(1)).unwrap();
    bench.submit(creation(0).by(0)).unwrap();
    assert_eq!(bench.pool.status().pending, 2);
    memory.store(MemoryPressure::None);
    bench.submit(creation(1).by(1)).unwrap();
    bench.submit(bulk(2).by(1)).unwrap();
}

#[test]
fn above_the_hard_mark_nothing_is_taken_and_what_is_there_stays() {
    let (mut bench, memory) = bench();
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    memory.store(MemoryPressure::Hard);
    // One that is there already gets the same answer: the sender should not take it for executed.
    for nonce in [0, 1] {
        let error = bench.submit_local(Spec::nonce(nonce).by(0)).unwrap_err();
        assert_eq!((&error, error.code()), (&PoolError::ReadOnly, -32003));
    }
    let batch = vec![Spec::nonce(1).by(0), Spec::nonce(0).by(1)];
    let results = bench
        .pool
        .submit_batch(Origin::Local, batch, &bench.accounts, &head());
    assert_eq!(results, vec![Err(PoolError::ReadOnly); 2]);
    assert_eq!(bench.pool.status().pending, 1);
    memory.store(MemoryPressure::None);
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    assert_eq!(bench.drain_nonces(), [0, 1]);
}
