//! The ommers of a block against the chain that it extends.

use rapid_consensus::{Ancestor, OMMER_ANCESTORS, verify_ommers};
use rapid_primitives::Block;

use crate::{Chain, ChainError, ImportError};

/// Checks the ommers of a block on top of `parent`, a block of the canonical chain. Reads history only if there are any.
///
/// # Errors
/// [`ImportError::Ommers`] if they break a rule, [`ImportError::Chain`] if the chain cannot be read.
pub(crate) fn verify_ommers_on_chain(chain: &Chain, block: &Block, parent: u64) -> Result<(), ImportError> {
    let ommers = &block.body.ommers;
    if ommers.is_empty() {
        return Ok(());
    }
    let number = block.header.number;
    let ancestry = ancestry(chain, parent)?;
    verify_ommers(chain.spec(), &block.header, ommers, &ancestry)
        .map_err(|error| ImportError::Ommers { number, error })
}

/// The newest blocks up to `number`, newest first: as many as decide on ommers, or all there are.
fn ancestry(chain: &Chain, number: u64) -> Result<Vec<Ancestor>, ChainError> {
    let genesis = chain.spec().genesis_header().number;
    (genesis..=number)
        .rev()
        .take(OMMER_ANCESTORS)
        .map(|number| {
            let block = chain.block_by_number(number)?;
            let block = block.ok_or(ChainError::UnknownBlock(number))?;
            Ok(Ancestor::from(&*block))
        })
        .collect()
}
