//! One sender's queue: gaps, balance, base fee, replacement, and what mini-blocks and discards do to it.

use std::{sync::Arc, time::Duration, time::Instant};

use alloy_primitives::{Address, U256};
use rapid_pool::{DiscardReason, HeadInfo, Lane, PoolError, PoolStatus, PooledTransaction};
use rapid_primitives::AccountChange;

use crate::support::{
    Accounts, Bench, GWEI, Spec, TRANSFER_COST, address, config, delegation, head, mini_block, mini_block_of,
};

fn at_base_fee(base_fee: u64) -> HeadInfo {
    HeadInfo { base_fee, ..head() }
}

fn status(bench: &Bench) -> (usize, usize) {
    let PoolStatus { pending, queued } = bench.pool.status();
    (pending, queued)
}

#[test]
fn gaps_wait_until_they_are_filled() {
    let mut bench = Bench::new(config());
    for nonce in [3, 1, 2] {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    assert_eq!(status(&bench), (0, 3));
    assert!(bench.ready.pop().is_none());
    assert_eq!(bench.pool.pending_nonce(&address(0)), Some(0));
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    assert_eq!(status(&bench), (4, 0));
    assert_eq!(bench.pool.pending_nonce(&address(0)), Some(4));
    assert_eq!(bench.drain_nonces(), [0, 1, 2, 3]);
}

#[test]
fn published_transactions_leave_and_release_what_follows() {
    let mut bench = Bench::new(config());
    let hashes: Vec<_> = (0..3)
        .map(|nonce| bench.submit(Spec::nonce(nonce).by(0)).unwrap())
        .collect();
    let popped = bench.drain();
    assert_eq!(
        status(&bench),
        (3, 0),
        "dispatched ones stay until they are published"
    );
    bench.publish(&popped[..2]);
    assert_eq!(status(&bench), (1, 0));
    assert!(!bench.pool.contains(&hashes[0]) && bench.pool.contains(&hashes[2]));
    bench.publish(&popped[2..]);
    assert_eq!(status(&bench), (0, 0));
    assert_eq!(bench.pool.pending_nonce(&address(0)), None);
    // A submission that read the state before all this is not taken for a gap.
    bench.submit(Spec::nonce(3).by(0)).unwrap();
    assert_eq!(bench.drain_nonces(), [3]);
    let error = bench
        .submit(
            Spec {
                value: U256::from(1),
                ..Spec::nonce(2)
            }
            .by(0),
        )
        .expect_err("used");
    assert_eq!(error, PoolError::NonceTooLow { next: 3, nonce: 2 });
}

#[test]
fn a_newer_state_than_the_last_mini_block_counts() {
    let mut bench = Bench::new(config());
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    let popped = bench.drain();
    // Published, but the pool has not been told yet.
    bench.accounts = Accounts::with(0, 1, 10 * TRANSFER_COST);
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    assert_eq!(bench.drain_nonces(), [1]);
    bench.publish(&popped);
    assert_eq!(status(&bench), (1, 0));
}

#[test]
fn together_they_must_not_cost_more_than_the_balance() {
    let mut bench = Bench::new(config());
    bench.accounts = Accounts::with(0, 0, 2 * TRANSFER_COST);
    for nonce in 0..4 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    assert_eq!(status(&bench), (2, 2));
    let popped = bench.drain();
    assert_eq!(popped.len(), 2);
    // They cost less than they might have: enough is left for one more.
    bench
        .pool
        .on_mini_block(&mini_block(&popped, |_| Some(U256::from(TRANSFER_COST))));
    assert_eq!(status(&bench), (1, 1));
    assert_eq!(bench.drain_nonces(), [2]);
    // A transfer from elsewhere pays for the last.
    let funded = AccountChange {
        balance: Some(U256::from(2 * TRANSFER_COST)),
        ..AccountChange::new(address(0))
    };
    bench.pool.on_mini_block(&mini_block_of(&[], &[funded]));
    assert_eq!(bench.drain_nonces(), [3]);
}

#[test]
fn a_lost_balance_takes_back_from_the_end() {
    let mut bench = Bench::new(config());
    bench.accounts = Accounts::with(0, 0, 4 * TRANSFER_COST);
    for nonce in 0..4 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let poorer = AccountChange {
        balance: Some(U256::from(2 * TRANSFER_COST)),
        ..AccountChange::new(address(0))
    };
    bench.pool.on_mini_block(&mini_block_of(&[], &[poorer]));
    assert_eq!(status(&bench), (2, 2));
    assert_eq!(bench.drain_nonces(), [0, 1]);
}

#[test]
fn a_rising_base_fee_holds_and_a_falling_one_releases() {
    let mut bench = Bench::new(config());
    for (nonce, fee_cap) in [(0, 100), (1, 20), (2, 100)] {
        bench
            .submit(
                Spec {
                    fee_cap: fee_cap * GWEI,
                    ..Spec::nonce(nonce)
                }
                .by(0),
            )
            .unwrap();
    }
    bench.pool.on_head(&at_base_fee(50_000_000_000));
    assert_eq!(status(&bench), (1, 2));
    bench
        .submit(
            Spec {
                fee_cap: 20 * GWEI,
                ..Spec::nonce(0)
            }
            .by(1),
        )
        .unwrap();
    assert_eq!(status(&bench), (1, 3));
    assert_eq!(bench.drain_nonces(), [0]);
    bench.pool.on_head(&at_base_fee(20_000_000_000));
    assert_eq!(status(&bench), (4, 0));
    let popped = bench.drain();
    let of_first: Vec<u64> = popped
        .iter()
        .filter(|t| t.sender() == address(0))
        .map(|t| t.nonce())
        .collect();
    assert_eq!((popped.len(), of_first), (3, vec![1, 2]));
}

#[test]
fn a_replacement_takes_the_place_of_the_old_one() {
    let mut bench = Bench::new(config());
    let old = bench.submit(Spec::nonce(0).by(0)).unwrap();
    bench.submit(Spec::nonce(0).by(1)).unwrap();
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    let dearer = Spec {
        fee_cap: 200 * GWEI,
        tip: 2 * GWEI,
        ..Spec::nonce(0)
    };
    let new = bench.submit(dearer.by(0)).unwrap();
    assert!(!bench.pool.contains(&old));
    assert_eq!(
        bench.pool.get(&new).map(|transaction| transaction.hash()),
        Some(new)
    );
    assert_eq!(status(&bench), (3, 0));
    let order: Vec<_> = bench
        .drain()
        .iter()
        .map(|t| (t.sender(), t.nonce(), t.hash() == new))
        .collect();
    assert_eq!(
        order,
        [
            (address(0), 0, true),
            (address(1), 0, false),
            (address(0), 1, false)
        ]
    );
}

#[test]
fn replacing_again_and_again_leaves_one() {
    let mut bench = Bench::new(config());
    let mut fee_cap = GWEI;
    for _ in 0..20 {
        bench
            .submit(
                Spec {
                    fee_cap,
                    tip: 0,
                    ..Spec::nonce(0)
                }
                .by(0),
            )
            .unwrap();
        fee_cap = fee_cap * 12 / 10;
    }
    assert_eq!(bench.ready.len(), 1);
    let popped = bench.drain();
    assert_eq!(popped.len(), 1);
    let next = Spec {
        fee_cap,
        tip: 0,
        ..Spec::nonce(0)
    };
    let error = bench.submit(next.by(0)).expect_err("it is being executed");
    assert_eq!(error, PoolError::NonceTooLow { next: 1, nonce: 0 });
}

#[test]
fn replacing_a_waiting_transaction_may_make_it_executable() {
    let mut bench = Bench::new(config());
    bench.pool.on_head(&at_base_fee(50_000_000_000));
    bench
        .submit(
            Spec {
                fee_cap: 20 * GWEI,
                ..Spec::nonce(0)
            }
            .by(0),
        )
        .unwrap();
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    assert_eq!(status(&bench), (0, 2));
    bench
        .submit(
            Spec {
                fee_cap: 60 * GWEI,
                tip: 2 * GWEI,
                ..Spec::nonce(0)
            }
            .by(0),
        )
        .unwrap();
    assert_eq!(status(&bench), (2, 0));
    assert_eq!(bench.drain_nonces(), [0, 1]);
}

#[test]
fn a_dearer_replacement_may_push_out_what_follows() {
    let mut bench = Bench::new(config());
    bench.accounts = Accounts::with(0, 0, 2 * TRANSFER_COST);
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    bench
        .submit(
            Spec {
                fee_cap: 150 * GWEI,
                tip: 2 * GWEI,
                ..Spec::nonce(0)
            }
            .by(0),
        )
        .unwrap();
    assert_eq!(status(&bench), (1, 1));
    assert_eq!(bench.drain_nonces(), [0]);
}

fn pop(bench: &mut Bench) -> Arc<PooledTransaction> {
    bench.ready.pop().expect("something is ready")
}

#[test]
fn an_invalid_transaction_is_dropped_and_leaves_a_gap() {
    for reason in [
        DiscardReason::InsufficientFunds,
        DiscardReason::ExceedsBlockGasLimit,
        DiscardReason::Invalid,
    ] {
        let mut bench = Bench::new(config());
        for nonce in 0..3 {
            bench.submit(Spec::nonce(nonce).by(0)).unwrap();
        }
        let first = pop(&mut bench);
        bench.ready.discard(Arc::clone(&first), reason);
        assert!(bench.ready.pop().is_none(), "what follows is out of order");
        assert_eq!(status(&bench), (0, 2));
        assert!(!bench.pool.contains(&first.hash()));
        bench
            .submit(
                Spec {
                    value: U256::from(7),
                    ..Spec::nonce(0)
                }
                .by(0),
            )
            .unwrap();
        assert_eq!(bench.drain_nonces(), [0, 1, 2]);
    }
}

#[test]
fn a_used_nonce_is_dropped_and_the_rest_goes_on() {
    let mut bench = Bench::new(config());
    for nonce in 0..4 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let first = pop(&mut bench);
    bench.ready.discard(first, DiscardReason::NonceTooLow { next: 2 });
    assert_eq!(bench.drain_nonces(), [2, 3]);
    assert_eq!(status(&bench), (2, 0));
}

#[test]
fn a_transaction_that_came_too_early_waits_for_a_change() {
    let mut bench = Bench::new(config());
    let hash = bench.submit(Spec::nonce(0).by(0)).unwrap();
    let early = pop(&mut bench);
    bench.ready.discard(early, DiscardReason::NonceTooHigh);
    assert!(bench.ready.pop().is_none());
    assert_eq!(status(&bench), (0, 1));
    let funded = AccountChange {
        balance: Some(U256::from(2 * TRANSFER_COST)),
        ..AccountChange::new(address(0))
    };
    bench.pool.on_mini_block(&mini_block_of(&[], &[funded]));
    assert_eq!(pop(&mut bench).hash(), hash);
}

#[test]
fn a_fee_cap_below_the_executed_base_fee_is_held() {
    let mut bench = Bench::new(config());
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    let cheap = pop(&mut bench);
    bench.ready.discard(cheap, DiscardReason::FeeCapBelowBaseFee);
    assert!(bench.ready.pop().is_none());
    assert_eq!(status(&bench), (0, 2));
    bench.pool.on_head(&at_base_fee(10));
    assert_eq!(bench.drain_nonces(), [0, 1]);
}

#[test]
fn what_the_consumer_has_is_not_handed_out_again() {
    let mut bench = Bench::new(config());
    for nonce in 0..3 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let popped = bench.drain();
    // The first is found to be used already while the others are in flight: they stay dispatched.
    bench
        .ready
        .discard(Arc::clone(&popped[0]), DiscardReason::NonceTooLow { next: 1 });
    assert!(bench.ready.pop().is_none());
    assert_eq!(status(&bench), (2, 0));
    bench.publish(&popped[1..]);
    assert_eq!(status(&bench), (0, 0));
}

#[test]
fn what_is_put_back_behind_a_gap_waits_for_it() {
    let mut bench = Bench::new(config());
    for nonce in 0..3 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let mut popped = bench.drain();
    let (third, second, first) = (popped.pop(), popped.pop(), popped.pop());
    bench.ready.discard(first.expect("three"), DiscardReason::Invalid);
    for transaction in [third, second].into_iter().flatten() {
        bench.ready.requeue_front(transaction);
    }
    assert!(bench.ready.pop().is_none());
    assert_eq!(status(&bench), (0, 2));
    bench
        .submit(
            Spec {
                value: U256::from(7),
                ..Spec::nonce(0)
            }
            .by(0),
        )
        .unwrap();
    assert_eq!(bench.drain_nonces(), [0, 1, 2]);
    assert!(bench.ready.pop().is_none());
}

#[test]
fn what_goes_on_after_a_used_nonce_may_be_put_back() {
    let mut bench = Bench::new(config());
    for nonce in 0..3 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let mut popped = bench.drain();
    let (third, second, first) = (popped.pop(), popped.pop(), popped.pop());
    bench
        .ready
        .discard(first.expect("three"), DiscardReason::NonceTooLow { next: 1 });
    for transaction in [third, second].into_iter().flatten() {
        bench.ready.requeue_front(transaction);
    }
    assert_eq!(bench.drain_nonces(), [1, 2]);
}

#[test]
fn nonces_used_elsewhere_release_what_follows() {
    let mut bench = Bench::new(config());
    for nonce in 0..3 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let elsewhere = AccountChange {
        nonce: Some(2),
        ..AccountChange::new(address(0))
    };
    bench.pool.on_mini_block(&mini_block_of(&[], &[elsewhere]));
    assert_eq!(status(&bench), (1, 0));
    assert_eq!(bench.drain_nonces(), [2]);
}

#[test]
fn a_published_delegation_limits_its_account() {
    let mut bench = Bench::new(config());
    bench.submit(delegation(0, 0, &[1])).unwrap();
    let popped = bench.drain();
    bench.submit(Spec::nonce(0).by(1)).unwrap();
    let change = AccountChange {
        nonce: Some(1),
        code: Some(rapid_primitives::CodeChange::new(vec![0xef, 0x01, 0x00].into())),
        ..AccountChange::new(address(1))
    };
    let sender = AccountChange {
        nonce: Some(1),
        ..AccountChange::new(address(0))
    };
    bench
        .pool
        .on_mini_block(&mini_block_of(&popped, &[sender, change]));
    assert_eq!(
        bench.submit(Spec::nonce(2).by(1)),
        Err(PoolError::DelegatedNonceGap)
    );
    bench.submit(Spec::nonce(1).by(1)).unwrap();
    assert_eq!(
        bench.submit(Spec::nonce(2).by(1)),
        Err(PoolError::DelegatedInFlightLimit)
    );
}

#[test]
fn resync_follows_the_state_in_both_directions() {
    let mut bench = Bench::new(config());
    bench.accounts = Accounts::with(0, 2, 10 * TRANSFER_COST);
    for nonce in 2..5 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    // The chain went back by two of the sender's transactions.
    bench
        .pool
        .resync(&Accounts::with(0, 0, 10 * TRANSFER_COST))
        .unwrap();
    assert_eq!(status(&bench), (0, 3));
    assert!(bench.ready.pop().is_none());
    bench
        .pool
        .resync(&Accounts::with(0, 3, 10 * TRANSFER_COST))
        .unwrap();
    assert_eq!(status(&bench), (2, 0));
    assert_eq!(bench.drain_nonces(), [3, 4]);
}

#[test]
fn what_waits_too_long_expires_unless_local() {
    let bench = Bench::new(config());
    bench.submit(Spec::nonce(1).by(0)).unwrap();
    bench.submit_local(Spec::nonce(1).by(1)).unwrap();
    bench.submit(Spec::nonce(0).by(2)).unwrap();
    let lifetime = bench.pool.config().queued_lifetime;
    bench
        .pool
        .evict_expired(Instant::now() + lifetime - Duration::from_secs(60));
    assert_eq!(status(&bench), (1, 2));
    bench
        .pool
        .evict_expired(Instant::now() + lifetime + Duration::from_secs(1));
    assert_eq!(status(&bench), (1, 1));
}

#[test]
fn removal_takes_only_what_is_not_being_executed() {
    let mut bench = Bench::new(config());
    let hashes: Vec<_> = (0..3)
        .map(|nonce| bench.submit(Spec::nonce(nonce).by(0)).unwrap())
        .collect();
    assert_eq!(pop(&mut bench).nonce(), 0);
    assert!(bench.pool.remove(&hashes[0]).is_none());
    assert!(bench.pool.remove(&hashes[1]).is_some());
    assert!(bench.ready.pop().is_none());
    assert_eq!(status(&bench), (1, 1));
}

#[test]
fn content_tells_pending_from_queued() {
    let bench = Bench::new(config());
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    bench.submit(Spec::nonce(2).by(0)).unwrap();
    bench.submit(Spec::nonce(0).by(1)).unwrap();
    let content = bench.pool.content();
    assert_eq!((content.pending.len(), content.queued.len()), (2, 1));
    assert_eq!(content.queued[0].nonce(), 2);
    let of_second = bench.pool.content_of(&address(1));
    assert_eq!((of_second.pending.len(), of_second.queued.len()), (1, 0));
    assert_eq!(of_second.pending[0].lane(), Lane::Normal);
    assert!(bench.pool.content_of(&Address::ZERO).pending.is_empty());
}

#[test]
fn the_feed_tells_of_executable_transactions_only() {
    let bench = Bench::new(config());
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    let mut feed = bench.pool.subscribe_pending();
    let late = bench.submit(Spec::nonce(1).by(1)).unwrap();
    assert!(feed.try_recv().is_err());
    let first = bench.submit(Spec::nonce(0).by(1)).unwrap();
    assert_eq!(feed.try_recv().unwrap().hash(), first);
    assert_eq!(feed.try_recv().unwrap().hash(), late);
    assert!(feed.try_recv().is_err());
}
