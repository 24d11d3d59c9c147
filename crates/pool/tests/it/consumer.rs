//! The consumer's side: putting back, holding, idling, sleeping and waking.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use rapid_pool::{PoolConfig, Wake};

use crate::support::{Bench, Spec, address, config};

/// Far enough that reaching it means a lost wake-up.
const FAR: Duration = Duration::from_secs(60);

fn order(bench: &mut Bench) -> Vec<(usize, u64)> {
    let index = |sender| {
        (0..16)
            .find(|index| address(*index) == sender)
            .expect("a test key")
    };
    bench
        .drain()
        .iter()
        .map(|transaction| (index(transaction.sender()), transaction.nonce()))
        .collect()
}

#[test]
fn there_is_one_consumer_at_a_time() {
    let mut bench = Bench::new(config());
    assert!(bench.pool.ready_queue().is_none());
    for nonce in 0..3 {
        bench.submit(Spec::nonce(nonce).by(0)).unwrap();
    }
    let first = bench.ready.pop().unwrap();
    let second = bench.ready.pop().unwrap();
    bench.ready.hold(second);
    bench.ready.requeue_front(first);
    let pool = bench.pool.clone();
    drop(bench);
    // What the first one had put back or held is there for the next.
    let mut ready = pool.ready_queue().expect("the first is gone");
    let nonces: Vec<u64> = std::iter::from_fn(|| ready.pop())
        .map(|transaction| transaction.nonce())
        .collect();
    assert_eq!(nonces, [0, 1, 2]);
}

#[test]
fn what_is_put_back_comes_first_again() {
    let mut bench = Bench::new(config());
    for (sender, nonce) in [(0, 0), (1, 0), (0, 1)] {
        bench.submit(Spec::nonce(nonce).by(sender)).unwrap();
    }
    let popped = [bench.ready.pop().unwrap(), bench.ready.pop().unwrap()];
    for transaction in popped.into_iter().rev() {
        bench.ready.requeue_front(transaction);
    }
    assert_eq!(order(&mut bench), [(0, 0), (1, 0), (0, 1)]);
}

#[test]
fn what_left_the_pool_is_not_put_back() {
    let mut bench = Bench::new(config());
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    let popped = bench.drain();
    bench.publish(&popped);
    bench.ready.requeue_front(Arc::clone(&popped[0]));
    bench.ready.hold(Arc::clone(&popped[0]));
    bench.ready.release_held();
    assert!(bench.ready.pop().is_none());
}

#[test]
fn a_held_transaction_holds_its_sender_and_nobody_else() {
    let mut bench = Bench::new(config());
    for (sender, nonce) in [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1)] {
        bench.submit(Spec::nonce(nonce).by(sender)).unwrap();
    }
    let reader = bench.ready.pop().unwrap();
    bench.ready.hold(reader);
    assert_eq!(bench.ready.held_len(), 1);
    assert_eq!(order(&mut bench), [(1, 0), (1, 1)]);
    assert!(
        bench.ready.is_idle(),
        "held transactions do not keep a mini-block open"
    );
    // One that arrives while they wait goes behind them.
    bench.submit(Spec::nonce(3).by(0)).unwrap();
    assert_eq!(order(&mut bench), []);
    bench.ready.release_held();
    assert_eq!(order(&mut bench), [(0, 0), (0, 1), (0, 2), (0, 3)]);
}

#[test]
fn a_full_ready_queue_makes_wait_and_loses_nothing() {
    let mut bench = Bench::new(PoolConfig {
        ready_queue_len: 2,
        ..config()
    });
    for nonce in 0..5 {
        for sender in 0..4 {
            bench.submit(Spec::nonce(nonce).by(sender)).unwrap();
        }
    }
    assert_eq!(bench.ready.len(), 20);
    let expected: Vec<_> = (0..5)
        .flat_map(|nonce| (0..4).map(move |sender| (sender, nonce)))
        .collect();
    assert_eq!(order(&mut bench), expected);
    assert!(bench.ready.is_empty());
}

#[test]
fn dead_places_are_purged_when_the_consumer_stops() {
    let mut config = PoolConfig {
        ready_queue_len: 2,
        ..config()
    };
    config.pending.count_max = 8;
    let bench = Bench::new(config);
    for _ in 0..200 {
        let hash = bench.submit(Spec::nonce(0).by(0)).unwrap();
        bench.pool.remove(&hash).unwrap();
    }
    assert!(bench.ready.len() <= 2 + 64, "{}", bench.ready.len());
}

#[test]
fn idle_means_nothing_ready_and_nothing_on_its_way() {
    let mut bench = Bench::new(config());
    assert!(bench.ready.is_idle());
    let guard = bench.pool.ingress();
    assert!(!bench.ready.is_idle());
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    drop(guard);
    assert!(!bench.ready.is_idle());
    assert!(bench.ready.pop().is_some());
    assert!(bench.ready.is_idle());
}

#[test]
fn waiting_returns_at_once_when_there_is_a_reason() {
    let mut bench = Bench::new(config());
    assert_eq!(bench.ready.wait_until(Instant::now()), Wake::Deadline);
    bench.pool.notify_consumer();
    assert_eq!(bench.ready.wait_until(Instant::now() + FAR), Wake::Notified);
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    assert_eq!(bench.ready.wait_until(Instant::now() + FAR), Wake::Ready);
    bench.ready.pop().unwrap();
    // The submission that kept it from being idle ended before it went to sleep.
    let guard = bench.pool.ingress();
    assert!(!bench.ready.is_idle());
    drop(guard);
    assert_eq!(bench.ready.wait_until(Instant::now() + FAR), Wake::Notified);
}

#[test]
fn producers_wake_the_consumer() {
    let Bench {
        pool,
        mut ready,
        accounts,
    } = Bench::new(config());
    let (woken, wakes) = mpsc::channel();
    let (go, turns) = mpsc::channel::<()>();
    let consumer = std::thread::spawn(move || {
        for () in turns {
            let wake = ready.wait_until(Instant::now() + FAR);
            while ready.pop().is_some() {}
            woken.send(wake).expect("the test waits");
        }
    });
    for nonce in 0..200 {
        go.send(()).unwrap();
        let transaction = Spec::nonce(nonce).by(0);
        pool.submit(
            rapid_pool::Origin::Local,
            transaction,
            &accounts,
            &crate::support::head(),
        )
        .unwrap();
        assert_eq!(wakes.recv().unwrap(), Wake::Ready);
        go.send(()).unwrap();
        pool.notify_consumer();
        assert_eq!(wakes.recv().unwrap(), Wake::Notified);
    }
    drop(go);
    consumer.join().unwrap();
}
