//! Getting transactions back: executed, stopped, or to be run alone.

use std::time::{Duration, Instant};

use alloy_primitives::Address;
use rapid_primitives::CommitSequence;
use rapid_sync::now;

use super::{
    Class, Executed, Job, Production, Stopped,
    outbox::{Obstacle, Outcome, Stop},
};

impl<J: Job> Production<J> {
    /// Takes what the workers have done, and gives them what was kept back. Never waits.
    pub fn collect(&mut self) {
        self.close_batch();
        if self.ledger.in_flight == 0 {
            return;
        }
        let now = now();
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for worker in 0..self.shared.outboxes.len() {
            let worked = self.shared.outboxes[worker]
                .lock()
                .empty_into(&mut outcomes, &mut self.lost);
            self.efficiency.worked(worked);
            self.learn();
            for outcome in outcomes.drain(..) {
                match outcome {
                    Outcome::Executed(executed) => self.executed(executed, now),
                    Outcome::Stopped(stop) => self.stopped(stop),
                }
            }
        }
        self.outcomes = outcomes;
        self.close_batch();
        if self.ledger.in_flight == 0 {
            self.efficiency.idle();
        }
        self.metrics.lanes.set(self.router.lanes() as f64);
    }

    fn learn(&mut self) {
        for lost in self.lost.drain(..) {
            self.metrics.lost.increment(1);
            self.efficiency
                .lost(Duration::from_nanos(lost.nanoseconds.into()));
            self.router.lost(&lost);
        }
    }

    fn executed(&mut self, executed: Executed<J>, now: Instant) {
        self.router.executed(&executed.job, executed.nanoseconds);
        let took = Duration::from_nanos(executed.nanoseconds.into());
        self.efficiency.executed(took, now);
        self.ledger.collected(&executed.job);
        self.ledger.executed(&executed);
        let sender = executed.job.sender();
        self.executed.push(executed);
        self.let_go(sender);
    }

    fn stopped(&mut self, stop: Stop<J>) {
        let sender = stop.job.sender();
        let mut behind = stop.successors;
        behind.extend(self.senders.forget(&sender));
        self.ledger.collected(&stop.job);
        behind.iter().for_each(|task| self.ledger.collected(&task.job));
        match stop.obstacle {
            Obstacle::Alone(why) => {
                self.metrics.alone[why as usize].increment(1);
                let behind = behind.into_iter().map(|task| (task.job, task.class));
                self.alone.add(stop.job, behind);
            }
            Obstacle::Stops(reason) => self.stopped.push_back(Stopped {
                job: stop.job,
                reason,
                successors: behind.into_iter().map(|task| task.job).collect(),
            }),
        }
    }

    /// The next transaction that was not executed.
    pub fn next_stopped(&mut self) -> Option<Stopped<J>> {
        self.stopped.pop_front()
    }

    /// Ends a version of the state, and takes the transactions of it that were executed since the last, in the order of their commits.
    pub fn cut(&mut self) -> (CommitSequence, Vec<Executed<J>>) {
        let version = self.state.cut();
        // A worker commits under the lock of its outbox, so what is in the version is in the outboxes.
        self.collect();
        let mut of_version = std::mem::take(&mut self.executed);
        self.executed = of_version
            .extract_if(.., |executed| executed.sequence > version)
            .collect();
        of_version.sort_unstable_by_key(|executed| executed.sequence);
        of_version.iter().for_each(|executed| self.ledger.cut(executed));
        (version, of_version)
    }

    /// Transactions that wait to run while nothing else does.
    #[must_use]
    pub fn alone_len(&self) -> usize {
        self.alone.len()
    }

    /// Takes the next of them: whose sender was let run least. The caller executes it itself, while the workers are [quiet](Self::is_quiet) and what was
    /// executed is [cut](Self::cut), and tells [what became of it](Self::ran_alone).
    pub fn next_alone(&mut self) -> Option<J> {
        self.alone.next()
    }

    /// Later transactions of a sender whose transaction ran alone, by nonce, to be handed out or given back.
    #[must_use]
    pub fn ran_alone(&mut self, sender: Address) -> Vec<(J, Class)> {
        self.alone.take_behind(&sender)
    }
}
