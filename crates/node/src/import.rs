//! Importing and exporting blocks as files.

use std::{
    io::{BufRead, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use rapid_chain::{Chain, ImportError, Importer};
use rapid_primitives::{Block, SealedBlock};

use crate::{BlockFileError, BlockFileReader, write_block};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Why an import stopped before the end of the file.
#[derive(Debug, thiserror::Error)]
pub enum ImportFileError {
    /// The file is damaged.
    #[error(transparent)]
    File(#[from] BlockFileError),
    /// A block is not valid, or this node failed.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The store has another block at this height.
    #[error("block {number} of the file has hash {found}, the store has {stored}")]
    OtherBlock {
        /// The height.
        number: u64,
        /// In the file.
        found: alloy_primitives::B256,
        /// In the store.
        stored: alloy_primitives::B256,
    },
}

impl ImportFileError {
    /// Whether the file is to blame, not this node.
    #[must_use]
    pub const fn is_invalid_block(&self) -> bool {
        !matches!(
            self,
            Self::File(BlockFileError::Io(_)) | Self::Import(ImportError::Chain(_))
        )
    }
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Chain(#[from] rapid_chain::ChainError),
    /// The output takes no more.
    #[error("cannot write blocks: {0}")]
    Io(#[from] std::io::Error),
    /// The store has no such block.
    #[error("block {0} is not in the store")]
    Missing(u64),
}

/// What an import has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Blocks executed.
    pub blocks: u64,
    /// Blocks that were in the store already.
    pub skipped: u64,
    /// Transactions executed.
    pub transactions: u64,
    /// Gas used by them.
    pub gas: u64,
    /// Time spent.
    pub elapsed: Duration,
}

impl ImportProgress {
    /// Millions of gas per second.
    #[must_use]
    pub fn mgas_per_second(&self) -> f64 {
        self.gas as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Executes the blocks of a file on top of the chain; blocks that are in the store already are passed over.
///
/// On an error `progress` says what was imported before it, and that stays.
///
/// # Errors
/// [`ImportFileError`].
pub fn import_blocks(
    importer: &mut Importer,
    input: impl BufRead,
    progress: &mut ImportProgress,
) -> Result<(), ImportFileError> {
    let start = Instant::now() - progress.elapsed;
    let mut told = Instant::now();
    let mut reader = BlockFileReader::new(input);
    while let Some(block) = reader.next_block()? {
        match import_block(importer, block)? {
            Some(block) => {
                progress.blocks += 1;
                progress.transactions += block.body.transactions.len() as u64;
                progress.gas += block.header.gas_used;
            }
            None => progress.skipped += 1,
        }
        progress.elapsed = start.elapsed();
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            log_progress(importer.chain(), progress);
        }
    }
    Ok(())
}

fn log_progress(chain: &Chain, progress: &ImportProgress) {
    tracing::info!(
        target: "reth::import",
        block = chain.view().head.number(),
        blocks = progress.blocks,
        txs = progress.transactions,
        throughput = format_args!("{:.2}Mgas/second", progress.mgas_per_second()),
        "Import progress"
    );
}

/// Imports one block unless the store has it.
fn import_block(importer: &mut Importer, block: Block) -> Result<Option<Arc<SealedBlock>>, ImportFileError> {
    let number = block.header.number;
    if number > importer.chain().view().head.number() {
        return Ok(Some(importer.import(block)?.block));
    }
    let found = block.header.hash_slow();
    match importer.chain().block_hash(number).map_err(ImportError::from)? {
        Some(stored) if stored == found => Ok(None),
        stored => Err(ImportFileError::OtherBlock {
            number,
            found,
            stored: stored.unwrap_or_default(),
        }),
    }
}

/// Writes the sealed blocks `from..=to` of a chain; returns how many.
///
/// # Errors
/// [`ExportError`].
pub fn export_blocks(chain: &Chain, from: u64, to: u64, output: &mut impl Write) -> Result<u64, ExportError> {
    for number in from..=to {
        let block = chain
            .block_by_number(number)?
            .ok_or(ExportError::Missing(number))?;
        write_block(output, &block.to_block())?;
    }
    output.flush()?;
    Ok((to + 1).saturating_sub(from))
}
