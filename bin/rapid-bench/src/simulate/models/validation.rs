//! Validation with post-values: transactions that do not depend on each other, on so many workers.

use super::{Simulated, moment::Moment};
use crate::simulate::trace::Trace;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// The first worker goes through the block from the front, the others take the longest there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validation {
    /// Threads that execute.
    pub(crate) workers: usize,
    /// What validating adds to each transaction.
    pub(crate) overhead_ns: f64,
    /// What is done for each transaction by one thread, before and after.
    pub(crate) serial_ns: f64,
}

impl Validation {
    pub(crate) fn run(&self, trace: &Trace) -> Simulated {
        let cost = |index: usize| trace.tasks[index].cost_ns + self.overhead_ns;
        let mut left: BTreeSet<(Moment, Reverse<usize>)> = (0..trace.tasks.len())
            .map(|index| (Moment(cost(index)), Reverse(index)))
            .collect();
        let mut front = 0;
        let mut free: BinaryHeap<_> = (0..self.workers)
            .map(|worker| Reverse((Moment(0.0), worker)))
            .collect();
        let mut end = 0.0_f64;
        while !left.is_empty() {
            let Some(Reverse((Moment(now), worker))) = free.pop() else {
                break;
            };
            let taken = if worker == 0 {
                while !left.contains(&(Moment(cost(front)), Reverse(front))) {
                    front += 1;
                }
                front
            } else {
                left.last().map_or(0, |(_, Reverse(index))| *index)
            };
            left.remove(&(Moment(cost(taken)), Reverse(taken)));
            let done = now + cost(taken);
            end = end.max(done);
            free.push(Reverse((Moment(done), worker)));
        }
        Simulated {
            end_ns: end + self.serial_ns * trace.tasks.len() as f64,
            executions: trace.tasks.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::models::task;

    fn end(costs: &[f64], workers: usize) -> f64 {
        let trace = Trace {
            // One key that all write: post-values make them independent.
            tasks: costs.iter().map(|&cost| task(cost, 0, &[0], &[0])).collect(),
            keys: 1,
        };
        let model = Validation {
            workers,
            overhead_ns: 1.0,
            serial_ns: 0.5,
        };
        model.run(&trace).end_ns
    }

    #[test]
    fn one_worker_does_all() {
        assert_eq!(end(&[10.0, 20.0, 30.0], 1), 63.0 + 1.5);
    }

    /// Worker 0 takes 5 and then 6, worker 1 takes 40 first: 41 and not 11 + 41.
    #[test]
    fn a_long_one_at_the_end_is_begun_at_once() {
        assert_eq!(end(&[5.0, 6.0, 40.0], 2), 41.0 + 1.5);
    }

    #[test]
    fn more_workers_than_transactions() {
        assert_eq!(end(&[10.0, 30.0], 8), 31.0 + 1.0);
    }
}
