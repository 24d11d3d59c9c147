//! How a transaction goes to the workers, from what is known of its like.

use std::sync::Arc;

use super::{
    contention::Contention,
    job::{Job, Length, Task},
    lane::Lane,
    length::Lengths,
    outbox::Lost,
};

/// How a transaction goes to the workers.
pub(crate) enum Route<J> {
    /// What it is going to touch is contended.
    Lane(Arc<Lane<J>>),
    /// By itself, to a worker that takes what may take long.
    Long,
    /// In a batch.
    WithOthers,
}

/// What is known of transactions. Owned by the thread that hands out.
#[derive(Debug)]
pub(crate) struct Router<J> {
    contention: Contention<J>,
    lengths: Lengths,
}

impl<J: Job> Router<J> {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            contention: Contention::new(workers),
            lengths: Lengths::default(),
        }
    }

    /// The way for a transaction, as far as is known now.
    pub(crate) fn route(&mut self, task: &Task<J>) -> Route<J> {
        let transaction = task.job.transaction();
        if let Some(lane) = self.contention.lane(transaction) {
            return Route::Lane(lane);
        }
        match self.lengths.expect(transaction) {
            Length::Short => Route::WithOthers,
            Length::Long => Route::Long,
        }
    }

    /// Learns from an execution in vain.
    pub(crate) fn lost(&mut self, lost: &Lost<J>) {
        self.contention
            .lost(lost.key, lost.job.transaction(), lost.nanoseconds);
    }

    /// Learns from an execution that took so long.
    pub(crate) fn executed(&mut self, job: &J, nanoseconds: u32) {
        self.lengths.note(job.transaction(), nanoseconds);
    }

    /// Forgets what is of no use any more. Once per block.
    pub(crate) fn decay(&mut self) {
        self.contention.decay();
    }

    /// Lanes there are.
    pub(crate) const fn lanes(&self) -> usize {
        self.contention.lanes()
    }
}
