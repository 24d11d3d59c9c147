//! Blocks of a chain as a file.

use std::io::Write;

use rapid_chain::Chain;
use rapid_stages::write_block;

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
