//! Lanes: what is going to touch the same contended key runs one after the other, so that nothing is executed in vain.

use std::{collections::VecDeque, sync::Arc};

use rapid_sync::Mutex;

use super::job::{CLASSES, Class, Task};

/// Transactions that are expected to touch one contended key, the most urgent first.
///
/// At most one worker runs a lane. Whoever runs a lane holds nothing else and waits for nothing, so lanes cannot block each
/// other. A lane is a guess: a wrong one costs parallelism, and a key touched outside of it costs a conflict.
#[derive(Debug)]
pub(crate) struct Lane<J>(Mutex<State<J>>);

#[derive(Debug)]
struct State<J> {
    waiting: [VecDeque<Task<J>>; CLASSES],
    /// Whether a worker runs it.
    runs: bool,
    /// Classes in whose queues it is.
    queued: [bool; CLASSES],
}

impl<J> Lane<J> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            waiting: Default::default(),
            runs: false,
            queued: [false; CLASSES],
        })))
    }

    /// Leaves a transaction; `true` if the lane is to be put into the queue of its class, so that somebody finds it.
    #[must_use]
    pub(crate) fn enter(&self, task: Task<J>) -> bool {
        let class = task.class;
        let mut state = self.0.lock();
        state.waiting[class.index()].push_back(task);
        !state.runs && state.queue(class)
    }

    /// Takes the lane, which came out of the queue of this class; `false` if somebody has it or nothing waits.
    #[must_use]
    pub(crate) fn begin(&self, class: Class) -> bool {
        let mut state = self.0.lock();
        state.queued[class.index()] = false;
        let begins = !state.runs && state.first().is_some();
        state.runs |= begins;
        begins
    }

    /// The next transaction, for the worker that runs the lane; `None` gives the lane back.
    pub(crate) fn next(&self) -> Option<Task<J>> {
        let mut state = self.0.lock();
        let next = state.first().and_then(|class| state.waiting[class].pop_front());
        state.runs = next.is_some();
        next
    }

    /// Gives the lane back for others to run; tells the queue to put it into, if it is to be put into one.
    pub(crate) fn yield_up(&self) -> Option<Class> {
        let mut state = self.0.lock();
        state.runs = false;
        let class = Class::new(state.first()?);
        state.queue(class).then_some(class)
    }
}

impl<J> State<J> {
    /// The most urgent class that waits.
    fn first(&self) -> Option<usize> {
        self.waiting.iter().position(|waiting| !waiting.is_empty())
    }

    /// Notes that the lane goes into a queue, if it is in none as urgent.
    fn queue(&mut self, class: Class) -> bool {
        let queued = self.queued[..=class.index()].iter().any(|queued| *queued);
        self.queued[class.index()] |= !queued;
        !queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_found_by_one_worker_and_runs_the_most_urgent_first() {
        let lane = Lane::new();
        let (low, high) = (Class::new(3), Class::new(1));
        let task = |job, class| Task { job, class };
        assert!(lane.enter(task(0, low)));
        assert!(!lane.enter(task(1, low)), "it is in that queue");
        assert!(lane.enter(task(2, high)), "and has to be in a better one");
        assert!(lane.begin(high));
        assert!(!lane.begin(low), "somebody has it");
        let next = || lane.next().map(|task| task.job);
        assert_eq!((next(), next()), (Some(2), Some(0)));
        assert_eq!(lane.yield_up(), Some(low));
        assert!(lane.begin(low));
        assert_eq!((next(), next()), (Some(1), None));
        assert_eq!(lane.yield_up(), None);
        assert!(!lane.begin(high), "nothing waits");
    }
}
