//! Execution: blocks are run, their roots compared, and made canonical a few at a time.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use rapid_chain::{Importer, RecoveredBlock};
use rapid_primitives::SealedBlock;

use crate::{
    BatchWork, ExecInput, ExecOutput, ExecutionThresholds, Origin, Stage, StageError, StageId, UnwindInput,
    UnwindOutput,
    chunk::ChunkReceiver,
    progress::{Progress, Teller},
};

/// Blocks that become canonical together at most: they wait for the log once. Each lies on the draft of the one before,
/// so that reads become slower with their number.
const COMMIT_BLOCKS: usize = 16;
/// Gas of such blocks: a large block is worth a wait of its own, and what is not canonical is lost when the process is
/// killed.
const COMMIT_GAS: u64 = 50_000_000;

/// Executes recovered blocks on the chain. A block whose root was not computed and compared never becomes canonical, so
/// execution and roots are one stage here.
#[derive(Debug)]
pub(crate) struct Execution {
    recovered: ChunkReceiver<RecoveredBlock>,
    /// Taken from the queue and left by the last batch.
    waiting: VecDeque<(Origin, RecoveredBlock)>,
    /// Executed and not canonical yet.
    pending: Vec<Arc<SealedBlock>>,
    pending_gas: u64,
    thresholds: ExecutionThresholds,
    progress: Arc<Progress>,
    teller: Teller,
}

impl Execution {
    /// Executes what comes out of a queue.
    pub(crate) fn new(
        recovered: ChunkReceiver<RecoveredBlock>,
        thresholds: ExecutionThresholds,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            recovered,
            waiting: VecDeque::new(),
            pending: Vec::with_capacity(COMMIT_BLOCKS),
            pending_gas: 0,
            thresholds,
            progress,
            teller: Teller::begin(),
        }
    }

    /// Executes blocks until a threshold is reached or there are no more; true in the second case. A batch has at least
    /// one block, whatever the thresholds say: each brings the run forward.
    fn batch(&mut self, importer: &mut Importer) -> Result<bool, StageError> {
        let begun = Instant::now();
        let changes_before = importer.work().changes;
        let mut work = BatchWork::default();
        while let Some((origin, block)) = self.next(importer)? {
            if self.is_known(importer, &origin, &block)? {
                self.progress.note_skipped();
                continue;
            }
            let executed = self.insert(importer, origin, block)?;
            work.blocks += 1;
            work.gas += executed.header.gas_used;
            work.changes = importer.work().changes - changes_before;
            work.elapsed = begun.elapsed();
            self.pending_gas += executed.header.gas_used;
            self.pending.push(executed);
            if self.pending.len() >= COMMIT_BLOCKS || self.pending_gas >= COMMIT_GAS {
                self.commit(importer)?;
            }
            self.teller
                .tell(&self.progress, importer.chain().view().head.number());
            if self.thresholds.is_end_of_batch(&work) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next block. Before waiting for one, what is executed is made canonical: there is time for it.
    fn next(&mut self, importer: &mut Importer) -> Result<Option<(Origin, RecoveredBlock)>, StageError> {
        if self.waiting.is_empty() {
            if !self.recovered.is_waiting() {
                self.commit(importer)?;
            }
            self.waiting
                .extend(self.recovered.receive().into_iter().flatten());
        }
        Ok(self.waiting.pop_front())
    }

    /// Whether the block is canonical, or about to be.
    fn is_known(
        &self,
        importer: &Importer,
        origin: &Origin,
        block: &RecoveredBlock,
    ) -> Result<bool, StageError> {
        let (number, found) = (block.header().number, block.hash());
        if let Some(pending) = self.pending.iter().find(|pending| pending.number() == number) {
            return same_block(origin, number, found, pending.hash);
        }
        if number > importer.chain().view().head.number() {
            return Ok(false);
        }
        let stored = importer.chain().block_hash(number)?;
        same_block(origin, number, found, stored.unwrap_or_default())
    }

    fn insert(
        &self,
        importer: &mut Importer,
        origin: Origin,
        block: RecoveredBlock,
    ) -> Result<Arc<SealedBlock>, StageError> {
        let number = block.header().number;
        importer
            .insert_recovered(block)
            .map_err(|error| StageError::block(origin, number, error))
    }

    /// Makes what was executed canonical.
    fn commit(&mut self, importer: &mut Importer) -> Result<(), StageError> {
        let Some(newest) = self.pending.last() else {
            return Ok(());
        };
        importer
            .set_head(newest.hash)
            .map_err(|error| StageError::Commit(error.into()))?;
        for block in self.pending.drain(..) {
            self.progress.note_executed(&block);
        }
        self.pending_gas = 0;
        Ok(())
    }
}

/// Whether it is the same block as the one that is there; another one at its height is an error.
fn same_block(
    origin: &Origin,
    number: u64,
    found: alloy_primitives::B256,
    stored: alloy_primitives::B256,
) -> Result<bool, StageError> {
    if found == stored {
        return Ok(true);
    }
    Err(StageError::OtherBlock {
        origin: origin.clone(),
        number,
        found,
        stored,
    })
}

impl Stage<Importer> for Execution {
    fn ids(&self) -> &'static [StageId] {
        &[StageId::Execution, StageId::MerkleExecute]
    }

    fn execute(&mut self, importer: &mut Importer, _: ExecInput) -> Result<ExecOutput, StageError> {
        let batch = self.batch(importer);
        // What was executed before an invalid block is valid, and stays.
        self.commit(importer)?;
        Ok(ExecOutput {
            checkpoint: importer.chain().view().head.number(),
            done: batch?,
        })
    }

    fn unwind(&mut self, importer: &mut Importer, input: UnwindInput) -> Result<UnwindOutput, StageError> {
        self.recovered.close();
        self.waiting.clear();
        self.pending.clear();
        if importer.chain().view().head.number() > input.unwind_to {
            importer
                .unwind_to(input.unwind_to)
                .map_err(|error| StageError::Unwind(error.into()))?;
        }
        Ok(UnwindOutput {
            checkpoint: importer.chain().view().head.number(),
        })
    }
}
