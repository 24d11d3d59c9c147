//! What the ommers of a block before the merge must satisfy: valid siblings of recent ancestors, each paid for once
//! (yellow paper, 11.1).

use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_primitives::{Header, SealedBlock};

use crate::{HeaderError, verify_header, verify_header_against_parent};

/// Most ommers of one block.
pub const MAX_OMMERS: usize = 2;

/// How many generations before its block an ommer may be.
pub const MAX_OMMER_DEPTH: u64 = 6;

/// How many ancestors of a block decide on its ommers: an ommer of the deepest generation has its parent one before.
/// What was included earlier than that is too old to be included again.
pub const OMMER_ANCESTORS: usize = 7;

/// An ancestor of a block, as the rules for its ommers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Hash of its header.
    pub hash: B256,
    /// Its header.
    pub header: Header,
    /// Hashes of the ommers it included.
    pub ommers: Vec<B256>,
}

impl From<&SealedBlock> for Ancestor {
    fn from(block: &SealedBlock) -> Self {
        Self {
            hash: block.hash,
            header: block.header.clone(),
            ommers: block.body.ommers.iter().map(Header::hash_slow).collect(),
        }
    }
}

/// The ommers of a block break a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OmmersError {
    /// Too many ommers, or any after the merge (EIP-3675).
    #[error("{found} ommers, at most {max} are allowed")]
    Count {
        /// Ommers of the block.
        found: usize,
        /// Most allowed.
        max: usize,
    },
    /// The same ommer twice in one block.
    #[error("ommers {first} and {second} are both {hash}")]
    Duplicate {
        /// Index of the first.
        first: usize,
        /// Index of the second.
        second: usize,
        /// Hash of both.
        hash: B256,
    },
    /// An ommer breaks a rule by itself.
    #[error("ommer {index}: {error}")]
    Ommer {
        /// Its index in the block.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: OmmerError,
    },
}

/// A header cannot be an ommer of its block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OmmerError {
    /// Too old, or not older than its block.
    #[error("block number {found} is not within {min} and {max}")]
    Depth {
        /// The ommer's number.
        found: u64,
        /// Number of the deepest generation.
        min: u64,
        /// Number of the block's parent.
        max: u64,
    },
    /// It is an ancestor of its block.
    #[error("{hash} is ancestor {number} of the block")]
    Ancestor {
        /// Its hash.
        hash: B256,
        /// Its number.
        number: u64,
    },
    /// An ancestor of its block included it.
    #[error("{hash} was included in block {by} already")]
    Included {
        /// Its hash.
        hash: B256,
        /// Number of the block that included it.
        by: u64,
    },
    /// It is a sibling of its block.
    #[error("parent {parent} is the block's own parent")]
    Sibling {
        /// The parent of both.
        parent: B256,
    },
    /// Its parent is not a recent ancestor of its block.
    #[error(
        "parent {parent} is not one of the last {} ancestors of the block",
        OMMER_ANCESTORS
    )]
    UnknownParent {
        /// The parent it names.
        parent: B256,
    },
    /// It is not a valid header.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// Checks the ommers of the block of `header`: at most two, distinct, each a valid header, one to six generations
/// before the block, child of an ancestor, itself neither an ancestor nor included before.
///
/// `ancestry` is the chain from the block's parent backwards: [`OMMER_ANCESTORS`] blocks, or all there are. That the
/// ommers are those of the header is for [`verify_body`](crate::verify_body).
///
/// # Errors
/// The first rule that is broken.
pub fn verify_ommers(
    spec: &ChainSpec,
    header: &Header,
    ommers: &[Header],
    ancestry: &[Ancestor],
) -> Result<(), OmmersError> {
    let merged = spec.is_paris_active_at_block(header.number);
    let (found, max) = (ommers.len(), if merged { 0 } else { MAX_OMMERS });
    if found > max {
        return Err(OmmersError::Count { found, max });
    }
    let ancestry = &ancestry[..ancestry.len().min(OMMER_ANCESTORS)];
    let hashes: Vec<B256> = ommers.iter().map(Header::hash_slow).collect();
    for (second, (ommer, hash)) in ommers.iter().zip(&hashes).enumerate() {
        if let Some(first) = hashes[..second].iter().position(|other| other == hash) {
            let hash = *hash;
            return Err(OmmersError::Duplicate { first, second, hash });
        }
        verify_ommer(spec, header.number, ommer, *hash, ancestry)
            .map_err(|error| OmmersError::Ommer { index: second, error })?;
    }
    Ok(())
}

fn verify_ommer(
    spec: &ChainSpec,
    number: u64,
    ommer: &Header,
    hash: B256,
    ancestry: &[Ancestor],
) -> Result<(), OmmerError> {
    let (min, max) = (number.saturating_sub(MAX_OMMER_DEPTH), number.saturating_sub(1));
    if ommer.number < min || ommer.number > max {
        let found = ommer.number;
        return Err(OmmerError::Depth { found, min, max });
    }
    if let Some(ancestor) = ancestry.iter().find(|ancestor| ancestor.hash == hash) {
        let number = ancestor.header.number;
        return Err(OmmerError::Ancestor { hash, number });
    }
    if let Some(ancestor) = ancestry.iter().find(|ancestor| ancestor.ommers.contains(&hash)) {
        let by = ancestor.header.number;
        return Err(OmmerError::Included { hash, by });
    }
    let parent = ommer.parent_hash;
    let generation = ancestry
        .iter()
        .position(|ancestor| ancestor.hash == parent)
        .ok_or(OmmerError::UnknownParent { parent })?;
    if generation == 0 {
        return Err(OmmerError::Sibling { parent });
    }
    verify_header(spec, ommer)?;
    Ok(verify_header_against_parent(
        spec,
        ommer,
        &ancestry[generation].header,
        parent,
    )?)
}
