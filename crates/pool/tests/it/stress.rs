//! Several producers, one consumer and a committer at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use alloy_primitives::{Address, TxKind, U256};
use rapid_pool::{Lane, LaneConfig, Origin, Pool, PoolConfig, PoolError, PooledTransaction, ReadyQueue};

use crate::support::{Accounts, ETHER, GWEI, Spec, address, config, head, key, mini_block};

const PRODUCERS: usize = 4;
const SENDERS_EACH: usize = 3;
const NONCES: u64 = 150;
const SENDERS: usize = PRODUCERS * SENDERS_EACH;
const TOTAL: usize = SENDERS * NONCES as usize;
const TARGETS: [(Address, Lane); 3] = [
    (Address::repeat_byte(0xc1), Lane::Critical),
    (Address::repeat_byte(0xd1), Lane::Normal),
    (Address::repeat_byte(0xb1), Lane::Bulk),
];

fn raw(sender: usize, nonce: u64, dearer: bool) -> alloy_primitives::Bytes {
    let target = TARGETS[(sender + nonce as usize) % TARGETS.len()].0;
    let fee_cap = if dearer { 20 } else { 10 } * GWEI;
    Spec {
        to: TxKind::Call(target),
        fee_cap,
        tip: 0,
        ..Spec::nonce(nonce)
    }
    .sign(key(sender))
}

/// Submits every nonce of its senders, each pair of nonces in the wrong order, and bids some up.
fn produce(pool: &Pool, producer: usize, refused: &AtomicUsize) {
    let accounts = Accounts::default();
    let submit = |raw: &[u8]| loop {
        let _guard = pool.ingress();
        let transaction = pool.decode_and_recover(raw).expect("well-formed");
        match pool.submit(Origin::Local, transaction, &accounts, &head()) {
            Err(PoolError::Full(_)) => {
                refused.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
            result => break result,
        }
    };
    for nonce in (0..NONCES).step_by(2) {
        for sender in (0..SENDERS_EACH).map(|index| producer * SENDERS_EACH + index) {
            for nonce in [nonce + 1, nonce] {
                submit(&raw(sender, nonce, false)).expect("admitted");
            }
            if nonce % 10 == 0 {
                // May come too late, and then says so.
                match submit(&raw(sender, nonce + 1, true)) {
                    Ok(_) | Err(PoolError::NonceTooLow { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// Pops, checks the order, now and then puts back, and hands on to the committer.
fn consume(mut ready: ReadyQueue, executed: &mpsc::SyncSender<Arc<PooledTransaction>>, stop: &AtomicBool) {
    let mut next = [0u64; SENDERS];
    let mut turn = 0usize;
    let mut done = 0;
    while done < TOTAL {
        assert!(
            !stop.load(Ordering::Relaxed),
            "the other side failed after {done}"
        );
        let Some(transaction) = ready.pop() else {
            ready.wait_until(Instant::now() + Duration::from_millis(100));
            continue;
        };
        let sender = (0..SENDERS)
            .find(|index| address(*index) == transaction.sender())
            .expect("a known sender");
        assert_eq!(transaction.nonce(), next[sender], "sender {sender}");
        turn += 1;
        match turn % 17 {
            3 => ready.requeue_front(transaction),
            7 => {
                ready.hold(transaction);
                ready.release_held();
            }
            _ => {
                next[sender] += 1;
                done += 1;
                executed.send(transaction).expect("the committer lives");
            }
        }
    }
    assert!(ready.pop().is_none());
}

fn commit(pool: &Pool, executed: &mpsc::Receiver<Arc<PooledTransaction>>) {
    let mut done = 0;
    while let Ok(first) = executed.recv() {
        let mut block = vec![first];
        block.extend(executed.try_iter().take(20));
        done += block.len();
        pool.on_mini_block(&mini_block(&block, |_| Some(U256::from(1_000 * ETHER))));
        if done % 7 == 0 {
            pool.on_head(&head());
        }
    }
}

/// Tells the consumer to give up when another thread panics, so that the test fails instead of hanging.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn run(config: PoolConfig) -> usize {
    let pool = Pool::new(config, &head());
    let ready = pool.ready_queue().expect("the first consumer");
    let (executed, committed) = mpsc::sync_channel(256);
    let (refused, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (pool, refused, stop) = (&pool, &refused, &stop);
            scope.spawn(move || {
                let _stop = StopOnPanic(stop);
                produce(pool, producer, refused);
            });
        }
        let (pool, stop) = (&pool, &stop);
        scope.spawn(move || {
            let _stop = StopOnPanic(stop);
            commit(pool, &committed);
        });
        scope.spawn(move || consume(ready, &executed, stop));
    });
    let status = pool.status();
    assert_eq!((status.pending, status.queued), (0, 0));
    refused.load(Ordering::Relaxed)
}

fn with_lanes() -> PoolConfig {
    let mut lanes = LaneConfig::default();
    lanes.targets.extend(TARGETS);
    PoolConfig {
        lanes,
        ready_queue_len: 8,
        ..config()
    }
}

#[test]
fn every_transaction_comes_out_once_and_in_order() {
    assert_eq!(run(with_lanes()), 0);
}

#[test]
fn and_so_it_does_when_the_lanes_are_full() {
    let mut config = with_lanes();
    config.pending.count_max = 6;
    run(config);
}
