//! What a transaction changed, from revm's journal to absolute post-values.

use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY};
use rapid_primitives::{AccountChange, CodeChange, Fate};
use revm::{
    primitives::hardfork::SpecId,
    state::{Account as JournalAccount, AccountInfo, EvmState},
};

/// The changes of one transaction, sorted by address, accounts that did not change left out.
#[must_use]
pub fn account_changes(journal: &EvmState, fork: SpecId) -> Vec<AccountChange> {
    let mut changes: Vec<AccountChange> = journal
        .iter()
        .filter_map(|(address, account)| account_change(*address, account, fork))
        .collect();
    changes.sort_unstable_by_key(|change| change.address);
    changes
}

fn account_change(address: Address, account: &JournalAccount, fork: SpecId) -> Option<AccountChange> {
    if !account.is_touched() {
        return None;
    }
    let existed = !account.is_loaded_as_not_existing();
    if account.is_selfdestructed() {
        return existed.then(|| AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(address)
        });
    }
    let state_clearing = fork.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    if account.is_empty() && state_clearing {
        // EIP-161: an empty account that was touched is deleted.
        return existed.then(|| AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(address)
        });
    }
    let mut change = AccountChange::new(address);
    if account.is_created() && existed {
        // A contract created where something was before starts with empty storage and says all its fields.
        change.fate = Fate::Wiped;
        set_all_fields(&mut change, &account.info);
    } else {
        set_changed_fields(&mut change, account);
    }
    if account.is_empty() && !existed {
        change.fate = Fate::CreatedEmpty;
    }
    change.storage = account
        .changed_storage_slots()
        .map(|(slot, value)| (*slot, value.present_value()))
        .collect();
    (!change.is_noop()).then_some(change)
}

fn set_changed_fields(change: &mut AccountChange, account: &JournalAccount) {
    // Of most contracts that are called only slots change, and asking for what was before copies all of it.
    if !account.is_changed() {
        return;
    }
    let before = account.original_info();
    let after = &account.info;
    change.nonce = (after.nonce != before.nonce).then_some(after.nonce);
    change.balance = (after.balance != before.balance).then_some(after.balance);
    change.code = (code_hash(after) != code_hash(&before)).then(|| code_change(after));
}

fn set_all_fields(change: &mut AccountChange, info: &AccountInfo) {
    change.nonce = Some(info.nonce);
    change.balance = Some(info.balance);
    change.code = Some(code_change(info));
}

/// revm leaves the hash zero on some accounts without code.
fn code_hash(info: &AccountInfo) -> alloy_primitives::B256 {
    if info.code_hash.is_zero() {
        KECCAK256_EMPTY
    } else {
        info.code_hash
    }
}

fn code_change(info: &AccountInfo) -> CodeChange {
    let code = info
        .code
        .as_ref()
        .map_or_else(Bytes::new, |code| code.original_bytes());
    CodeChange {
        hash: code_hash(info),
        code,
    }
}
