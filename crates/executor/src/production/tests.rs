//! Queues, lanes, batches and sleep under real threads, with executions that do nothing but get in each other's way.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_consensus::{Signed, TxLegacy};
use alloy_primitives::{Address, Signature};
use rapid_chainspec::ChainSpec;
use rapid_primitives::TransactionSigned;

use super::{
    attempt::{Attempt, Attempts, Post, Verdict},
    batch::Batch,
    injector::{Injector, Runnable},
    job::{CLASSES, Class, Job, Length, Task},
    lane::Lane,
    shared::Shared,
    worker::{Waiting, Worker},
};

const WORKERS: usize = 4;
const LANES: usize = 3;
/// How long everything together may take before something counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// A transaction by its number, and the lane it is in.
#[derive(Clone, Debug)]
struct Numbered {
    number: usize,
    lane: Option<usize>,
    transaction: Arc<TransactionSigned>,
}

impl Job for Numbered {
    fn transaction(&self) -> &TransactionSigned {
        &self.transaction
    }

    fn sender(&self) -> Address {
        Address::left_padding_from(&self.number.to_be_bytes())
    }

    fn encoded_len(&self) -> usize {
        1
    }
}

/// What executions leave behind.
#[derive(Debug)]
struct Traces {
    executed: Vec<AtomicUsize>,
    busy: [AtomicBool; LANES],
}

struct Tracing(Arc<Traces>);

impl Attempts<Numbered> for Tracing {
    fn look_ahead<'j>(&mut self, _: impl Iterator<Item = &'j Numbered>)
    where
        Numbered: 'j,
    {
    }

    fn attempt(&mut self, _: Post<'_, Numbered>, job: &mut Option<Numbered>) -> Attempt {
        let Numbered { number, lane, .. } = job.take().expect("a transaction is given");
        let busy = lane.map(|lane| &self.0.busy[lane]);
        assert!(
            busy.is_none_or(|busy| !busy.swap(true, SeqCst)),
            "two workers run a lane"
        );
        if number % 3 == 0 {
            thread::yield_now();
        }
        self.0.executed[number].fetch_add(1, SeqCst);
        if let Some(busy) = busy {
            busy.store(false, SeqCst);
        }
        Attempt {
            verdict: Verdict::Committed,
            ended: Instant::now(),
        }
    }

    fn start_over(&mut self) {}
}

/// Gives so many transactions to workers by `give`, and waits until each was executed once.
fn run(count: usize, give: impl FnOnce(&Shared<Numbered>, &dyn Fn(usize, Option<usize>) -> Task<Numbered>)) {
    let shared = Arc::new(Shared::new(
        Arc::new(ChainSpec::realtime()),
        Injector::new(count),
        WORKERS,
        Box::new(|| {}),
    ));
    let traces = Arc::new(Traces {
        executed: (0..count).map(|_| AtomicUsize::new(0)).collect(),
        busy: Default::default(),
    });
    let threads: Vec<_> = (0..WORKERS)
        .map(|number| {
            let (shared, traces) = (Arc::clone(&shared), Arc::clone(&traces));
            let waiting = if number % 2 == 0 {
                Waiting::Sleep
            } else {
                Waiting::SpinFirst
            };
            thread::spawn(move || Worker::new(number, waiting, shared, Tracing(traces)).run())
        })
        .collect();
    let transaction = Signed::new_unhashed(TxLegacy::default(), Signature::test_signature());
    let transaction = Arc::new(TransactionSigned::from(transaction));
    give(&shared, &|number, lane| Task {
        job: Numbered {
            number,
            lane,
            transaction: Arc::clone(&transaction),
        },
        class: Class::new(number * 7 % CLASSES),
    });
    let since = Instant::now();
    while !shared.has_done(count) {
        assert!(since.elapsed() < PATIENCE, "{} of {count}", shared.done());
        thread::yield_now();
    }
    shared.injector.stop();
    for thread in threads {
        thread.join().expect("no worker panics");
    }
    assert!(traces.executed.iter().all(|times| times.load(SeqCst) == 1));
    assert_eq!(shared.done(), count);
}

#[test]
fn lanes_lose_nothing_and_are_run_by_one_worker_at_a_time() {
    let lanes: [Arc<Lane<Numbered>>; LANES] = std::array::from_fn(|_| Lane::new());
    run(30_000, |shared, task| {
        for number in 0..30_000 {
            let lane = &lanes[number % LANES];
            let task = task(number, Some(number % LANES));
            let class = task.class;
            if lane.enter(task) {
                let runnable = Runnable::Lane(Arc::clone(lane), class);
                shared.injector.push(runnable, class, Length::Short);
            }
            if number % 1_000 == 0 {
                // The workers fall asleep.
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
}

#[test]
fn batches_that_are_left_off_for_others_are_finished() {
    const BATCH: usize = 5;
    run(30_000, |shared, task| {
        for first in (0..30_000).step_by(BATCH) {
            let class = Class::new(first / BATCH % CLASSES);
            let tasks = (first..first + BATCH).map(|number| Task {
                class,
                ..task(number, None)
            });
            let length = if first % 11 == 0 {
                Length::Long
            } else {
                Length::Short
            };
            let batch = Batch::of(tasks.collect::<VecDeque<_>>(), length);
            shared.injector.push(Runnable::Batch(batch), class, length);
            if first % 1_000 == 0 {
                // The workers fall asleep.
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
}
