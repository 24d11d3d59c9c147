//! The transactions of one sender: each sees what the one before it left, so they run one after the other.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use super::job::Task;

/// The transactions of one sender that were handed out and have not run, by nonce.
///
/// At most one worker has a chain at a time: the one that took it from a queue. A chain that nobody has and that is in no
/// queue is at rest, and whoever adds to it puts it into one; or it stopped, because its first transaction did not commit.
#[derive(Debug)]
pub(crate) struct Chain<J>(Mutex<State<J>>);

#[derive(Debug)]
struct State<J> {
    waiting: VecDeque<Task<J>>,
    at_rest: bool,
}

/// What a chain goes on with.
#[derive(Debug)]
pub(crate) enum Next<J> {
    /// This, which stays first until it [ended](Chain::ended).
    Task(Task<J>),
    /// Nothing: the chain is at rest.
    Rest,
}

impl<J: Clone> Chain<J> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            waiting: VecDeque::new(),
            at_rest: true,
        })))
    }

    /// Adds a transaction; `true` if the chain was at rest, and is the caller's to put into a queue.
    pub(crate) fn push(&self, task: Task<J>) -> bool {
        let mut state = self.0.lock();
        state.waiting.push_back(task);
        std::mem::take(&mut state.at_rest)
    }

    /// The transaction whose turn it is, for the worker that has the chain.
    pub(crate) fn first(&self) -> Next<J> {
        let mut state = self.0.lock();
        match state.waiting.front() {
            Some(task) => Next::Task(task.clone()),
            None => {
                state.at_rest = true;
                Next::Rest
            }
        }
    }

    /// The first transaction is done; what is next.
    pub(crate) fn ended(&self) -> Next<J> {
        self.0.lock().waiting.pop_front();
        self.first()
    }

    /// The first transaction did not commit. What depends on it, and what is added meanwhile, stays where it is until it is
    /// [withdrawn](Self::withdraw).
    pub(crate) fn stop(&self) {
        self.0.lock().waiting.pop_front();
    }

    /// Takes everything away from a chain that stopped, which is at rest then.
    pub(crate) fn withdraw(&self) -> Vec<Task<J>> {
        let mut state = self.0.lock();
        state.at_rest = true;
        state.waiting.drain(..).collect()
    }
}
