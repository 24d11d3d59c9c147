//! What comes with a block as a hint, and whether it can be of use for it.

use alloy_eip7928::{
    AccountChanges, BlockAccessList, BlockAccessListValidationError, total_bal_items,
    validate_block_access_list,
};
use alloy_primitives::Address;
use rapid_primitives::{FateAt, StateDiff};

/// Gas of a block's limit per item (address or slot) of its access list (EIP-7928).
const GAS_PER_ITEM: u64 = 2000;

/// Gas of a block's limit per claim. The cheapest are those of a transfer: five for 21,000.
const GAS_PER_CLAIM: u64 = 500;

/// Claims any block may have: those of withdrawals and system calls, which take no gas of the block.
const CLAIMS_FREE: u64 = 4096;

/// What came with a block and says what it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockHint {
    /// The block access list that the block's header commits to: also everything that is only read is in it, and nothing
    /// that is not touched.
    Declared(BlockAccessList),
    /// The state diff that a peer says the block makes. Nobody commits to it, and what is only read is not in it.
    Advisory(StateDiff),
}

impl BlockHint {
    /// The state diff that the hint says.
    #[must_use]
    pub fn into_diff(self) -> StateDiff {
        match self {
            Self::Advisory(diff) => diff,
            Self::Declared(list) => {
                let accounts = list.into_iter().filter_map(|mut account| {
                    account.storage_reads = Vec::new();
                    account.has_changes().then_some(account)
                });
                StateDiff {
                    accounts: accounts.collect(),
                    fates: Vec::new(),
                }
            }
        }
    }

    /// Looks whether it can be of use for a block with so many transactions and this gas limit.
    pub(crate) fn usable(&self, transactions: usize, gas_limit: u64) -> Result<Usable<'_>, HintError> {
        let (kind, listed, fates): (_, &[AccountChanges], &[FateAt]) = match self {
            Self::Declared(list) => {
                check_size(total_bal_items(list), gas_limit / GAS_PER_ITEM)?;
                (HintKind::Declared, list, &[])
            }
            Self::Advisory(diff) => (HintKind::Advisory, &diff.accounts, &diff.fates),
        };
        let claims = listed.iter().map(claims_of).sum::<u64>() + fates.len() as u64;
        check_size(claims, CLAIMS_FREE.saturating_add(gas_limit / GAS_PER_CLAIM))?;
        validate_block_access_list(listed, transactions)?;
        if kind == HintKind::Advisory {
            check_diff(listed, fates, transactions)?;
        }
        Ok(Usable { kind, listed, fates })
    }
}

/// Why a hint is of no use for its block, before anything was executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HintError {
    /// It is not sorted, has something twice, or an index that the block does not have.
    #[error(transparent)]
    Structure(#[from] BlockAccessListValidationError),
    /// It has more than a block with this gas limit can touch or write.
    #[error("{found} entries, a block with this gas limit has at most {max}")]
    Size {
        /// Entries it has.
        found: u64,
        /// Entries it may have.
        max: u64,
    },
    /// From Amsterdam on a block's own list is the hint, since what is read is part of the block; before there is none.
    #[error("a block access list is for blocks from Amsterdam on, and a state diff for those before")]
    Kind,
    /// A state diff has no account that did not change, and no reads.
    #[error("account {0} of a state diff has reads, or no changes")]
    NotAChange(Address),
    /// The fates of a state diff are not sorted, or have an index that the block does not have.
    #[error("fate of {0} is out of place")]
    Fate(Address),
}

/// Which of a hint's promises hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HintKind {
    /// What is touched is declared, and what is declared is touched.
    Declared,
    /// Writes only.
    Advisory,
}

/// A hint in the structure that it must have. What it claims may be wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usable<'a> {
    pub(crate) kind: HintKind,
    pub(crate) listed: &'a [AccountChanges],
    pub(crate) fates: &'a [FateAt],
}

fn claims_of(account: &AccountChanges) -> u64 {
    let values: usize = account
        .storage_changes
        .iter()
        .map(|slot| slot.changes.len())
        .sum();
    let fields = account.nonce_changes.len() + account.balance_changes.len() + account.code_changes.len();
    (values + fields) as u64
}

const fn check_size(found: u64, max: u64) -> Result<(), HintError> {
    match found <= max {
        true => Ok(()),
        false => Err(HintError::Size { found, max }),
    }
}

/// A state diff is what [`rapid_primitives::DiffBuilder`] makes: nothing in it is superfluous.
fn check_diff(listed: &[AccountChanges], fates: &[FateAt], transactions: usize) -> Result<(), HintError> {
    let superfluous = |account: &&AccountChanges| !account.storage_reads.is_empty() || !account.has_changes();
    if let Some(account) = listed.iter().find(superfluous) {
        return Err(HintError::NotAChange(account.address));
    }
    let misplaced = |pair: &&[FateAt]| (pair[0].index, pair[0].address) > (pair[1].index, pair[1].address);
    let beyond = |fate: &&FateAt| fate.index as usize > transactions + 1;
    let wrong = fates.windows(2).find(misplaced).map(|pair| &pair[1]);
    match wrong.or_else(|| fates.iter().find(beyond)) {
        Some(fate) => Err(HintError::Fate(fate.address)),
        None => Ok(()),
    }
}
