//! Production: an order that comes from who commits first, executed on committed values only.

use super::{Simulated, moment::Moment};
use crate::simulate::trace::Trace;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// Whether hot keys get lanes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lanes {
    /// None do.
    Off,
    /// A key gets one once so many transactions have lost a race for it.
    After {
        /// Lost races.
        losses: usize,
        /// What waiting at a lane costs who waits.
        park_ns: f64,
    },
}

/// Workers take the transactions of ready senders; a commit is refused if what was read has changed, and executed
/// again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Production {
    /// Threads that execute.
    pub(crate) workers: usize,
    /// What recording reads and committing adds to each execution.
    pub(crate) overhead_ns: f64,
    /// What the thread that hands out and collects does for each transaction; it executes none.
    pub(crate) dispatch_ns: f64,
    /// Hot keys.
    pub(crate) lanes: Lanes,
}

impl Production {
    pub(crate) fn run(&self, trace: &Trace) -> Simulated {
        let mut block = InProduction::begin(self, trace);
        block.hire(0.0);
        while let Some(Reverse((Moment(now), worker, event))) = block.events.pop() {
            block.happen(now, worker, event);
            let next = block.events.peek().map(|Reverse((moment, ..))| *moment);
            // What happens at the same moment is known to whoever begins something then.
            if next != Some(Moment(now)) {
                block.hire(now);
            }
        }
        Simulated {
            end_ns: block.end.max(self.dispatch_ns * trace.tasks.len() as f64),
            executions: block.executions,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A worker gave a transaction to a lane and has nothing to do.
    Parked,
    /// A worker comes to the end of a transaction that it began at this moment.
    Executed { task: usize, began: Moment },
}

#[derive(Debug, Default)]
struct Lane {
    losses: usize,
    holder: Option<usize>,
    waiting: VecDeque<usize>,
}

struct InProduction<'a> {
    model: &'a Production,
    trace: &'a Trace,
    /// First transaction of each sender that nobody has begun, in order of arrival.
    ready: VecDeque<usize>,
    /// The sender's next transaction.
    successor: Vec<Option<usize>>,
    idle: Vec<usize>,
    events: BinaryHeap<Reverse<(Moment, usize, Event)>>,
    /// When each key was last written.
    written: Vec<f64>,
    lanes: Vec<Lane>,
    end: f64,
    executions: usize,
}

impl<'a> InProduction<'a> {
    fn begin(model: &'a Production, trace: &'a Trace) -> Self {
        let mut last_of_sender: Vec<Option<usize>> = Vec::new();
        let mut successor = vec![None; trace.tasks.len()];
        let mut ready = VecDeque::new();
        for (index, task) in trace.tasks.iter().enumerate() {
            if last_of_sender.len() <= task.sender {
                last_of_sender.resize(task.sender + 1, None);
            }
            match last_of_sender[task.sender].replace(index) {
                None => ready.push_back(index),
                Some(before) => successor[before] = Some(index),
            }
        }
        Self {
            model,
            trace,
            ready,
            successor,
            idle: (0..model.workers).rev().collect(),
            events: BinaryHeap::new(),
            written: vec![f64::NEG_INFINITY; trace.keys],
            lanes: (0..trace.keys).map(|_| Lane::default()).collect(),
            end: 0.0,
            executions: 0,
        }
    }

    /// Gives idle workers what is ready.
    fn hire(&mut self, now: f64) {
        while !self.ready.is_empty()
            && let Some(worker) = self.idle.pop()
        {
            if let Some(task) = self.ready.pop_front() {
                self.take_up(now, worker, task);
            }
        }
    }

    /// Begins a transaction, or gives it to the lane of its hottest key.
    fn take_up(&mut self, now: f64, worker: usize, task: usize) {
        if let Some((key, park_ns)) = self.lane_of(task) {
            let lane = &mut self.lanes[key];
            if lane.holder.is_some_and(|holder| holder != task) {
                lane.waiting.push_back(task);
                let parked = Moment(now + park_ns);
                self.events.push(Reverse((parked, worker, Event::Parked)));
                return;
            }
            lane.holder = Some(task);
        }
        self.execute(now, worker, task);
    }

    fn execute(&mut self, now: f64, worker: usize, task: usize) {
        self.executions += 1;
        let done = now + self.trace.tasks[task].cost_ns + self.model.overhead_ns;
        let began = Moment(now);
        let event = Event::Executed { task, began };
        self.events.push(Reverse((Moment(done), worker, event)));
    }

    /// The hottest key of a transaction that has a lane.
    fn lane_of(&self, task: usize) -> Option<(usize, f64)> {
        let Lanes::After { losses, park_ns } = self.model.lanes else {
            return None;
        };
        let keys = self.trace.tasks[task].touched.iter().copied();
        keys.filter(|&key| self.lanes[key].losses >= losses)
            .max_by_key(|&key| self.lanes[key].losses)
            .map(|key| (key, park_ns))
    }

    fn happen(&mut self, now: f64, worker: usize, event: Event) {
        let Event::Executed { task, began } = event else {
            self.idle.push(worker);
            return;
        };
        let touched = &self.trace.tasks[task].touched;
        if let Some(&changed) = touched.iter().find(|&&key| self.written[key] > began.0) {
            self.lanes[changed].losses += 1;
            self.take_up(now, worker, task);
            return;
        }
        for &key in &self.trace.tasks[task].written {
            self.written[key] = now;
        }
        self.end = self.end.max(now);
        self.ready.extend(self.successor[task]);
        match self.leave_lane(task) {
            // Who leaves a lane goes on with who waits for it.
            Some(next) => self.execute(now, worker, next),
            None => self.idle.push(worker),
        }
    }

    /// Ends a transaction's hold of its lane, and gives it to the next.
    fn leave_lane(&mut self, task: usize) -> Option<usize> {
        let mut keys = self.trace.tasks[task].touched.iter();
        let held = *keys.find(|&&key| self.lanes[key].holder == Some(task))?;
        let lane = &mut self.lanes[held];
        lane.holder = lane.waiting.pop_front();
        lane.holder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{models::task, trace::Task};

    fn run(tasks: Vec<Task>, workers: usize, lanes: Lanes) -> Simulated {
        let keys = tasks.iter().flat_map(|task| &task.touched).max();
        let trace = Trace {
            keys: keys.map_or(0, |key| key + 1),
            tasks,
        };
        let model = Production {
            workers,
            overhead_ns: 10.0,
            dispatch_ns: 15.0,
            lanes,
        };
        model.run(&trace)
    }

    /// Eight are handed out in 120, however many take them.
    #[test]
    fn who_hands_out_is_a_limit() {
        let tasks = || (0..8).map(|sender| task(20.0, sender, &[], &[])).collect();
        assert_eq!(run(tasks(), 8, Lanes::Off).end_ns, 120.0);
        assert_eq!(run(tasks(), 1, Lanes::Off).end_ns, 240.0);
    }

    #[test]
    fn independent_transactions_share_the_workers() {
        let tasks = (0..4).map(|sender| task(100.0, sender, &[], &[])).collect();
        let expected = Simulated {
            end_ns: 220.0,
            executions: 4,
        };
        assert_eq!(run(tasks, 2, Lanes::Off), expected);
    }

    #[test]
    fn a_sender_is_never_in_two_places() {
        let tasks = vec![task(100.0, 0, &[], &[]); 3];
        assert_eq!(run(tasks, 8, Lanes::Off).end_ns, 330.0);
    }

    /// Both end at 110. The second has read what the first wrote meanwhile, and is executed again until 220.
    #[test]
    fn who_loses_a_race_runs_again() {
        let tasks = (0..2).map(|sender| task(100.0, sender, &[0], &[0])).collect();
        let expected = Simulated {
            end_ns: 220.0,
            executions: 3,
        };
        assert_eq!(run(tasks, 2, Lanes::Off), expected);
    }

    #[test]
    fn readers_do_not_race_with_each_other() {
        let tasks = (0..2).map(|sender| task(100.0, sender, &[0], &[])).collect();
        assert_eq!(run(tasks, 2, Lanes::Off).executions, 2);
    }

    /// The first two race until 110, where the second loses and makes the lane. It holds it until 220, while the third is
    /// parked by the other worker, which goes on with the fourth from 115 to 225. The third runs from 220 to 330.
    #[test]
    fn a_lane_keeps_the_others_busy() {
        let hot = |sender| task(100.0, sender, &[0], &[0]);
        let tasks = vec![hot(0), hot(1), hot(2), task(100.0, 3, &[], &[])];
        let lanes = Lanes::After {
            losses: 1,
            park_ns: 5.0,
        };
        let expected = Simulated {
            end_ns: 330.0,
            executions: 5,
        };
        assert_eq!(run(tasks, 2, lanes), expected);
    }

    /// However many race, each lost race means that somebody else committed.
    #[test]
    fn everything_is_committed_once() {
        let tasks: Vec<_> = (0..50).map(|sender| task(10.0, sender, &[0], &[0])).collect();
        let simulated = run(tasks, 4, Lanes::Off);
        assert!(simulated.executions <= 50 * 4);
        assert_eq!(simulated.end_ns, 50.0 * 20.0, "one commit at a time");
    }
}
