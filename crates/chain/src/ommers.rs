//! The ommers of a block against the chain that it extends, canonical or not.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_chainspec::ChainSpec;
use rapid_consensus::{Ancestor, OMMER_ANCESTORS, verify_ommers};
use rapid_primitives::{Block, SealedBlock};

use crate::{ChainError, ImportError};

/// Checks the ommers of a block whose ancestors `find` finds. Looks for them only if there are any ommers.
///
/// # Errors
/// [`ImportError::Ommers`] if they break a rule, [`ImportError::Chain`] if the chain cannot be read.
pub(crate) fn verify_ommers_of(
    spec: &ChainSpec,
    block: &Block,
    find: impl Fn(B256) -> Result<Option<Arc<SealedBlock>>, ChainError>,
) -> Result<(), ImportError> {
    let ommers = &block.body.ommers;
    if ommers.is_empty() {
        return Ok(());
    }
    let mut ancestry = Vec::with_capacity(OMMER_ANCESTORS);
    let mut next = block.header.parent_hash;
    while ancestry.len() < OMMER_ANCESTORS
        && let Some(ancestor) = find(next)?
    {
        next = ancestor.header.parent_hash;
        ancestry.push(Ancestor::from(&*ancestor));
    }
    let number = block.header.number;
    verify_ommers(spec, &block.header, ommers, &ancestry)
        .map_err(|error| ImportError::Ommers { number, error })
}
