//! Headers and bodies: blocks are read, decoded, and checked as far as each can be by itself.

use std::sync::Arc;

use rapid_chain::{Chain, CheckedBlock, Effort, Stopwatch};

use crate::{
    BlockSource, ExecInput, ExecOutput, Stage, StageError, StageId, UnwindInput, UnwindOutput,
    chunk::{CHUNK_BLOCKS, CHUNK_BYTES, Chunk, ChunkSender},
    progress::Progress,
};

/// Reads blocks and hands those that the chain does not have to [`SenderRecovery`](crate::senders::SenderRecovery).
#[derive(Debug)]
pub(crate) struct Bodies<S> {
    source: S,
    checked: ChunkSender<CheckedBlock>,
    chunk_transactions: usize,
    progress: Arc<Progress>,
    effort: Effort,
}

/// A chunk in the making.
#[derive(Debug, Default)]
struct Filling {
    blocks: Chunk<CheckedBlock>,
    bytes: usize,
    transactions: usize,
    /// Number of the last block read, those passed over included.
    newest: Option<u64>,
}

impl<S: BlockSource> Bodies<S> {
    /// Reads a source in chunks of about `chunk_transactions`.
    pub(crate) const fn new(
        source: S,
        checked: ChunkSender<CheckedBlock>,
        chunk_transactions: usize,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            source,
            checked,
            chunk_transactions,
            progress,
            effort: Effort {
                wall: std::time::Duration::ZERO,
                cpu: std::time::Duration::ZERO,
            },
        }
    }

    /// Time spent reading, decoding and checking; not waiting for the next stage.
    pub(crate) const fn effort(&self) -> Effort {
        self.effort
    }

    /// Reads until the chunk is full; true if nothing follows it.
    fn fill(
        &mut self,
        chain: &Chain,
        target: Option<u64>,
        filling: &mut Filling,
    ) -> Result<bool, StageError> {
        while !filling.is_full(self.chunk_transactions) {
            let raw = self.source.next_block()?;
            self.progress
                .note_bytes(self.source.bytes_read(), self.source.bytes_total());
            let Some(raw) = raw else { return Ok(true) };
            let (number, hash) = raw.header()?;
            if target.is_some_and(|target| number > target) {
                return Ok(true);
            }
            filling.newest = Some(number);
            // What is canonical is neither decoded nor recovered again.
            if chain.block_hash(number)? == Some(hash) {
                self.progress.note_skipped();
                continue;
            }
            let checked = CheckedBlock::check(chain.spec(), raw.decode()?)
                .map_err(|error| StageError::block(raw.origin().clone(), number, error))?;
            filling.bytes += raw.len();
            filling.transactions += checked.transaction_count();
            filling.blocks.push((raw.origin().clone(), checked));
        }
        Ok(false)
    }
}

impl Filling {
    fn is_full(&self, transactions: usize) -> bool {
        self.blocks.len() >= CHUNK_BLOCKS || self.bytes >= CHUNK_BYTES || self.transactions >= transactions
    }
}

impl<S: BlockSource> Stage<Chain> for Bodies<S> {
    fn ids(&self) -> &'static [StageId] {
        &[StageId::Headers, StageId::Bodies]
    }

    fn execute(&mut self, chain: &mut Chain, input: ExecInput) -> Result<ExecOutput, StageError> {
        let watch = Stopwatch::start();
        let mut filling = Filling::default();
        let filled = self.fill(chain, input.target, &mut filling);
        self.effort += watch.stop();
        let checkpoint = filling.newest.unwrap_or(input.checkpoint);
        // What was read before a bad block is good.
        let wanted = filling.blocks.is_empty() || self.checked.send(filling.blocks);
        Ok(ExecOutput {
            checkpoint,
            done: filled? || !wanted,
        })
    }

    fn unwind(&mut self, _: &mut Chain, input: UnwindInput) -> Result<UnwindOutput, StageError> {
        self.checked.close();
        Ok(UnwindOutput {
            checkpoint: input.checkpoint.min(input.unwind_to),
        })
    }
}
