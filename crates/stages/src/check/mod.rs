//! Stages run again over blocks that are there already, to see whether they give what is stored.

mod execution;
mod overlay;

use std::{ops::RangeInclusive, sync::Arc};

use rapid_chain::{Chain, ChainError, CheckedBlock, ImportError, PastReadError};
use rapid_history::HistoryError;
use rapid_primitives::SealedBlock;
use rayon::prelude::*;

/// Differences told in full; of a damaged store there would be millions.
const DIFFERENCES_MAX: usize = 64;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Headers and bodies: hashes, links to the parents, roots of the bodies.
    Bodies,
    /// Stored senders are the ones of the signatures.
    Senders,
    /// Execution on the state before gives the stored receipts and the state after.
    Execution,
    /// Every transaction is found by its hash.
    TransactionLookup,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Blocks looked at.
    pub blocks: u64,
    /// Their transactions.
    pub transactions: u64,
    /// Gas they used.
    pub gas: u64,
    /// What is not as it should be, in the order of blocks; the first of many.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub differences_total: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The block.
    pub block: u64,
    /// What differs.
    pub what: String,
}

/// Why a check could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The chain cannot answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// History cannot answer.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A past state cannot answer.
    #[error(transparent)]
    Past(#[from] PastReadError),
}

/// Checks a range of blocks on all cores.
///
/// # Errors
/// [`CheckError`]: nothing can be said then.
pub fn check(chain: &Chain, check: Check, blocks: RangeInclusive<u64>) -> Result<Findings, CheckError> {
    blocks
        .into_par_iter()
        .map(|number| check_block(chain, check, number))
        .try_reduce(Findings::default, |before, after| Ok(before.and(after)))
}

fn check_block(chain: &Chain, check: Check, number: u64) -> Result<Findings, CheckError> {
    let block = stored(chain, number)?;
    let differences = match check {
        Check::Bodies => bodies(chain, &block)?,
        Check::Senders => senders(chain, &block),
        Check::Execution => execution::differences(chain, &block)?,
        Check::TransactionLookup => lookups(chain, &block)?,
    };
    let differences_total = differences.len() as u64;
    let named = differences.into_iter().take(DIFFERENCES_MAX);
    Ok(Findings {
        blocks: 1,
        transactions: block.body.transactions.len() as u64,
        gas: block.header.gas_used,
        differences: named.map(|what| Difference { block: number, what }).collect(),
        differences_total,
    })
}

fn stored(chain: &Chain, number: u64) -> Result<Arc<SealedBlock>, CheckError> {
    let block = chain.history().block(number)?;
    Ok(block.map(Arc::new).ok_or(ChainError::UnknownBlock(number))?)
}

/// Genesis has no parent, and nothing of it came from elsewhere.
fn bodies(chain: &Chain, block: &SealedBlock) -> Result<Vec<String>, CheckError> {
    let mut differences = Vec::new();
    let hash = block.header.hash_slow();
    if hash != block.hash {
        differences.push(format!(
            "its header has hash {hash}, it is stored as {}",
            block.hash
        ));
    }
    let Some(parent) = block.number().checked_sub(1) else {
        return Ok(differences);
    };
    let parent = chain.history().hash_by_number(parent)?;
    if parent != Some(block.header.parent_hash) {
        let stored = parent.unwrap_or_default();
        differences.push(format!(
            "its parent is {}, stored is {stored}",
            block.header.parent_hash
        ));
    }
    if let Err(error) = CheckedBlock::check(chain.spec(), block.to_block()) {
        differences.push(error.to_string());
    }
    Ok(differences)
}

fn senders(chain: &Chain, block: &SealedBlock) -> Vec<String> {
    let recovered = match rapid_chain::recover_senders(chain.spec(), &block.to_block()) {
        Ok(recovered) => recovered,
        Err(error @ ImportError::Signature { .. }) => return vec![error.to_string()],
        Err(other) => return vec![format!("senders cannot be recovered: {other}")],
    };
    let pairs = recovered.iter().zip(&block.senders).enumerate();
    pairs
        .filter(|(_, (recovered, stored))| recovered != stored)
        .map(|(index, (recovered, stored))| {
            format!("transaction {index} is of {recovered}, stored is {stored}")
        })
        .collect()
}

fn lookups(chain: &Chain, block: &SealedBlock) -> Result<Vec<String>, CheckError> {
    let mut differences = Vec::new();
    for (index, transaction) in block.body.transactions.iter().enumerate() {
        let hash = *transaction.tx_hash();
        let found = chain.history().transaction(hash)?;
        let place = found.map(|found| (found.block_number, found.index));
        if place != Some((block.number(), index as u64)) {
            differences.push(match place {
                Some((number, at)) => {
                    format!("transaction {index} {hash} is found in block {number} at {at}")
                }
                None => format!("transaction {index} {hash} is not found"),
            });
        }
    }
    Ok(differences)
}

impl Findings {
    /// Whether everything is as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.differences_total == 0
    }

    /// Together with what was found in later blocks.
    #[must_use]
    pub fn and(mut self, after: Self) -> Self {
        self.blocks += after.blocks;
        self.transactions += after.transactions;
        self.gas += after.gas;
        self.differences_total += after.differences_total;
        self.differences.extend(after.differences);
        self.differences.truncate(DIFFERENCES_MAX);
        self
    }
}
