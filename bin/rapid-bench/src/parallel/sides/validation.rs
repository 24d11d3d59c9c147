//! The node's parallel validation of a block with a hint.

use super::{Run, Side, Subject};
use crate::{clock::timed_with_others, parallel::block::PARENT_HASH};
use eyre::ensure;
use rapid_evm::NoBlockHashes;
use rapid_executor::{HintVerdict, Pinning, ValidationInput, Workers, validate};
use rapid_state::Draft;
use std::num::NonZeroUsize;

/// Validation with its threads, of which the caller's is one.
#[derive(Debug)]
pub(super) struct Validation {
    workers: Workers,
}

impl Validation {
    /// Starts the threads.
    ///
    /// # Errors
    /// If one does not start.
    pub(super) fn start(workers: usize) -> eyre::Result<Self> {
        let workers = NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            workers: Workers::start(workers, &Pinning::Free)?,
        })
    }
}

impl Side for Validation {
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run> {
        let block = &subject.block;
        let state = block.state()?;
        let input = ValidationInput {
            spec: &block.spec,
            environment: &block.environment,
            parent_hash: PARENT_HASH,
            transactions: &block.transactions,
            senders: &block.senders,
            withdrawals: None,
            ommers: &[],
            block_hashes: &NoBlockHashes,
            compiler: &subject.compiler,
        };
        let hint = subject.hint.told.clone();
        let (validated, elapsed) =
            timed_with_others(|| validate(&self.workers, input, Draft::begin(state.published()), hint));
        let validated = validated?;
        subject.expected.check(&validated.receipts, &validated.draft)?;
        ensure!(validated.diff == subject.expected.diff, "the diff differs");
        let is_proven = validated.hint == HintVerdict::Proven;
        ensure!(
            is_proven == subject.hint.is_true,
            "the hint was taken for {:?}",
            validated.hint
        );
        Ok(Run::of(elapsed))
    }
}
