//! Claims against what a transaction did.

use alloy_primitives::U256;
use rapid_primitives::{AccountChange, CodeChange, Fate, FateAt, StateDiff};
use rapid_state::{DraftReader, VersionGone};
use revm::state::{Account as JournalAccount, AccountInfo, EvmState};

use crate::{
    ahead::Target,
    claim::{Claim, claim_at, position_at},
    hinted_state::KeyId,
    hints::Hints,
};

/// How a transaction's writes compare with what is claimed at its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// They are what is claimed.
    Equal,
    /// They are what is claimed, as far as a block access list can say it: an account was created over an old one, or is gone.
    /// Nothing that the list leaves out can be seen by later transactions.
    EqualBesidesFates,
    /// They are something else.
    Different,
}

impl Hints<'_> {
    /// Compares changes with the claims of a state diff.
    pub(crate) fn agree_with_changes(&self, index: u32, changes: &[AccountChange]) -> bool {
        let mut count = 0;
        let all = changes
            .iter()
            .all(|change| self.agree_with_change(index, change, &mut count));
        all && count == self.count_at(index)
    }

    fn agree_with_change(&self, index: u32, change: &AccountChange, count: &mut u32) -> bool {
        let Some(id) = self.account_id(&change.address) else {
            return change.is_noop();
        };
        let hint = &self.accounts[id as usize];
        let fate = hint.fate_at(index).unwrap_or_default();
        *count += u32::from(fate != Fate::Kept);
        if fate != change.fate {
            return false;
        }
        if change.fate == Fate::Removed {
            return true;
        }
        let nonce = claim_at(hint.nonces, index).map(|claim| claim.new_nonce);
        let balance = claim_at(hint.balances, index).map(|claim| claim.post_balance);
        let code = position_at(hint.codes(), index).map(|position| hint.code(position).0);
        *count += u32::from(nonce.is_some()) + u32::from(balance.is_some()) + u32::from(code.is_some());
        *count += change.storage.len() as u32;
        nonce == change.nonce
            && balance == change.balance
            && code == change.code.as_ref().map(|code| code.hash)
            && change
                .storage
                .iter()
                .all(|(slot, value)| self.claims_slot(index, id, slot, value))
    }

    fn claims_slot(&self, index: u32, account: u32, slot: &U256, value: &U256) -> bool {
        let claimed = self
            .slot_id(account, slot)
            .and_then(|slot| claim_at(self.slots[slot as usize].values, index));
        claimed.is_some_and(|claim| claim.new_value == *value)
    }

    /// Compares a journal with the claims of a block access list, and notes every key it loaded.
    pub(crate) fn agree_with_journal(
        &self,
        index: u32,
        journal: &EvmState,
        base: &DraftReader,
        touched: &mut Vec<KeyId>,
    ) -> Result<Agreement, VersionGone> {
        let mut count = 0;
        let mut agreement = Agreement::Equal;
        for (address, account) in journal {
            // Undeclared: the list is wrong, whatever else it says.
            let Some(id) = self.account_id(address) else {
                return Ok(Agreement::Different);
            };
            touched.push(self.account_key(id));
            if !self.agree_with_account(index, id, account, &mut count)
                || !self.agree_with_slots(index, id, account, &mut count, touched)
            {
                return Ok(Agreement::Different);
            }
            if has_fate(account) {
                let was_empty = account.original_info().is_empty() && !account.is_created();
                let had_storage = self.writes_storage_before(id, index) || base.has_storage(address)?;
                if was_empty || had_storage {
                    return Ok(Agreement::Different);
                }
                agreement = Agreement::EqualBesidesFates;
            }
        }
        Ok(match count == self.count_at(index) {
            true => agreement,
            false => Agreement::Different,
        })
    }

    /// Fields after it against those before it, as EIP-7928 compares them.
    fn agree_with_account(&self, index: u32, id: u32, account: &JournalAccount, count: &mut u32) -> bool {
        let hint = &self.accounts[id as usize];
        let nonce = claim_at(hint.nonces, index).map(|claim| claim.new_nonce);
        let balance = claim_at(hint.balances, index).map(|claim| claim.post_balance);
        let code = position_at(hint.codes(), index);
        *count += u32::from(nonce.is_some()) + u32::from(balance.is_some()) + u32::from(code.is_some());
        let destroyed = account.is_selfdestructed_locally();
        if !destroyed && !account.is_changed() {
            return nonce.is_none() && balance.is_none() && code.is_none();
        }
        let before = account.original_info();
        // Made only where it is needed: all threads count the code that is nothing.
        let nothing = destroyed.then(AccountInfo::default);
        let after = nothing.as_ref().unwrap_or(&account.info);
        let code_agrees = match code {
            None => before.code_hash == after.code_hash,
            Some(position) => {
                let (_, claimed) = hint.code(position);
                let code = after.code.as_ref().map(|code| code.original_bytes());
                before.code_hash != after.code_hash && *claimed == code.unwrap_or_default()
            }
        };
        code_agrees
            && nonce == (before.nonce != after.nonce).then_some(after.nonce)
            && balance == (before.balance != after.balance).then_some(after.balance)
    }

    fn agree_with_slots(
        &self,
        index: u32,
        id: u32,
        account: &JournalAccount,
        count: &mut u32,
        touched: &mut Vec<KeyId>,
    ) -> bool {
        let destroyed = account.is_selfdestructed_locally();
        account.storage.iter().all(|(slot, value)| {
            let Some(slot) = self.slot_id(id, slot) else {
                return false;
            };
            touched.push(self.slot_key(slot));
            let after = if destroyed {
                U256::ZERO
            } else {
                value.present_value
            };
            let claimed = claim_at(self.slots[slot as usize].values, index).map(|claim| claim.new_value);
            *count += u32::from(claimed.is_some());
            claimed == (after != value.original_value).then_some(after)
        })
    }

    /// Whether what happened before and after the transactions is what is claimed there; `edges` has nothing else.
    pub(crate) fn agree_with_edges(&self, edges: &StateDiff, last: u32) -> bool {
        let mut expected = self.count_at(0) + self.count_at(last);
        let fates: Vec<&FateAt> = self
            .fates
            .iter()
            .filter(|fate| fate.index == 0 || fate.index == last)
            .collect();
        if !fates.iter().copied().eq(&edges.fates) {
            return false;
        }
        expected -= fates.len() as u32;
        let found = self.matching_claims(&edges.accounts);
        found == Some(expected)
    }

    /// The number of changes in a list, if each of them is claimed.
    pub(crate) fn matching_claims(&self, list: &[alloy_eip7928::AccountChanges]) -> Option<u32> {
        let mut count = 0;
        for account in list {
            let id = match self.account_id(&account.address) {
                Some(id) => id,
                None if !account.has_changes() => continue,
                None => return None,
            };
            let hint = &self.accounts[id as usize];
            count += matching(hint.nonces, &account.nonce_changes)?;
            count += matching(hint.balances, &account.balance_changes)?;
            count += matching(hint.codes(), &account.code_changes)?;
            for slot in &account.storage_changes {
                let hint = &self.slots[self.slot_id(id, &slot.slot)? as usize];
                count += matching(hint.values, &slot.changes)?;
            }
        }
        Some(count)
    }

    /// What is claimed at an index.
    pub(crate) fn changes_at(&self, index: u32) -> Vec<AccountChange> {
        let targets = self.by_index.at(index).iter();
        let mut claimed: Vec<_> = targets
            .map(|target| (self.account_of(*target), *target))
            .collect();
        claimed.sort_by_key(|(account, _)| *account);
        claimed.dedup();
        let accounts = claimed.chunk_by(|(one, _), (other, _)| one == other);
        accounts.map(|claimed| self.change_at(index, claimed)).collect()
    }

    const fn account_of(&self, target: Target) -> u32 {
        match target {
            Target::Account(account) => account,
            Target::Slot(slot) => self.slots.as_slice()[slot as usize].account,
        }
    }

    /// What is claimed of one account at an index.
    fn change_at(&self, index: u32, claimed: &[(u32, Target)]) -> AccountChange {
        let hint = &self.accounts[claimed[0].0 as usize];
        let mut change = AccountChange::new(hint.address);
        for (_, target) in claimed {
            match target {
                Target::Account(_) => {
                    change.nonce = claim_at(hint.nonces, index).map(|claim| claim.new_nonce);
                    change.balance = claim_at(hint.balances, index).map(|claim| claim.post_balance);
                    change.code = position_at(hint.codes(), index).map(|position| {
                        let (hash, code) = hint.code(position);
                        let code = code.clone();
                        CodeChange { hash, code }
                    });
                    change.fate = hint.fate_at(index).unwrap_or(change.fate);
                }
                Target::Slot(slot) => {
                    let hint = &self.slots[*slot as usize];
                    let value = claim_at(hint.values, index).map(|claim| claim.new_value);
                    change.storage.extend(value.map(|value| (hint.slot, value)));
                }
            }
        }
        change
    }
}

/// The number of changes, if each is claimed.
fn matching<T: Claim + PartialEq>(claims: &[T], changes: &[T]) -> Option<u32> {
    let claimed = |change: &T| {
        let index = u32::try_from(change.index()).ok()?;
        (claim_at(claims, index)? == change).then_some(())
    };
    changes.iter().try_for_each(claimed)?;
    Some(changes.len() as u32)
}

/// Whether post-values do not say what became of an account.
fn has_fate(account: &JournalAccount) -> bool {
    let existed = !account.is_loaded_as_not_existing();
    account.is_touched()
        && existed
        && (account.is_selfdestructed() || account.is_created() || account.is_empty())
}
