//! What a block is said to write, by block access index (EIP-7928): the claims that let its transactions run at once.

use alloy_eip7928::{AccountChanges, BalanceChange, CodeChange, NonceChange, StorageChange};
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{AddressMap, B256Map},
};
use rapid_primitives::{Account, Fate, FateAt};
use revm::bytecode::Bytecode;

use crate::{
    ahead::{Claimed, Target, TargetsByIndex},
    block_hint::{BlockHint, HintError, HintKind, Usable},
    claim::{Claim, last_between},
    places::Places,
};

/// Slots of an account that are searched without a table.
const SLOTS_FEW: usize = 8;

/// A hint, ready to be asked: every account and every slot in it has a number.
#[derive(Debug)]
pub(crate) struct Hints<'a> {
    pub(crate) kind: HintKind,
    /// As they came.
    pub(crate) listed: &'a [AccountChanges],
    pub(crate) fates: &'a [FateAt],
    pub(crate) accounts: Vec<AccountHint<'a>>,
    pub(crate) slots: Vec<SlotHint<'a>>,
    /// How many of the slots are claimed to change.
    pub(crate) changed_slots: usize,
    /// Where the listed accounts are.
    places: Places,
    /// Those that are not listed and have fates.
    unlisted: AddressMap<u32>,
    codes: B256Map<Bytecode>,
    pub(crate) by_index: TargetsByIndex,
}

/// Claims about the fields of an account.
#[derive(Debug)]
pub(crate) struct AccountHint<'a> {
    pub(crate) address: Address,
    /// Numbers of its slots, which are sorted: the first, and the one after the last.
    pub(crate) slots: (u32, u32),
    pub(crate) nonces: &'a [NonceChange],
    pub(crate) balances: &'a [BalanceChange],
    /// Apart, since few have any: what all have is then in two cache lines.
    rare: Option<Box<RareClaims<'a>>>,
    /// Where its slots are; `None` if there are few.
    places: Option<Box<Places>>,
}

/// Claims about the code and the existence of an account.
#[derive(Debug, Default)]
struct RareClaims<'a> {
    codes: &'a [CodeChange],
    /// Hashes of `codes`.
    code_hashes: Vec<B256>,
    /// By index.
    fates: Vec<(u32, Fate)>,
}

/// Claims about a slot; none if it is only read.
#[derive(Debug)]
pub(crate) struct SlotHint<'a> {
    pub(crate) account: u32,
    pub(crate) slot: U256,
    pub(crate) values: &'a [StorageChange],
}

impl<'a> Hints<'a> {
    /// Takes a hint of a block with so many transactions and this gas limit.
    pub(crate) fn new(hint: &'a BlockHint, transactions: usize, gas_limit: u64) -> Result<Self, HintError> {
        let Usable { kind, listed, fates } = hint.usable(transactions, gas_limit)?;
        let mut hints = Self {
            kind,
            listed,
            fates,
            accounts: Vec::with_capacity(listed.len()),
            slots: Vec::new(),
            changed_slots: 0,
            places: Places::of(listed.iter().map(|account| number_of(&account.address))),
            unlisted: AddressMap::default(),
            codes: B256Map::default(),
            by_index: TargetsByIndex::default(),
        };
        let mut claimed = Claimed::default();
        let slots = listed
            .iter()
            .map(|account| account.storage_changes.len() + account.storage_reads.len())
            .sum();
        hints.slots.reserve_exact(slots);
        for account in listed {
            hints.add_account(account, &mut claimed);
        }
        for fate in fates {
            hints.add_fate(fate, &mut claimed);
        }
        hints.by_index = claimed.by_index(transactions + 1);
        Ok(hints)
    }

    fn add_account(&mut self, listed: &'a AccountChanges, claimed: &mut Claimed) {
        let id = self.accounts.len() as u32;
        let first = self.slots.len() as u32;
        self.changed_slots += listed.storage_changes.len();
        self.add_slots(id, listed, claimed);
        claimed.add(&listed.nonce_changes, Target::Account(id));
        claimed.add(&listed.balance_changes, Target::Account(id));
        claimed.add(&listed.code_changes, Target::Account(id));
        let code_hashes = listed.code_changes.iter().map(|change| {
            let code = rapid_primitives::CodeChange::new(change.new_code.clone());
            self.codes.entry(code.hash).or_insert_with(|| code.bytecode());
            code.hash
        });
        let rare = (!listed.code_changes.is_empty()).then(|| RareClaims {
            codes: &listed.code_changes,
            code_hashes: code_hashes.collect(),
            fates: Vec::new(),
        });
        let slots = self.slots[first as usize..].iter().map(|slot| slot.slot);
        let hint = AccountHint {
            address: listed.address,
            nonces: &listed.nonce_changes,
            balances: &listed.balance_changes,
            rare: rare.map(Box::new),
            slots: (first, self.slots.len() as u32),
            places: (slots.len() > SLOTS_FEW).then(|| Box::new(Places::of(slots))),
        };
        self.accounts.push(hint);
    }

    /// Adds the slots of an account, those that are changed and those that are only read, in one order.
    fn add_slots(&mut self, account: u32, listed: &'a AccountChanges, claimed: &mut Claimed) {
        let mut reads = listed.storage_reads.iter().copied().peekable();
        for changed in &listed.storage_changes {
            while let Some(read) = reads.next_if(|read| *read < changed.slot) {
                self.add_slot(account, read, &[]);
            }
            claimed.add(&changed.changes, Target::Slot(self.slots.len() as u32));
            self.add_slot(account, changed.slot, &changed.changes);
        }
        reads.for_each(|read| self.add_slot(account, read, &[]));
    }

    fn add_slot(&mut self, account: u32, slot: U256, values: &'a [StorageChange]) {
        self.slots.push(SlotHint {
            account,
            slot,
            values,
        });
    }

    fn add_fate(&mut self, fate: &FateAt, claimed: &mut Claimed) {
        let next = self.accounts.len() as u32;
        let id = self.account_id(&fate.address).unwrap_or(next);
        if id == next {
            self.unlisted.insert(fate.address, id);
            let slots = self.slots.len() as u32;
            self.accounts.push(AccountHint {
                address: fate.address,
                nonces: &[],
                balances: &[],
                rare: None,
                slots: (slots, slots),
                places: None,
            });
        }
        let rare = self.accounts[id as usize].rare.get_or_insert_default();
        rare.fates.push((fate.index, fate.fate()));
        claimed.add_at(fate.index, Target::Account(id));
    }

    /// How many slots each listed account is claimed to change.
    ///
    /// # Panics
    /// If an account that is not listed has a fate.
    pub(crate) fn changed_slots_of_each(&self) -> impl Iterator<Item = usize> {
        assert_eq!(self.accounts.len(), self.listed.len(), "all accounts are listed");
        let accounts = self.accounts.iter().zip(self.listed);
        accounts.map(|(hint, listed)| match self.kind {
            // Nothing that is only read is in it, and the hints are in fewer cache lines than the list.
            HintKind::Advisory => hint.slot_count(),
            HintKind::Declared => listed.storage_changes.len(),
        })
    }

    /// Number of claims at a block access index.
    pub(crate) fn count_at(&self, index: u32) -> u32 {
        self.by_index.at(index).len() as u32
    }

    /// The number of an account.
    pub(crate) fn account_id(&self, address: &Address) -> Option<u32> {
        let find = |place: u32| self.accounts[place as usize].address.cmp(address);
        match self.places.find(&number_of(address), find) {
            None if !self.unlisted.is_empty() => self.unlisted.get(address).copied(),
            id => id,
        }
    }

    /// The number of a slot.
    pub(crate) fn slot_id(&self, account: u32, slot: &U256) -> Option<u32> {
        let hint = &self.accounts[account as usize];
        let (first, end) = hint.slots;
        let place = match &hint.places {
            Some(places) => places.find(slot, |place| self.slots[(first + place) as usize].slot.cmp(slot)),
            None => {
                let slots = &self.slots[first as usize..end as usize];
                let place = slots.binary_search_by(|hint| hint.slot.cmp(slot)).ok();
                place.map(|place| place as u32)
            }
        };
        Some(first + place?)
    }

    /// Code that the block is said to bring.
    pub(crate) fn code(&self, hash: &B256) -> Option<&Bytecode> {
        self.codes.get(hash)
    }

    /// An account as it is said to be when the transaction at this index begins; `base` is the state before the first.
    pub(crate) fn account_before<E>(
        &self,
        id: u32,
        index: u32,
        base: impl FnOnce(&Address) -> Result<Option<Account>, E>,
    ) -> Result<Option<Account>, E> {
        let hint = &self.accounts[id as usize];
        let cleared = hint.cleared_before(index);
        let from = first_index_after(cleared);
        let nonce = last_between(hint.nonces, from, index);
        let balance = last_between(hint.balances, from, index);
        let code = last_between(hint.codes(), from, index);
        let fate = hint.last_fate_before(index);
        if nonce.is_none() && balance.is_none() && code.is_none() && fate.is_none() {
            return base(&hint.address);
        }
        let is_complete = nonce.is_some() && balance.is_some() && code.is_some();
        let mut account = match cleared {
            None if !is_complete => base(&hint.address)?.unwrap_or_default(),
            _ => Account::default(),
        };
        let mut changed = 0;
        if let Some(position) = nonce {
            account.nonce = hint.nonces[position].new_nonce;
            changed = changed.max(hint.nonces[position].index());
        }
        if let Some(position) = balance {
            account.balance = hint.balances[position].post_balance;
            changed = changed.max(hint.balances[position].index());
        }
        if let Some(position) = code {
            account.code_hash = hint.code(position).0;
            changed = changed.max(hint.codes()[position].index());
        }
        let exists = match fate {
            Some((at, fate)) if u64::from(at) >= changed => fate != Fate::Removed,
            _ => !account.is_empty(),
        };
        Ok(exists.then_some(account))
    }

    /// A slot as it is said to be when the transaction at this index begins; `base` is the state before the first.
    pub(crate) fn slot_before<E>(
        &self,
        account: u32,
        slot: Option<u32>,
        index: u32,
        base: impl FnOnce() -> Result<U256, E>,
    ) -> Result<U256, E> {
        let cleared = self.accounts[account as usize].cleared_before(index);
        if let Some(slot) = slot {
            let values = self.slots[slot as usize].values;
            if let Some(position) = last_between(values, first_index_after(cleared), index) {
                return Ok(values[position].new_value);
            }
        }
        match cleared {
            Some(_) => Ok(U256::ZERO),
            None => base(),
        }
    }

    /// Whether a slot of an account is said to be written by a transaction before this index.
    pub(crate) fn writes_storage_before(&self, account: u32, index: u32) -> bool {
        let (first, end) = self.accounts[account as usize].slots;
        self.slots[first as usize..end as usize]
            .iter()
            .any(|slot| last_between(slot.values, 1, index).is_some())
    }
}

impl AccountHint<'_> {
    /// How many slots it has, those that are only read among them.
    const fn slot_count(&self) -> usize {
        (self.slots.1 - self.slots.0) as usize
    }

    /// The fate claimed at an index: the last if there are more, as there can be around the transactions.
    pub(crate) fn fate_at(&self, index: u32) -> Option<Fate> {
        let at = self.fates().iter().rev().find(|(at, _)| *at == index);
        at.map(|(_, fate)| *fate)
    }

    /// The last fate among those of transactions before this index.
    fn last_fate_before(&self, index: u32) -> Option<(u32, Fate)> {
        let mut fates = self.fates().iter().rev();
        fates.find(|(at, _)| *at > 0 && *at < index).copied()
    }

    /// When the account last lost its storage, among the transactions before this index.
    fn cleared_before(&self, index: u32) -> Option<(u32, Fate)> {
        let mut fates = self.fates().iter().rev();
        fates
            .find(|(at, fate)| *at > 0 && *at < index && matches!(fate, Fate::Wiped | Fate::Removed))
            .copied()
    }

    /// The code claimed at a position of `codes`.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn code(&self, position: usize) -> (B256, &Bytes) {
        let rare = self.rare.as_ref().expect("there is a code claim");
        (rare.code_hashes[position], &rare.codes[position].new_code)
    }

    /// Claims about its code.
    pub(crate) fn codes(&self) -> &[CodeChange] {
        self.rare.as_ref().map_or(&[], |rare| rare.codes)
    }

    /// Its fates, by index.
    pub(crate) fn fates(&self) -> &[(u32, Fate)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.fates)
    }
}

/// The first index whose claims outlived this: a wipe keeps what its own transaction wrote, a removal nothing of it. What
/// precedes the transactions is in the base.
const fn first_index_after(cleared: Option<(u32, Fate)>) -> u32 {
    match cleared {
        None => 1,
        Some((at, Fate::Removed)) => at + 1,
        Some((at, _)) => at,
    }
}

/// An address as a number of the same order.
const fn number_of(address: &Address) -> U256 {
    let bytes = &address.0.0;
    let Some((high, rest)) = bytes.split_first_chunk::<4>() else {
        panic!("an address has 20 bytes")
    };
    let (Some(middle), Some(low)) = (rest.first_chunk::<8>(), rest.last_chunk::<8>()) else {
        panic!("an address has 20 bytes")
    };
    let high = u32::from_be_bytes(*high) as u64;
    U256::from_limbs([u64::from_be_bytes(*low), u64::from_be_bytes(*middle), high, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_addresses_have_their_bytes() {
        let address = Address::from_slice(&(1..=20).collect::<Vec<u8>>());
        assert_eq!(number_of(&address), U256::from_be_slice(address.as_slice()));
    }
}
