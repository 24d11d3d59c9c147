//! The block access list with one thread that commits in order.

use super::{Simulated, moment::Moment};
use crate::simulate::trace::Trace;
use std::{cmp::Reverse, collections::BinaryHeap};

/// Workers take transactions in order; one thread more takes their results in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer {
    /// Threads that execute.
    pub(crate) workers: usize,
    /// What reading through the list adds to each transaction.
    pub(crate) overhead_ns: f64,
    /// What committing one takes.
    pub(crate) commit_ns: f64,
}

impl Committer {
    pub(crate) fn run(&self, trace: &Trace) -> Simulated {
        let mut free: BinaryHeap<_> = vec![Reverse(Moment(0.0)); self.workers].into();
        let mut committed = 0.0_f64;
        for task in &trace.tasks {
            let Some(Reverse(Moment(now))) = free.pop() else {
                break;
            };
            let done = now + task.cost_ns + self.overhead_ns;
            free.push(Reverse(Moment(done)));
            committed = committed.max(done) + self.commit_ns;
        }
        Simulated {
            end_ns: committed,
            executions: trace.tasks.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::models::task;

    fn end(costs: &[f64], commit_ns: f64) -> f64 {
        let trace = Trace {
            tasks: costs.iter().map(|&cost| task(cost, 0, &[], &[])).collect(),
            keys: 0,
        };
        let model = Committer {
            workers: 2,
            overhead_ns: 0.0,
            commit_ns,
        };
        model.run(&trace).end_ns
    }

    /// Results at 10, 10, 20, 20; commits of 7 end at 17, 24, 31, 38.
    #[test]
    fn the_committer_is_the_limit() {
        assert_eq!(end(&[10.0; 4], 7.0), 38.0);
    }

    /// Results at 10, 10, 20, 20; the last one waits for the third.
    #[test]
    fn the_workers_are_the_limit() {
        assert_eq!(end(&[10.0; 4], 1.0), 22.0);
    }
}
