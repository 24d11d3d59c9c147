//! Every bound binds, and what waits for room gets it.

use alloy_primitives::U256;
use rapid_pool::{DiscardReason, HeadInfo, Limit, Origin, PoolConfig, PoolError, SubPoolLimit};

use crate::support::{Bench, GWEI, Spec, TRANSFER_COST, address, config, head, mini_block};

fn count(count_max: usize) -> SubPoolLimit {
    SubPoolLimit {
        count_max,
        ..SubPoolLimit::default()
    }
}

#[test]
fn one_sender_has_its_slots_and_the_next_nonce_always() {
    let bench = Bench::new(config());
    for nonce in 1..=16 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    assert_eq!(
        bench.submit(Spec::nonce(17).by(0)),
        Err(PoolError::Full(Limit::Sender))
    );
    bench.submit(Spec::nonce(0).by(0)).expect("the next nonce");
    assert_eq!(bench.pool.status().pending, 17);
    bench
        .submit(
            Spec {
                fee_cap: 200 * GWEI,
                tip: 2 * GWEI,
                ..Spec::nonce(9)
            }
            .by(0),
        )
        .expect("a replacement");
}

#[test]
fn local_senders_have_more_slots_but_not_without_end() {
    let bench = Bench::new(PoolConfig {
        local_account_slots_max: 20,
        ..config()
    });
    for nonce in 0..20 {
        bench.submit_local(Spec::nonce(nonce).by(0)).unwrap();
    }
    assert_eq!(
        bench.submit_local(Spec::nonce(20).by(0)),
        Err(PoolError::Full(Limit::Sender))
    );
    let no_locals = Bench::new(PoolConfig {
        no_local_exemptions: true,
        ..config()
    });
    for nonce in 0..16 {
        no_locals.submit_local(Spec::nonce(nonce).by(0)).unwrap();
    }
    assert_eq!(
        no_locals.submit_local(Spec::nonce(16).by(0)),
        Err(PoolError::Full(Limit::Sender))
    );
}

#[test]
fn each_sub_pool_has_its_count() {
    let config = PoolConfig {
        pending: count(2),
        base_fee: count(1),
        queued: count(3),
        ..config()
    };
    let bench = Bench::new(config);
    for sender in [0, 1] {
        bench.submit(Spec::nonce(0).by(sender)).unwrap();
    }
    assert_eq!(
        bench.submit(Spec::nonce(0).by(2)),
        Err(PoolError::Full(Limit::Lane))
    );
    for sender in [2, 3, 4] {
        bench.submit(Spec::nonce(1).by(sender)).unwrap();
    }
    assert_eq!(
        bench.submit(Spec::nonce(1).by(5)),
        Err(PoolError::Full(Limit::Queued))
    );
    bench.pool.on_head(&HeadInfo {
        base_fee: 50_000_000_000,
        ..head()
    });
    let cheap = Spec {
        fee_cap: 20 * GWEI,
        ..Spec::nonce(0)
    };
    bench.submit(cheap.by(6)).unwrap();
    assert_eq!(bench.submit(cheap.by(7)), Err(PoolError::Full(Limit::BaseFee)));
    assert_eq!((bench.pool.status().pending, bench.pool.status().queued), (2, 4));
    // A refusal leaves nothing behind.
    assert_eq!(bench.pool.pending_nonce(&address(7)), None);
}

#[test]
fn each_sub_pool_has_its_bytes() {
    let len = Spec::nonce(0).by(0).encoded_len();
    let two = SubPoolLimit {
        count_max: 100,
        bytes_max: 2 * len + 8,
    };
    let bench = Bench::new(PoolConfig {
        pending: two,
        queued: two,
        ..config()
    });
    for sender in [0, 1] {
        bench.submit(Spec::nonce(0).by(sender)).unwrap();
        bench.submit(Spec::nonce(2).by(sender)).unwrap();
    }
    assert_eq!(
        bench.submit(Spec::nonce(0).by(2)),
        Err(PoolError::Full(Limit::Lane))
    );
    assert_eq!(
        bench.submit(Spec::nonce(2).by(2)),
        Err(PoolError::Full(Limit::Queued))
    );
}

#[test]
fn what_was_admitted_gets_room_before_newcomers() {
    let mut bench = Bench::new(PoolConfig {
        pending: count(3),
        ..config()
    });
    for nonce in 1..5 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    // Filling the gap makes five executable, for three of which there is room.
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    assert_eq!((bench.pool.status().pending, bench.pool.status().queued), (3, 2));
    let popped = bench.drain();
    assert_eq!(popped.len(), 3);
    assert_eq!(
        bench.submit(Spec::nonce(0).by(1)),
        Err(PoolError::Full(Limit::Lane))
    );
    bench.publish(&popped[..1]);
    assert_eq!(
        bench.submit(Spec::nonce(0).by(1)),
        Err(PoolError::Full(Limit::Lane))
    );
    assert_eq!(bench.drain_nonces(), [3]);
    bench.publish(&popped[1..]);
    assert_eq!(bench.drain_nonces(), [4]);
    bench.submit(Spec::nonce(0).by(1)).expect("nobody waits any more");
}

#[test]
fn waiting_for_room_ends_even_without_mini_blocks() {
    let mut bench = Bench::new(PoolConfig {
        pending: count(1),
        ..config()
    });
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    bench.submit(Spec::nonce(1).by(1)).unwrap();
    bench.submit(Spec::nonce(0).by(2)).expect_err("full");
    let first = bench.ready.pop().unwrap();
    // The only pending one is found invalid; nothing is published.
    bench.ready.discard(first, DiscardReason::Invalid);
    bench.submit(Spec::nonce(0).by(1)).unwrap();
    assert_eq!(bench.drain_nonces(), [0]);
    // Nonce 1 waits for room; the transaction in its way is discarded as well.
    let content = bench.pool.content_of(&address(1));
    assert_eq!((content.pending.len(), content.queued.len()), (1, 1));
    bench
        .ready
        .discard(content.pending[0].clone(), DiscardReason::NonceTooLow { next: 1 });
    assert_eq!(bench.drain_nonces(), [1]);
}

#[test]
fn a_newcomer_that_is_refused_for_others_helps_them_first() {
    let mut bench = Bench::new(PoolConfig {
        pending: count(2),
        ..config()
    });
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    bench.submit(Spec::nonce(1).by(1)).unwrap();
    bench.submit(Spec::nonce(2).by(1)).unwrap();
    bench.submit(Spec::nonce(0).by(1)).unwrap();
    assert_eq!(bench.pool.status().queued, 2);
    for transaction in bench.drain() {
        bench
            .ready
            .discard(transaction, DiscardReason::NonceTooLow { next: 1 });
    }
    // The second sender filed one itself as its first went; two are pending, none waits.
    bench
        .submit(Spec::nonce(0).by(2))
        .expect_err("the room was promised");
    assert_eq!(bench.drain_nonces(), [1, 2]);
}

#[test]
fn idle_senders_are_forgotten_within_their_bound() {
    // One per shard.
    let mut bench = Bench::new(PoolConfig {
        idle_senders_max: 0,
        ..config()
    });
    for round in 0..3 {
        for sender in 0..16 {
            let result = bench.submit(Spec::nonce(round).by(sender));
            assert!(
                result.is_ok() || result == Err(PoolError::Full(Limit::Sender)),
                "{result:?}"
            );
        }
        let popped = bench.drain();
        bench
            .pool
            .on_mini_block(&mini_block(&popped, |_| Some(U256::from(100 * TRANSFER_COST))));
    }
    assert_eq!(bench.pool.status().pending, 0);
}

#[test]
fn a_batch_is_admitted_in_order_with_a_result_each() {
    let mut bench = Bench::new(config());
    let batch = vec![
        Spec::nonce(0).by(0),
        Spec::nonce(0).by(1),
        Spec::nonce(0).by(0),
        Spec {
            gas: 20_000,
            ..Spec::nonce(1)
        }
        .by(0),
        Spec::nonce(1).by(0),
        Spec::nonce(1).by(1),
    ];
    let results = bench
        .pool
        .submit_batch(Origin::Local, batch, &bench.accounts, &head());
    let outcome: Vec<_> = results.into_iter().map(|result| result.err()).collect();
    let refused = [Some(PoolError::AlreadyKnown), Some(PoolError::IntrinsicGasTooLow)];
    let [known, low] = refused;
    assert_eq!(outcome, [None, None, known, low, None, None]);
    let order: Vec<_> = bench.drain().iter().map(|t| (t.sender(), t.nonce())).collect();
    assert_eq!(
        order,
        [(address(0), 0), (address(1), 0), (address(0), 1), (address(1), 1)]
    );
}
