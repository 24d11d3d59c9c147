//! Lookups and indices: the thread `chain-history` writes them together with each block, in one transaction, so these
//! stages have to wait for it and nothing else.

use rapid_chain::Importer;

use crate::{ExecInput, ExecOutput, Stage, StageError, StageId, UnwindInput, UnwindOutput};

/// What history has as soon as it has a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    ids: &'static [StageId],
}

impl Stored {
    /// Transactions by hash.
    pub(crate) const LOOKUP: Self = Self {
        ids: &[StageId::TransactionLookup],
    };
    /// Past values by block.
    pub(crate) const INDICES: Self = Self {
        ids: &[StageId::IndexStorageHistory, StageId::IndexAccountHistory],
    };
    /// Everything.
    pub(crate) const FINISH: Self = Self {
        ids: &[StageId::Finish],
    };
}

impl Stage<Importer> for Stored {
    fn ids(&self) -> &'static [StageId] {
        self.ids
    }

    fn execute(&mut self, importer: &mut Importer, input: ExecInput) -> Result<ExecOutput, StageError> {
        importer.await_history()?;
        let stored = importer.chain().history().head()?.map_or(0, |head| head.number);
        let checkpoint = input.target.map_or(stored, |target| target.min(stored));
        Ok(ExecOutput {
            checkpoint,
            done: input.target.is_none_or(|target| checkpoint >= target),
        })
    }

    /// Execution takes the blocks out of history, with all that was written of them.
    fn unwind(&mut self, _: &mut Importer, input: UnwindInput) -> Result<UnwindOutput, StageError> {
        Ok(UnwindOutput {
            checkpoint: input.checkpoint.min(input.unwind_to),
        })
    }
}
