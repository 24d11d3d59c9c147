//! What a mini-block adds to the access list of its EVM block (EIP-7928).

use std::collections::{BTreeMap, BTreeSet};

use alloy_eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange, SlotChanges,
    StorageChange,
};
use alloy_primitives::{Address, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use crate::StateDiff;

/// What a mini-block adds to what the header of its block says from Amsterdam on, and its receipts and its diff do not give.
///
/// All mini-blocks of a block that was made here have one; that of a block made elsewhere has an [`AmsterdamClose`].
///
/// [`AmsterdamClose`]: crate::AmsterdamClose
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct AmsterdamDelta {
    /// Gas that its transactions spent on execution, before refunds (EIP-8037, EIP-7778).
    pub execution_gas: u64,
    /// Gas that they spent on growth of the state (EIP-8037).
    pub state_gas: u64,
    /// What was touched.
    pub accesses: AccessDelta,
}

/// The part of a block access list that one mini-block makes, as far as the mini-block's diff does not say it: together they
/// are the list.
///
/// Sorted by address. No account is in both; one in neither is in the list as it is in the diff.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct AccessDelta {
    reads: Vec<AccountReads>,
    /// As the list has them, where that is not what the diff says: a diff says all fields of an account that was created
    /// over an old one, and none of one that was removed, be its balance changed or not.
    differing: Vec<AccountChanges>,
}

/// What was touched of an account and not changed.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct AccountReads {
    address: Address,
    slots: Vec<U256>,
}

/// Why this is no [`AccessDelta`] of a mini-block with this diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessDeltaError {
    /// An account is there twice, or is not where its address belongs; or one of its slots or changes is not.
    #[error("{0} is out of order")]
    Order(Address),
    /// A slot is said to be read and changed.
    #[error("a slot of {0} is both read and changed")]
    ReadAndChanged(Address),
    /// An entry says nothing that the diff does not say.
    #[error("what is said of {0} is in the diff")]
    Redundant(Address),
    /// The diff has reads, or an account that did not change.
    #[error("the diff of {0} is none")]
    Diff(Address),
}

impl AccessDelta {
    /// What `list`, the access list of a mini-block, has more than its diff. The diff has no account that the list does not
    /// have.
    #[must_use]
    pub fn new(list: BlockAccessList, diff: &StateDiff) -> Self {
        let mut changed = diff.accounts.iter().peekable();
        let mut delta = Self::default();
        for mut account in list {
            let of_diff = changed.next_if(|change| change.address <= account.address);
            debug_assert!(of_diff.is_none_or(|change| change.address == account.address));
            let slots = std::mem::take(&mut account.storage_reads);
            match of_diff {
                Some(change) if *change == account => {
                    if !slots.is_empty() {
                        delta.reads.push(AccountReads::new(account.address, slots));
                    }
                }
                None if !account.has_changes() => {
                    delta.reads.push(AccountReads::new(account.address, slots));
                }
                _ => {
                    account.storage_reads = slots;
                    delta.differing.push(account);
                }
            }
        }
        delta
    }

    /// The access list of the mini-block with this diff.
    #[must_use]
    pub fn list(&self, diff: &StateDiff) -> BlockAccessList {
        let mut list: BTreeMap<Address, AccountChanges> = diff
            .accounts
            .iter()
            .map(|account| (account.address, account.clone()))
            .collect();
        for reads in &self.reads {
            let account = list
                .entry(reads.address)
                .or_insert_with(|| AccountChanges::new(reads.address));
            account.storage_reads.clone_from(&reads.slots);
        }
        let differing = self.differing.iter();
        list.extend(differing.map(|account| (account.address, account.clone())));
        list.into_values().collect()
    }

    /// Checks that it is what [`new`](Self::new) makes of some list.
    ///
    /// # Errors
    /// [`AccessDeltaError`] with the first fault.
    pub(crate) fn verify(&self, diff: &StateDiff) -> Result<(), AccessDeltaError> {
        verify_order(&diff.accounts, |account| account.address)?;
        verify_order(&self.reads, |reads| reads.address)?;
        verify_order(&self.differing, |account| account.address)?;
        let of_diff = |address: &Address| {
            let at = diff
                .accounts
                .binary_search_by_key(address, |account| account.address);
            at.ok().map(|at| &diff.accounts[at])
        };
        for account in &diff.accounts {
            if !account.storage_reads.is_empty() || !account.has_changes() {
                return Err(AccessDeltaError::Diff(account.address));
            }
        }
        for reads in &self.reads {
            reads.verify(of_diff(&reads.address))?;
            let twice = self
                .differing
                .binary_search_by_key(&reads.address, |account| account.address);
            if twice.is_ok() {
                return Err(AccessDeltaError::Order(reads.address));
            }
        }
        self.differing
            .iter()
            .try_for_each(|account| verify_account(account, of_diff(&account.address)))
    }
}

impl AccountReads {
    const fn new(address: Address, slots: Vec<U256>) -> Self {
        Self { address, slots }
    }

    fn verify(&self, of_diff: Option<&AccountChanges>) -> Result<(), AccessDeltaError> {
        if !self.slots.is_sorted_by(|one, next| one < next) {
            return Err(AccessDeltaError::Order(self.address));
        }
        let Some(changes) = of_diff else {
            return Ok(());
        };
        if self.slots.is_empty() {
            return Err(AccessDeltaError::Redundant(self.address));
        }
        verify_reads(self.address, &self.slots, changes)
    }
}

fn verify_order<T>(sorted: &[T], address: impl Fn(&T) -> Address) -> Result<(), AccessDeltaError> {
    let unsorted = sorted
        .windows(2)
        .find(|pair| address(&pair[0]) >= address(&pair[1]));
    unsorted.map_or(Ok(()), |pair| Err(AccessDeltaError::Order(address(&pair[1]))))
}

fn verify_reads(address: Address, reads: &[U256], changes: &AccountChanges) -> Result<(), AccessDeltaError> {
    let changed: BTreeSet<U256> = changes.storage_changes.iter().map(|slot| slot.slot).collect();
    match reads.iter().any(|slot| changed.contains(slot)) {
        true => Err(AccessDeltaError::ReadAndChanged(address)),
        false => Ok(()),
    }
}

/// Checks an account that is not in the list as the diff has it.
fn verify_account(
    account: &AccountChanges,
    of_diff: Option<&AccountChanges>,
) -> Result<(), AccessDeltaError> {
    let address = account.address;
    let indices = |sorted: bool| match sorted {
        true => Ok(()),
        false => Err(AccessDeltaError::Order(address)),
    };
    indices(account.storage_reads.is_sorted_by(|one, next| one < next))?;
    indices(
        account
            .storage_changes
            .is_sorted_by(|one, next| one.slot < next.slot),
    )?;
    for slot in &account.storage_changes {
        let changes = &slot.changes;
        indices(
            !changes.is_empty()
                && changes.is_sorted_by(|one, next| one.block_access_index < next.block_access_index),
        )?;
    }
    let nonces = &account.nonce_changes;
    indices(nonces.is_sorted_by(|one, next| one.block_access_index < next.block_access_index))?;
    let balances = &account.balance_changes;
    indices(balances.is_sorted_by(|one, next| one.block_access_index < next.block_access_index))?;
    let codes = &account.code_changes;
    indices(codes.is_sorted_by(|one, next| one.block_access_index < next.block_access_index))?;
    verify_reads(address, &account.storage_reads, account)?;
    let is_read_only = !account.has_changes();
    let is_redundant = match of_diff {
        None => is_read_only,
        Some(changes) => is_same_but_for_reads(account, changes),
    };
    match is_redundant {
        true => Err(AccessDeltaError::Redundant(address)),
        false => Ok(()),
    }
}

fn is_same_but_for_reads(account: &AccountChanges, changes: &AccountChanges) -> bool {
    account.storage_changes == changes.storage_changes
        && account.balance_changes == changes.balance_changes
        && account.nonce_changes == changes.nonce_changes
        && account.code_changes == changes.code_changes
}

/// Puts the lists of a block's mini-blocks together: what comes out is the block's access list, sorted as EIP-7928 asks.
#[derive(Clone, Debug, Default)]
pub struct AccessListMerger {
    accounts: BTreeMap<Address, MergedAccount>,
}

#[derive(Clone, Debug, Default)]
struct MergedAccount {
    /// Slots that were only read have no changes.
    slots: BTreeMap<U256, Vec<StorageChange>>,
    balances: Vec<BalanceChange>,
    nonces: Vec<NonceChange>,
    codes: Vec<CodeChange>,
}

impl AccessListMerger {
    /// Adds the list of the next mini-block.
    pub fn push(&mut self, list: BlockAccessList) {
        for account in list {
            let merged = self.accounts.entry(account.address).or_default();
            for slot in account.storage_reads {
                merged.slots.entry(slot).or_default();
            }
            for SlotChanges { slot, changes } in account.storage_changes {
                merged.slots.entry(slot).or_default().extend(changes);
            }
            merged.balances.extend(account.balance_changes);
            merged.nonces.extend(account.nonce_changes);
            merged.codes.extend(account.code_changes);
        }
    }

    /// The list of the block.
    #[must_use]
    pub fn finish(self) -> BlockAccessList {
        let accounts = self.accounts.into_iter();
        accounts
            .map(|(address, account)| account.finish(address))
            .collect()
    }
}

impl MergedAccount {
    fn finish(self, address: Address) -> AccountChanges {
        let mut account = AccountChanges::new(address);
        for (slot, changes) in self.slots {
            match changes.is_empty() {
                true => account.storage_reads.push(slot),
                false => account.storage_changes.push(SlotChanges::new(
                    slot,
                    in_order(changes, |change| change.block_access_index),
                )),
            }
        }
        account.balance_changes = in_order(self.balances, |change| change.block_access_index);
        account.nonce_changes = in_order(self.nonces, |change| change.block_access_index);
        account.code_changes = in_order(self.codes, |change| change.block_access_index);
        account
    }
}

/// Changes by their index. What precedes the transactions may have happened in a later mini-block than they: the hash of the
/// parent is stored when it is known.
fn in_order<T>(mut changes: Vec<T>, index: impl Fn(&T) -> BlockAccessIndex) -> Vec<T> {
    changes.sort_by_key(index);
    changes
}
