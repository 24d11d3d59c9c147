//! The state diff of a mini-block in EIP-7928 form: post-values by index, plus the fates they do not imply.

use std::{collections::HashMap, ops::RangeInclusive};

use alloy_eip7928::{AccountChanges, BlockAccessIndex, SlotChanges};
use alloy_primitives::{Address, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use crate::{AccountChange, CodeChange, Fate};

/// A fate other than [`Fate::Kept`], at the index of the transaction that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct FateAt {
    /// The account.
    pub address: Address,
    /// Block access index: 0 before the transactions, `1..=n` the transactions of the EVM block, `n + 1` after them.
    pub index: u32,
    /// 1 wiped, 2 removed, 3 created empty; anything else does not decode.
    kind: FateKind,
}

impl FateAt {
    /// What happened to an account at an index; `None` if its values say it.
    pub(crate) const fn of(address: Address, index: u32, fate: Fate) -> Option<Self> {
        let kind = match fate {
            Fate::Kept => return None,
            Fate::Wiped => FateKind::Wiped,
            Fate::Removed => FateKind::Removed,
            Fate::CreatedEmpty => FateKind::CreatedEmpty,
        };
        Some(Self { address, index, kind })
    }

    /// What happened.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self.kind {
            FateKind::Wiped => Fate::Wiped,
            FateKind::Removed => Fate::Removed,
            FateKind::CreatedEmpty => Fate::CreatedEmpty,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FateKind {
    Wiped = 1,
    Removed = 2,
    CreatedEmpty = 3,
}

impl alloy_rlp::Encodable for FateKind {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        (*self as u8).encode(out);
    }
    fn length(&self) -> usize {
        1
    }
}

impl alloy_rlp::Decodable for FateKind {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        match u8::decode(buf)? {
            1 => Ok(Self::Wiped),
            2 => Ok(Self::Removed),
            3 => Ok(Self::CreatedEmpty),
            _ => Err(alloy_rlp::Error::Custom("unknown account fate")),
        }
    }
}

/// Post-values of everything a mini-block changed.
///
/// `accounts` is sorted by address, slots by key and changes by index, as EIP-7928 orders them. Reads are not in it: from
/// Amsterdam on they are in the mini-block's [`AccessDelta`](crate::AccessDelta).
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct StateDiff {
    /// Changes per account.
    pub accounts: Vec<AccountChanges>,
    /// Accounts wiped, removed or created empty, sorted by index and then address.
    pub fates: Vec<FateAt>,
}

impl StateDiff {
    /// Whether nothing changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.fates.is_empty()
    }

    /// The net change of each account, ready to be applied to the state before the mini-block; sorted by address.
    ///
    /// Values written before an account was last wiped or removed are dropped: they went with it.
    #[must_use]
    pub fn collapse(&self) -> Vec<AccountChange> {
        collapse_between(&self.accounts, &self.fates, 0..=u32::MAX)
    }
}

/// The net change of each account by what happened at some indices, as [`StateDiff::collapse`] gives it for all of a diff;
/// accounts and their changes must be sorted as there. What changed nothing then is left out.
#[must_use]
pub fn collapse_between(
    accounts: &[AccountChanges],
    fates: &[FateAt],
    indices: RangeInclusive<u32>,
) -> Vec<AccountChange> {
    let mut last: HashMap<Address, LastFate> = HashMap::new();
    for fate in fates.iter().filter(|fate| indices.contains(&fate.index)) {
        last.entry(fate.address).or_default().note(fate);
    }
    let mut changes: Vec<AccountChange> = accounts
        .iter()
        .map(|account| {
            let fate = match last.is_empty() {
                true => LastFate::default(),
                false => last.remove(&account.address).unwrap_or_default(),
            };
            collapse_account(account, fate, &indices)
        })
        .filter(|change| !change.is_noop())
        .collect();
    if last.is_empty() {
        return changes;
    }
    changes.extend(last.into_iter().map(|(address, fate)| {
        let nothing = AccountChanges {
            address,
            ..AccountChanges::default()
        };
        collapse_account(&nothing, fate, &indices)
    }));
    changes.sort_unstable_by_key(|change| change.address);
    changes
}

/// The values of some slots by what was written at some indices, as [`collapse_between`] gives them for an account without
/// fates. What was not written then is left out.
#[must_use]
pub fn collapse_slots(slots: &[SlotChanges], indices: &RangeInclusive<u32>) -> Vec<(U256, U256)> {
    let values = slots.iter().filter_map(|slot| {
        let last = last_of(&slot.changes, indices, |change| change.block_access_index)?;
        Some((slot.slot, last.new_value))
    });
    values.collect()
}

/// The last of some changes, which are sorted by index, that is at one of these.
fn last_of<'a, T>(
    changes: &'a [T],
    indices: &RangeInclusive<u32>,
    index: impl Fn(&T) -> BlockAccessIndex,
) -> Option<&'a T> {
    let (first, end) = (u64::from(*indices.start()), u64::from(*indices.end()));
    let last = changes.last()?;
    let last = match index(last).get() <= end {
        true => last,
        false => {
            let count = changes.partition_point(|change| index(change).get() <= end);
            &changes[count.checked_sub(1)?]
        }
    };
    (index(last).get() >= first).then_some(last)
}

/// The fates of one account in a mini-block, as far as they still matter at its end.
#[derive(Clone, Copy, Debug, Default)]
struct LastFate {
    cleared: Option<(u32, FateKind)>,
    created_empty: bool,
}

impl LastFate {
    const fn note(&mut self, fate: &FateAt) {
        match fate.kind {
            FateKind::CreatedEmpty => self.created_empty = true,
            kind => {
                self.cleared = Some((fate.index, kind));
                self.created_empty = false;
            }
        }
    }

    /// Whether a value written at `index` outlived the last wipe. A wipe keeps what its own transaction wrote; a
    /// removal keeps nothing of its transaction.
    const fn keeps(&self, index: BlockAccessIndex) -> bool {
        match self.cleared {
            None => true,
            Some((at, FateKind::Removed)) => index.get() > at as u64,
            Some((at, _)) => index.get() >= at as u64,
        }
    }
}

fn collapse_account(
    account: &AccountChanges,
    last: LastFate,
    indices: &RangeInclusive<u32>,
) -> AccountChange {
    let mut change = AccountChange::new(account.address);
    change.nonce = last_of(&account.nonce_changes, indices, |c| c.block_access_index)
        .filter(|c| last.keeps(c.block_access_index))
        .map(|c| c.new_nonce);
    change.balance = last_of(&account.balance_changes, indices, |c| c.block_access_index)
        .filter(|c| last.keeps(c.block_access_index))
        .map(|c| c.post_balance);
    change.code = last_of(&account.code_changes, indices, |c| c.block_access_index)
        .filter(|c| last.keeps(c.block_access_index))
        .map(|c| CodeChange::new(c.new_code.clone()));
    change.storage = account
        .storage_changes
        .iter()
        .filter_map(|slot| {
            let last_write = last_of(&slot.changes, indices, |c| c.block_access_index)
                .filter(|c| last.keeps(c.block_access_index))?;
            Some((slot.slot, last_write.new_value))
        })
        .collect();
    change.fate = match last.cleared {
        None if last.created_empty => Fate::CreatedEmpty,
        None => Fate::Kept,
        Some((_, FateKind::Removed)) if change.is_noop() && !last.created_empty => Fate::Removed,
        Some((_, kind)) => {
            if kind == FateKind::Removed {
                start_over(&mut change);
            }
            Fate::Wiped
        }
    };
    change
}

/// Completes the fields of an account that was removed and came back: what it did not write is zero, not the old value.
fn start_over(change: &mut AccountChange) {
    change.nonce.get_or_insert(0);
    change.balance.get_or_insert(U256::ZERO);
    change
        .code
        .get_or_insert_with(|| CodeChange::new(alloy_primitives::Bytes::new()));
}
