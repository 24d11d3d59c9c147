//! A batch: transactions that one worker executes one after the other.
//!
//! What goes from core to core costs more than a short transaction, so short ones go together. All that workers have of one
//! sender is in one batch: the order of its nonces needs no more than that.

use std::collections::VecDeque;

use alloy_consensus::Transaction;
use rapid_sync::CHECKED;

use super::job::{Class, Job, Length, Task};

/// Transactions of different senders in a batch.
const TASKS_MAX: usize = if CHECKED { 2 } else { 8 };

/// Gas limits in a batch that is complete, together: a dozen transfers, a few calls, one swap.
const GAS_MAX: u64 = 250_000;

/// Transactions of one sender in a batch.
pub(crate) const RUN_MAX: usize = if CHECKED { 2 } else { 16 };

/// Transactions of one class in the order in which they are executed.
#[derive(Debug)]
pub(crate) struct Batch<J> {
    pub(crate) tasks: VecDeque<Task<J>>,
    pub(crate) class: Class,
    pub(crate) length: Length,
}

/// A batch that is being filled.
#[derive(Debug)]
pub(crate) struct OpenBatch<J> {
    tasks: VecDeque<Task<J>>,
    class: Class,
    gas: u64,
    /// Which batch it is.
    number: u64,
}

impl<J> Batch<J> {
    /// These, which are of one class.
    pub(crate) fn of(tasks: VecDeque<Task<J>>, length: Length) -> Self {
        Self {
            class: tasks.front().map_or_else(Class::default, |task| task.class),
            length,
            tasks,
        }
    }
}

impl<J: Job> Batch<J> {
    /// Takes what is left of a sender's.
    pub(crate) fn take_of(&mut self, sender: &alloy_primitives::Address) -> Vec<Task<J>> {
        let mut taken = Vec::new();
        let mut index = 0;
        while let Some(task) = self.tasks.get(index) {
            if task.job.sender() != *sender {
                index += 1;
            } else if let Some(task) = self.tasks.remove(index) {
                taken.push(task);
            }
        }
        taken
    }
}

impl<J> Default for OpenBatch<J> {
    fn default() -> Self {
        Self {
            tasks: VecDeque::new(),
            class: Class::default(),
            gas: 0,
            number: 0,
        }
    }
}

impl<J: Job> OpenBatch<J> {
    /// Number of the batch that is open.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether a transaction of this class goes into it, and not into the next.
    pub(crate) fn takes(&self, class: Class) -> bool {
        self.tasks.is_empty() || self.class == class
    }

    /// Adds a transaction; `true` if the batch is complete.
    pub(crate) fn push(&mut self, task: Task<J>) -> bool {
        self.class = task.class;
        self.gas = self.gas.saturating_add(task.job.transaction().gas_limit());
        self.tasks.push_back(task);
        self.tasks.len() >= TASKS_MAX || self.gas >= GAS_MAX
    }

    /// What is in it; the next one is open then.
    pub(crate) fn close(&mut self) -> Option<Batch<J>> {
        if self.tasks.is_empty() {
            return None;
        }
        self.number += 1;
        self.gas = 0;
        Some(Batch {
            tasks: std::mem::replace(&mut self.tasks, VecDeque::with_capacity(TASKS_MAX)),
            class: self.class,
            length: Length::Short,
        })
    }
}
