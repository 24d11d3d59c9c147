//! Executors as sequences of events: who is busy until when, and what that decides.
//!
//! Times are nanoseconds from the start of a block. The models know costs, keys and senders; they know nothing of memory
//! bandwidth, of caches between cores, of frequency.

mod block_stm;
mod committer;
mod moment;
mod production;
mod validation;

pub(crate) use block_stm::BlockStm;
pub(crate) use committer::Committer;
pub(crate) use production::{Lanes, Production};
pub(crate) use validation::Validation;

/// What a model comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Simulated {
    /// When the last transaction is done.
    pub(crate) end_ns: f64,
    /// How often a transaction was executed.
    pub(crate) executions: usize,
}

#[cfg(test)]
pub(crate) fn task(cost_ns: f64, sender: usize, touched: &[usize], written: &[usize]) -> super::trace::Task {
    super::trace::Task {
        cost_ns,
        sender,
        touched: touched.to_vec(),
        written: written.to_vec(),
    }
}
