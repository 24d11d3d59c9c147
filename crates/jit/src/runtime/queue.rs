//! Contracts that wait to be compiled.

use std::{sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};
use revm::bytecode::Bytecode;

use super::slot::Slot;
use crate::Tier;

/// One contract to compile. Its slot is pending.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) slot: Arc<Slot>,
    pub(super) bytecode: Bytecode,
    pub(super) tier: Tier,
    /// Gas at which it was due.
    pub(super) target: u64,
}

/// Order of compilation: what transactions have heated first, then by how many times hotter than due it is. The heat goes
/// on growing while a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    is_paid: bool,
    overdue: u128,
}

impl Job {
    fn urgency(&self) -> Urgency {
        let warmth = self.slot.warmth();
        Urgency {
            is_paid: warmth.paid >= self.target / 2,
            overdue: (u128::from(warmth.total()) << 64) / u128::from(self.target.max(1)),
        }
    }
}

/// The waiting jobs, at most `len_max`. When full, the least urgent of the old ones and the new one is dropped.
///
/// Urgency changes while a job waits, so it is looked at when it matters: 2048 jobs take some ten microseconds, once per
/// compilation, and when the queue is full once per contract that has burnt a million gas.
#[derive(Debug)]
pub(super) struct JobQueue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    len_max: usize,
}

#[derive(Debug)]
struct Waiting {
    jobs: Vec<Job>,
    is_closed: bool,
}

/// Which jobs a worker may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admit {
    Nothing,
    Paid,
    All,
}

/// What a worker gets.
#[derive(Debug)]
pub(super) enum Next {
    Job(Job),
    TimedOut,
    Closed,
}

impl JobQueue {
    pub(super) const fn new(len_max: usize) -> Self {
        let waiting = Waiting {
            jobs: Vec::new(),
            is_closed: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
            len_max,
        }
    }

    /// Adds a job. Returns the one that is dropped, if one is.
    pub(super) fn push(&self, job: Job) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Some(job);
        }
        waiting.jobs.push(job);
        let dropped = (waiting.jobs.len() > self.len_max)
            .then(|| waiting.take_by(|jobs| jobs.min_by_key(|(_, urgency)| *urgency)))
            .flatten();
        drop(waiting);
        self.changed.notify_one();
        dropped
    }

    /// The most urgent job that is admitted; waits for one at most for `timeout`.
    pub(super) fn next(&self, admit: Admit, timeout: Duration) -> Next {
        let mut waiting = self.waiting.lock();
        for waited in [false, true] {
            if waiting.is_closed {
                return Next::Closed;
            }
            if let Some(job) = waiting.take_most_urgent(admit) {
                return Next::Job(job);
            }
            if !waited {
                self.changed.wait_for(&mut waiting, timeout);
            }
        }
        Next::TimedOut
    }

    /// Wakes the workers: what is admitted may have changed.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Drops all jobs; none comes in or out any more.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        waiting.jobs = Vec::new();
        drop(waiting);
        self.changed.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().jobs.len()
    }

    pub(super) const fn len_max(&self) -> usize {
        self.len_max
    }
}

impl Waiting {
    fn take_most_urgent(&mut self, admit: Admit) -> Option<Job> {
        match admit {
            Admit::Nothing => None,
            Admit::Paid => self.take_by(|jobs| {
                jobs.filter(|(_, urgency)| urgency.is_paid)
                    .max_by_key(|(_, urgency)| *urgency)
            }),
            Admit::All => self.take_by(|jobs| jobs.max_by_key(|(_, urgency)| *urgency)),
        }
    }

    fn take_by(
        &mut self,
        choose: impl FnOnce(&mut dyn Iterator<Item = (usize, Urgency)>) -> Option<(usize, Urgency)>,
    ) -> Option<Job> {
        let mut urgencies = self.jobs.iter().map(Job::urgency).enumerate();
        let (at, _) = choose(&mut urgencies)?;
        Some(self.jobs.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use revm::primitives::hardfork::SpecId;

    use super::*;
    use crate::runtime::{
        rules_list::RulesList,
        slot::{HeatSource, Key, Next as NextStep, Warmth},
    };

    fn job(number: u8, source: HeatSource, gas: u64) -> Job {
        let table = revm::interpreter::instructions::gas_table_spec(SpecId::CANCUN);
        let params = revm::context_interface::cfg::GasParams::new_spec(SpecId::CANCUN);
        let key = Key {
            hash: B256::repeat_byte(number),
            rules: RulesList::new().id(SpecId::CANCUN, &table, &params).unwrap(),
        };
        let slot = Slot::new(key, NextStep::Pending, Warmth::default());
        slot.heat(source, gas);
        Job {
            slot: Arc::new(slot),
            bytecode: Bytecode::new(),
            tier: Tier::Fast,
            target: 1000,
        }
    }

    fn next(queue: &JobQueue, admit: Admit) -> Option<u8> {
        match queue.next(admit, Duration::ZERO) {
            Next::Job(job) => Some(job.slot.key().hash[0]),
            Next::TimedOut | Next::Closed => None,
        }
    }

    #[test]
    fn hottest_first_by_present_heat() {
        let queue = JobQueue::new(8);
        let late = job(3, HeatSource::Transaction, 1000);
        let slot = Arc::clone(&late.slot);
        assert!(queue.push(late).is_none());
        assert!(queue.push(job(1, HeatSource::Transaction, 2000)).is_none());
        assert!(queue.push(job(2, HeatSource::Transaction, 3000)).is_none());
        slot.heat(HeatSource::Transaction, 9000);
        let order: Vec<_> = std::iter::from_fn(|| next(&queue, Admit::All)).collect();
        assert_eq!(order, [3, 2, 1]);
    }

    #[test]
    fn paid_heat_goes_before_any_called_heat() {
        let queue = JobQueue::new(8);
        assert!(queue.push(job(1, HeatSource::Call, u64::MAX)).is_none());
        assert_eq!(next(&queue, Admit::Paid), None);
        assert!(queue.push(job(2, HeatSource::Transaction, 1000)).is_none());
        assert_eq!(next(&queue, Admit::Nothing), None);
        assert_eq!(next(&queue, Admit::All), Some(2));
        assert_eq!(next(&queue, Admit::All), Some(1));
    }

    #[test]
    fn full_queue_drops_the_coldest() {
        let queue = JobQueue::new(2);
        assert!(queue.push(job(1, HeatSource::Transaction, 1000)).is_none());
        assert!(queue.push(job(2, HeatSource::Transaction, 3000)).is_none());
        let dropped = queue.push(job(3, HeatSource::Transaction, 2000)).unwrap();
        assert_eq!(dropped.slot.key().hash[0], 1);
        let dropped = queue.push(job(4, HeatSource::Call, u64::MAX)).unwrap();
        assert_eq!(dropped.slot.key().hash[0], 4);
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn closed_queue_takes_and_gives_nothing() {
        let queue = JobQueue::new(2);
        assert!(queue.push(job(1, HeatSource::Transaction, 1000)).is_none());
        queue.close();
        assert_eq!(queue.len(), 0);
        assert!(queue.push(job(2, HeatSource::Transaction, 1000)).is_some());
        assert!(matches!(queue.next(Admit::All, Duration::MAX), Next::Closed));
    }
}
