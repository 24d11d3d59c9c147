//! Between what blocks changed and what history keeps of it: the values from before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use rapid_history::{AccountRevert, BlockReverts, Past};
use rapid_primitives::{Account, AccountChange, CodeChange, Fate, ReadState, SealedMiniBlock};
use rapid_state::{Snapshot, VersionGone};

use crate::{Chain, ChainError};

/// How often history and memory are asked for what was changed, when a block moves from one to the other meanwhile.
const TRIES: usize = 16;

/// What a block changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockChanges {
    /// The values before it.
    pub(crate) reverts: Arc<BlockReverts>,
    /// Code it deployed.
    pub(crate) codes: Vec<CodeChange>,
}

/// What a block touched of one account.
#[derive(Default)]
struct Touched {
    fields: bool,
    cleared: bool,
    slots: BTreeSet<U256>,
}

/// Looks up what the mini-blocks of a block changed in the state before it.
///
/// # Errors
/// [`VersionGone`] when that state was overrun.
pub(crate) fn changes_of(
    before: &Snapshot,
    mini_blocks: &[Arc<SealedMiniBlock>],
) -> Result<BlockChanges, VersionGone> {
    let mut touched: BTreeMap<Address, Touched> = BTreeMap::new();
    let mut codes = Vec::new();
    for mini_block in mini_blocks {
        for change in mini_block.body().diff.collapse() {
            let account = touched.entry(change.address).or_default();
            account.fields |= touches_fields(&change);
            account.cleared |= change.clears_storage();
            account.slots.extend(change.storage.iter().map(|(slot, _)| *slot));
            codes.extend(change.code.filter(|code| !code.code.is_empty()));
        }
    }
    let reverts: Result<Vec<_>, _> = touched
        .into_iter()
        .map(|(address, touched)| touched.revert(before, address))
        .collect();
    Ok(BlockChanges {
        reverts: Arc::new(BlockReverts::new(reverts?)),
        codes,
    })
}

fn touches_fields(change: &AccountChange) -> bool {
    change.fate != Fate::Kept || change.nonce.is_some() || change.balance.is_some() || change.code.is_some()
}

impl Touched {
    fn revert(mut self, before: &Snapshot, address: Address) -> Result<AccountRevert, VersionGone> {
        let account = before.account(&address)?;
        if self.cleared {
            for slot in before.account_storage(&address)? {
                self.slots.insert(slot?.0);
            }
        }
        let value = |slot: &U256| before.storage(&address, slot);
        let storage: Result<Vec<_>, _> = self
            .slots
            .iter()
            .map(|slot| value(slot).map(|value| (*slot, value)))
            .collect();
        Ok(AccountRevert {
            address,
            account: if self.fields {
                Past::Was(account)
            } else {
                Past::Unchanged
            },
            storage: storage?,
        })
    }
}

impl Chain {
    /// The changes that, written over the state after block `newest`, give the state after block `number`, an ancestor
    /// of it.
    ///
    /// History says what was changed up to its head; what is newer is looked up in memory. History may also be ahead of
    /// `newest`: what only later blocks changed is then written as it is.
    ///
    /// # Errors
    /// [`ChainError::StateUnavailable`] if history does not keep what was changed since.
    pub(crate) fn changes_back(&self, newest: u64, number: u64) -> Result<Vec<AccountChange>, ChainError> {
        self.reverts_back(newest, number)?
            .into_accounts()
            .into_iter()
            .map(|revert| self.change_back(revert))
            .collect()
    }

    fn reverts_back(&self, newest: u64, number: u64) -> Result<BlockReverts, ChainError> {
        for _ in 0..TRIES {
            let stored = self.shared.history.head()?.map_or(0, |head| head.number);
            if stored >= newest && stored > number {
                return Ok(self.shared.history.reverts_to(number)?);
            }
            // What leaves memory between the two questions has come into history meanwhile: then ask both again.
            let Some(newer) = self.reverts_in_memory(stored.max(number), newest)? else {
                continue;
            };
            if stored <= number {
                return Ok(newer);
            }
            // History may have more by now; what is the same in both counts once.
            let older = self.shared.history.reverts_to(number)?;
            return Ok(BlockReverts::merged([&older, &newer]));
        }
        Err(ChainError::StateUnavailable(number))
    }

    /// What the blocks after `stored` changed, which history does not have yet; `None` if one of them, or the state before
    /// them, is not in memory any more.
    fn reverts_in_memory(&self, stored: u64, newest: u64) -> Result<Option<BlockReverts>, ChainError> {
        let (version, mini_blocks) = {
            let recent = self.shared.blocks.read();
            let version = recent.version_of(stored);
            (version, recent.mini_blocks_between(stored, newest))
        };
        let (Some(version), Some(mini_blocks)) = (version, mini_blocks) else {
            return Ok(None);
        };
        // Once history has the next block, nobody holds that version any more.
        let before = self.shared.state.get_at(version);
        let changes = before.and_then(|before| changes_of(&before, &mini_blocks));
        Ok(changes.ok().map(|changes| Arc::unwrap_or_clone(changes.reverts)))
    }

    fn change_back(&self, revert: AccountRevert) -> Result<AccountChange, ChainError> {
        let AccountRevert {
            address,
            account,
            storage,
        } = revert;
        let change = AccountChange {
            storage,
            ..AccountChange::new(address)
        };
        match account {
            Past::Unchanged => Ok(change),
            Past::Was(None) => Ok(AccountChange {
                fate: Fate::Removed,
                storage: Vec::new(),
                ..change
            }),
            Past::Was(Some(account)) => Ok(AccountChange {
                fate: if account.is_empty() {
                    Fate::CreatedEmpty
                } else {
                    Fate::Kept
                },
                nonce: Some(account.nonce),
                balance: Some(account.balance),
                code: Some(self.code_of(&account)?),
                ..change
            }),
        }
    }

    fn code_of(&self, account: &Account) -> Result<CodeChange, ChainError> {
        let hash = account.code_hash;
        let code = if hash == KECCAK256_EMPTY {
            Default::default()
        } else {
            self.code(hash)?.ok_or(ChainError::CodeMissing(hash))?
        };
        Ok(CodeChange { hash, code })
    }

    /// Code of a contract, live or destroyed.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub(crate) fn code(&self, hash: B256) -> Result<Option<alloy_primitives::Bytes>, ChainError> {
        match self.shared.state.code(&hash) {
            Some(code) => Ok(Some(code.original_bytes())),
            None => Ok(self.shared.history.code(&hash)?),
        }
    }
}
