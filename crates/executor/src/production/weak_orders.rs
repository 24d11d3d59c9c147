//! Lanes, and how threads sleep and are woken, in every order of steps there is and with every value that the orders of memory
//! accesses allow.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p rapid-executor --lib weak_orders
//! ```
//!
//! Each test explores all schedules with at most [`PREEMPTIONS`] preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says.
//! Nobody is woken by a deadline, so a wake-up that is lost ends in a deadlock, which fails the test. Executions do nothing
//! but count, relaxed: what hands a transaction on has to hand on what the one before left.

use std::sync::Arc;

use alloy_consensus::Transaction;
use alloy_primitives::Address;
use rapid_chainspec::ChainSpec;
use rapid_primitives::CommitSequence;
use rapid_state::{State, StateConfig};
use rapid_sync::{
    Parker,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Relaxed},
    },
    explore, now, thread,
};

use super::{
    Class, Executed, Production, ProductionConfig,
    attempt::{Attempt, Attempts, Post, Verdict},
    injector::{Injector, Runnable},
    job::{Job, Length, Task},
    lane::Lane,
    model::{Claimed, sender_of},
    outbox::Outcome,
    shared::Shared,
    starting::Ground,
    worker::{Own, Waiting, Worker},
};
use crate::{Pinning, transfer};

/// Preemptions in a schedule: what is known to go wrong needs one or two.
const PREEMPTIONS: usize = 2;

/// Senders there are.
const SENDERS: usize = 2;

/// What executions leave behind.
#[derive(Debug, Default)]
struct Traces {
    /// By sender: the next nonce. Relaxed: who executes the next one has to know of the one before.
    nonces: [AtomicU64; SENDERS],
    /// How many there were, where they are one after the other: two at the same time count as one.
    in_turn: AtomicU64,
    commits: AtomicU64,
}

impl Traces {
    fn check(&self, expected: [u64; SENDERS]) {
        let nonces = self.nonces.each_ref().map(|nonce| nonce.load(Relaxed));
        assert_eq!(nonces, expected, "everything is executed once");
    }
}

struct Counting(Arc<Traces>);

impl Attempts<Claimed> for Counting {
    fn look_ahead<'j>(&mut self, _: impl Iterator<Item = &'j Claimed>)
    where
        Claimed: 'j,
    {
    }

    fn attempt(&mut self, post: Post<'_, Claimed>, job: &mut Option<Claimed>) -> Attempt {
        let job = job.take().expect("a transaction is given");
        let sender = usize::from(job.sender[19] - sender_of(0)[19]);
        let (seen, nonce) = (self.0.nonces[sender].load(Relaxed), job.transaction().nonce());
        let before = self.0.in_turn.load(Relaxed);
        self.0.in_turn.store(before + 1, Relaxed);
        // Not an assertion here: a worker that panics goes on.
        self.0.nonces[sender].store(if seen == nonce { nonce + 1 } else { u64::MAX }, Relaxed);
        let sequence = CommitSequence(self.0.commits.fetch_add(1, AcqRel));
        let executed = Executed {
            job,
            sequence,
            result: transfer::result(),
            changes: Vec::new(),
            accesses: None,
            fee: Default::default(),
            nanoseconds: 0,
        };
        post.shared.outboxes[post.worker]
            .lock()
            .outcomes
            .push(Outcome::Executed(executed));
        Attempt {
            verdict: Verdict::Committed,
            ended: now(),
        }
    }

    fn start_over(&mut self) {
        panic!("an execution failed");
    }
}

fn transaction(sender: u8, nonce: u64) -> Claimed {
    Claimed::new(sender, nonce, Address::ZERO, 1)
}

/// Production with one worker beside the thread that hands out.
fn production(wake: impl Fn() + Send + Sync + 'static) -> (Production<Claimed>, Arc<Traces>) {
    let traces = Arc::new(Traces::default());
    let counted = Arc::clone(&traces);
    let ground = Ground {
        spec: Arc::new(ChainSpec::realtime()),
        state: State::new(StateConfig::default()).expect("a small state"),
        attempts: move || Counting(Arc::clone(&counted)),
    };
    let config = ProductionConfig {
        workers: 2,
        spin: false,
        pinning: Pinning::Free,
    };
    let production = Production::start_on(ground, config, wake).expect("a thread");
    (production, traces)
}

#[test]
fn a_lane_goes_from_worker_to_worker_and_loses_nothing() {
    explore(PREEMPTIONS, || {
        let shared = Arc::new(Shared::new(
            Arc::new(ChainSpec::realtime()),
            Injector::new(4),
            2,
            Box::new(|| {}),
        ));
        let traces = Arc::new(Traces::default());
        let lane = Lane::new();
        // What is more urgent puts the lane into another queue as well.
        let classes = [1, 0].map(Class::new);
        let enter = |sender: u8, nonce| {
            let class = classes[usize::from(sender)];
            let task = Task {
                job: transaction(sender, nonce),
                class,
            };
            if lane.enter(task) {
                let runnable = Runnable::Lane(Arc::clone(&lane), class);
                shared.injector.push(runnable, class, Length::Short);
            }
        };
        let worker = |number| {
            let (shared, traces) = (Arc::clone(&shared), Arc::clone(&traces));
            Worker::new(number, Waiting::Sleep, shared, Counting(traces))
        };
        let mut own = worker(0);
        let other = worker(1);
        // It runs a lane for two transactions at a time.
        enter(0, 0);
        enter(1, 0);
        let other = thread::spawn(move || {
            let mut other = other;
            while other.work().is_some() {}
        });
        enter(1, 1);
        enter(0, 1);
        while own.work().is_some() {}
        other.join().expect("it does not panic");
        // Whoever found the lane taken left it to who had it.
        while own.work().is_some() {}
        traces.check([2, 2]);
        assert_eq!(traces.in_turn.load(Relaxed), 4, "one at a time");
        assert_eq!(shared.done(), 4);
    });
}

#[test]
fn a_worker_that_falls_asleep_is_woken_for_what_is_pushed_and_to_stop() {
    explore(PREEMPTIONS, || {
        let (mut production, traces) = production(|| {});
        production.hand_out(transaction(0, 0), Class::default());
        // This thread does not work, so the other has to.
        let done = Arc::clone(&production.shared);
        while !done.has_done(1) {
            thread::yield_now();
        }
        production.collect();
        assert_eq!(production.executed.len(), 1);
        drop(production);
        traces.check([1, 0]);
    });
}

#[test]
fn the_thread_that_hands_out_sleeps_until_all_is_done() {
    explore(PREEMPTIONS, || {
        let (mut production, traces) = production(|| {});
        production.hand_out(transaction(0, 0), Class::default());
        production.hand_out(transaction(1, 0), Class::default());
        production.quiet();
        assert_eq!(production.executed.len(), 2);
        drop(production);
        traces.check([1, 1]);
    });
}

#[test]
fn what_waits_for_its_sender_is_let_go_by_a_thread_that_sleeps() {
    explore(PREEMPTIONS, || {
        let (mut production, traces) = production(|| {});
        production.hand_out(transaction(0, 0), Class::default());
        production.hand_out(transaction(0, 1), Class::default());
        assert_eq!(production.senders.waiting(), 1);
        production.quiet();
        assert_eq!(production.executed.len(), 2);
        drop(production);
        traces.check([2, 0]);
    });
}

/// As the loop of a sequencer does, which sleeps elsewhere and is woken by what it was started with.
#[test]
fn a_loop_that_asks_to_be_woken_is() {
    explore(PREEMPTIONS, || {
        let parker = Parker::new();
        let unparker = parker.unparker().clone();
        let (mut production, traces) = production(move || unparker.unpark());
        production.hand_out(transaction(0, 0), Class::default());
        production.hand_out(transaction(0, 1), Class::default());
        while !production.is_quiet() {
            if production.wake_when_quiet() {
                parker.park();
            }
            production.collect();
        }
        assert_eq!(production.executed.len(), 2);
        drop(production);
        traces.check([2, 0]);
    });
}
