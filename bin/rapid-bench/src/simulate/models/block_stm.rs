//! Block-STM: a fixed order, speculation on what earlier transactions wrote so far, repetition where that was wrong.

use super::{Simulated, moment::Moment};
use crate::simulate::trace::Trace;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// The lowest transaction first; what a repeated transaction wrote before is an estimate that readers wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockStm {
    /// Threads that execute.
    pub(crate) workers: usize,
    /// What versions and validation add to each execution.
    pub(crate) overhead_ns: f64,
}

/// Who wrote a value, and in which of its executions; `None` for the value before the block.
type Version = Option<(usize, usize)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ready,
    Running,
    /// Waits for a transaction that will write again.
    Waiting,
    Executed,
}

#[derive(Clone, Debug)]
struct Progress {
    status: Status,
    /// Times it was executed to the end.
    executions: usize,
    read: Vec<Version>,
    waiting: Vec<usize>,
}

struct InExecution<'a> {
    trace: &'a Trace,
    overhead_ns: f64,
    progress: Vec<Progress>,
    ready: BTreeSet<usize>,
    /// Of each key who wrote it and who read it, so far.
    writers: Vec<BTreeSet<usize>>,
    readers: Vec<BTreeSet<usize>>,
    idle: usize,
    events: BinaryHeap<Reverse<(Moment, usize)>>,
    started: usize,
    end: f64,
}

impl BlockStm {
    pub(crate) fn run(&self, trace: &Trace) -> Simulated {
        let fresh = Progress {
            status: Status::Ready,
            executions: 0,
            read: Vec::new(),
            waiting: Vec::new(),
        };
        let mut block = InExecution {
            trace,
            overhead_ns: self.overhead_ns,
            progress: vec![fresh; trace.tasks.len()],
            ready: (0..trace.tasks.len()).collect(),
            writers: vec![BTreeSet::new(); trace.keys],
            readers: vec![BTreeSet::new(); trace.keys],
            idle: self.workers,
            events: BinaryHeap::new(),
            started: 0,
            end: 0.0,
        };
        block.hire(0.0);
        while let Some(Reverse((Moment(now), task))) = block.events.pop() {
            block.idle += 1;
            block.end_of(now, task);
            block.hire(now);
        }
        Simulated {
            end_ns: block.end,
            executions: block.started,
        }
    }
}

impl InExecution<'_> {
    fn hire(&mut self, now: f64) {
        while self.idle > 0
            && let Some(task) = self.ready.pop_first()
        {
            if let Some(writer) = self.estimate_before(task) {
                self.progress[task].status = Status::Waiting;
                self.progress[writer].waiting.push(task);
                continue;
            }
            self.idle -= 1;
            self.started += 1;
            let read = self.versions(task);
            let progress = &mut self.progress[task];
            progress.status = Status::Running;
            progress.read = read;
            let end = now + self.trace.tasks[task].cost_ns + self.overhead_ns;
            self.events.push(Reverse((Moment(end), task)));
        }
    }

    fn last_writer_before(&self, key: usize, task: usize) -> Option<usize> {
        self.writers[key].range(..task).next_back().copied()
    }

    /// Who will write again what a transaction reads.
    fn estimate_before(&self, task: usize) -> Option<usize> {
        let mut keys = self.trace.tasks[task].touched.iter();
        keys.find_map(|&key| {
            self.last_writer_before(key, task)
                .filter(|&writer| self.progress[writer].status != Status::Executed)
        })
    }

    fn versions(&self, task: usize) -> Vec<Version> {
        let keys = self.trace.tasks[task].touched.iter();
        keys.map(|&key| {
            self.last_writer_before(key, task)
                .map(|writer| (writer, self.progress[writer].executions))
        })
        .collect()
    }

    fn end_of(&mut self, now: f64, task: usize) {
        for &key in &self.trace.tasks[task].touched {
            self.readers[key].insert(task);
        }
        for &key in &self.trace.tasks[task].written {
            self.writers[key].insert(task);
        }
        self.progress[task].executions += 1;
        self.progress[task].status = Status::Executed;
        self.end = self.end.max(now);
        if self.is_stale(task) {
            self.repeat(task);
        }
        let later: BTreeSet<usize> = self.trace.tasks[task]
            .written
            .iter()
            .flat_map(|&key| self.readers[key].range(task + 1..).copied())
            .collect();
        for reader in later {
            if self.progress[reader].status == Status::Executed && self.is_stale(reader) {
                self.repeat(reader);
            }
        }
        for waiting in std::mem::take(&mut self.progress[task].waiting) {
            self.progress[waiting].status = Status::Ready;
            self.ready.insert(waiting);
        }
    }

    /// Whether somebody wrote what a transaction had read.
    fn is_stale(&self, task: usize) -> bool {
        self.versions(task) != self.progress[task].read
    }

    fn repeat(&mut self, task: usize) {
        self.progress[task].status = Status::Ready;
        self.ready.insert(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{models::task, trace::Task};

    fn run(tasks: Vec<Task>, workers: usize) -> Simulated {
        let trace = Trace { tasks, keys: 1 };
        let model = BlockStm {
            workers,
            overhead_ns: 10.0,
        };
        model.run(&trace)
    }

    #[test]
    fn independent_transactions_share_the_workers() {
        let tasks = vec![task(90.0, 0, &[], &[]); 4];
        let expected = Simulated {
            end_ns: 200.0,
            executions: 4,
        };
        assert_eq!(run(tasks, 2), expected);
    }

    /// Both end at 100; the second has not seen what the first wrote and is repeated until 200.
    #[test]
    fn a_stale_read_is_repeated() {
        let tasks = vec![task(90.0, 0, &[0], &[0]); 2];
        let expected = Simulated {
            end_ns: 200.0,
            executions: 3,
        };
        assert_eq!(run(tasks, 2), expected);
    }

    /// At 100 the second and third are stale. The second is repeated; the third waits for what it will write, until 200, and
    /// ends at 300.
    #[test]
    fn estimates_are_waited_for() {
        let tasks = vec![task(90.0, 0, &[0], &[0]); 3];
        let expected = Simulated {
            end_ns: 300.0,
            executions: 5,
        };
        assert_eq!(run(tasks, 3), expected);
    }
}
