//! Chains whose blocks change a small state, with the state after every block.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, Bytes, U256};
use proptest::prelude::*;
use rapid_history::{AccountRevert, BlockReverts, Past};
use rapid_primitives::{Account, CodeChange};

use crate::blocks::{BlockSeed, Chain};

/// Accounts that actions change, by number; the one after the last is never touched.
const ADDRESSES: u8 = 5;

/// Slots of each that actions change; likewise.
const SLOTS: u8 = 4;

/// What happens to one account.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// It has this balance; it is created if it is not there.
    Pay(u64),
    /// It has other code.
    Deploy(u8),
    /// A slot has another value.
    Write(u8, U256),
    /// It is destroyed and created again with nothing in it.
    Recreate,
    /// It is gone.
    Remove,
}

/// Actions of one block.
pub(crate) type Actions = Vec<(u8, Action)>;

pub(crate) fn actions() -> impl Strategy<Value = Actions> {
    // Few values, so that some changes change nothing and some go back.
    let word = prop_oneof![(0u64..3).prop_map(U256::from), Just(U256::MAX)];
    let action = prop_oneof![
        3 => (0u64..4).prop_map(Action::Pay),
        2 => (0u8..6).prop_map(Action::Deploy),
        6 => (0..SLOTS, word).prop_map(|(slot, value)| Action::Write(slot, value)),
        1 => Just(Action::Recreate),
        1 => Just(Action::Remove),
    ];
    prop::collection::vec((0..ADDRESSES, action), 0..8)
}

pub(crate) fn address(index: u8) -> Address {
    // They differ in the last byte alone: neighbours in the tables.
    Address::with_last_byte(index)
}

pub(crate) fn addresses() -> impl Iterator<Item = Address> {
    (0..=ADDRESSES).map(address)
}

pub(crate) fn slots() -> impl Iterator<Item = U256> {
    (0..=SLOTS).map(U256::from)
}

pub(crate) fn code(index: u8) -> CodeChange {
    CodeChange::new(Bytes::from(vec![index; usize::from(index) * 10]))
}

/// The whole state; slots that are zero are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelState {
    pub(crate) accounts: BTreeMap<Address, Account>,
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
}

impl ModelState {
    pub(crate) fn slot(&self, address: Address, slot: U256) -> U256 {
        self.storage.get(&(address, slot)).copied().unwrap_or_default()
    }

    /// Writes old values over it.
    pub(crate) fn revert(&mut self, reverts: &BlockReverts) {
        for revert in reverts.accounts() {
            match revert.account {
                Past::Was(Some(account)) => {
                    self.accounts.insert(revert.address, account);
                }
                Past::Was(None) => {
                    self.accounts.remove(&revert.address);
                }
                Past::Unchanged => {}
            }
            for (slot, before) in &revert.storage {
                self.write(revert.address, *slot, *before);
            }
        }
    }

    fn write(&mut self, address: Address, slot: U256, value: U256) {
        if value.is_zero() {
            self.storage.remove(&(address, slot));
        } else {
            self.storage.insert((address, slot), value);
        }
    }

    fn apply(&mut self, address: Address, action: &Action) {
        let Self { accounts, storage } = self;
        if matches!(action, Action::Recreate | Action::Remove) {
            accounts.remove(&address);
            storage.retain(|(owner, _), _| *owner != address);
        }
        if matches!(action, Action::Remove) {
            return;
        }
        let account = accounts.entry(address).or_default();
        account.nonce += 1;
        match action {
            Action::Pay(balance) => account.balance = U256::from(*balance),
            Action::Deploy(index) => account.code_hash = code(*index).hash,
            Action::Write(slot, value) => self.write(address, U256::from(*slot), *value),
            Action::Recreate | Action::Remove => {}
        }
    }

    /// What must be written over `after` to get this back; accounts in `wiped` lost all their slots in between.
    fn reverts(&self, after: &Self, wiped: &BTreeSet<Address>) -> BlockReverts {
        let revert = |address| {
            let (before_fields, after_fields) = (self.accounts.get(&address), after.accounts.get(&address));
            let account = if before_fields == after_fields {
                Past::Unchanged
            } else {
                Past::Was(before_fields.copied())
            };
            let storage = slots().map(|slot| (slot, self.slot(address, slot)));
            let storage: Vec<_> = storage
                .filter(|(slot, before)| {
                    *before != after.slot(address, *slot) || (wiped.contains(&address) && !before.is_zero())
                })
                .collect();
            let is_changed = account != Past::Unchanged || !storage.is_empty();
            is_changed.then_some(AccountRevert {
                address,
                account,
                storage,
            })
        };
        BlockReverts::new(addresses().filter_map(revert).collect())
    }
}

/// A chain with the state after each of its blocks.
#[derive(Clone, Debug)]
pub(crate) struct StateChain {
    pub(crate) chain: Chain,
    pub(crate) states: Vec<ModelState>,
}

impl StateChain {
    /// Genesis alone, with some accounts and code.
    pub(crate) fn new() -> Self {
        let mut genesis = ModelState::default();
        for (index, action) in [
            (0, Action::Pay(9)),
            (1, Action::Deploy(1)),
            (1, Action::Write(2, U256::from(7))),
        ] {
            genesis.apply(address(index), &action);
        }
        let mut chain = Chain::new();
        chain.records[0].codes = vec![code(1)];
        Self {
            chain,
            states: vec![genesis],
        }
    }

    pub(crate) fn of(blocks: &[Actions]) -> Self {
        let mut chain = Self::new();
        blocks.iter().for_each(|actions| chain.grow_by(actions));
        chain
    }

    /// Adds a block without transactions.
    pub(crate) fn grow_by(&mut self, actions: &[(u8, Action)]) {
        self.grow(&BlockSeed::transfers(0, self.states.len() as u64), actions);
    }

    pub(crate) fn grow(&mut self, seed: &BlockSeed, actions: &[(u8, Action)]) {
        let before = &self.states[self.states.len() - 1];
        let mut after = before.clone();
        let (mut wiped, mut codes) = (BTreeSet::new(), Vec::new());
        for (index, action) in actions {
            after.apply(address(*index), action);
            match action {
                Action::Recreate | Action::Remove => {
                    wiped.insert(address(*index));
                }
                Action::Deploy(index) => codes.push(code(*index)),
                _ => {}
            }
        }
        self.chain.grow(seed);
        let record = &mut self.chain.records[self.states.len()];
        record.reverts = Arc::new(before.reverts(&after, &wiped));
        record.codes = codes;
        self.states.push(after);
    }

    pub(crate) fn truncate(&mut self, blocks: usize) {
        self.chain.records.truncate(blocks);
        self.states.truncate(blocks);
    }
}
