//! A batch of account changes as changes of leaves.
//!
//! What the changes say is which accounts and slots to look at; what those are afterwards, the state says. So it does
//! not matter how often an account occurs in a batch, or whether it was cleared in between: its storage then has
//! another id, and slots of the old one have no place in it.

use std::ops::Range;

use alloy_primitives::{Address, B256, U256};
use rapid_keccak::{keccak256_addresses, keccak256_words};
use rapid_primitives::AccountChange;

use crate::{TrieError, node::Slot, plan::Op, sort::sort_ops, state::TrieState};

/// Changes of a batch, sorted as the tries take them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// By hashed address. Leaves that stay have no storage here yet.
    pub(crate) accounts: Vec<Op>,
    /// By account, the storage it has afterwards, and the changes in `slots`.
    pub(crate) storage: Vec<StorageChanges>,
    /// By account and hashed slot.
    pub(crate) slots: Vec<Op>,
}

/// Changes of one account's storage.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorageChanges {
    /// 0 if it has none.
    pub(crate) storage: u32,
    pub(crate) slots: Range<usize>,
}

/// A slot that is changed: the number of the account in the batch, its place, what it becomes.
#[derive(Clone, Copy, Debug)]
struct SlotChange {
    account: u32,
    id: u32,
    slot: B256,
    becomes: Becomes,
}

impl SlotChange {
    const fn op(&self, key: B256) -> Op {
        let id = self.id;
        let slot = match self.becomes {
            Becomes::Zero => Slot::Empty,
            Becomes::Value | Becomes::Unsaid => Slot::Leaf(id),
        };
        Op { key, id, slot }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    Zero,
    Value,
    /// What the state says.
    Unsaid,
}

impl Changes {
    /// Looks the changes up in the state after them.
    pub(crate) fn read<S: TrieState>(state: &S, changes: &[AccountChange]) -> Result<Self, TrieError> {
        let touched = Touched::read(state, changes)?;
        let keys = touched.keys(changes);
        // Accounts in the order of their keys, and where each of them is then.
        let numbered = keys.into_iter().zip(0..);
        let slot = Slot::Empty;
        let mut order: Vec<Op> = numbered.map(|(key, id)| Op { key, id, slot }).collect();
        sort_ops(&mut order);
        let mut rank = vec![0; order.len()];
        for (at, account) in (0..).zip(&order) {
            rank[account.id as usize] = at;
        }
        let (slots, ends) = touched.slots(state, changes, &rank)?;
        let mut batch = Self {
            slots,
            ..Self::default()
        };
        let mut start = 0;
        for (Op { key, id, .. }, end) in order.into_iter().zip(ends) {
            let account = id as usize;
            let id = touched.ids[account];
            let slot = if touched.exist[account] {
                Slot::Leaf(id)
            } else {
                Slot::Empty
            };
            batch.accounts.push(Op { key, id, slot });
            batch.storage.push(StorageChanges {
                storage: touched.storage[account],
                slots: start..end,
            });
            start = end;
        }
        Ok(batch)
    }
}

/// The accounts of a batch, each once.
#[derive(Debug)]
struct Touched {
    ids: Vec<u32>,
    /// The changes of each.
    changes: Vec<Range<usize>>,
    /// Changes, by account.
    order: Vec<usize>,
    exist: Vec<bool>,
    /// 0 of those that do not exist.
    storage: Vec<u32>,
}

impl Touched {
    fn read<S: TrieState>(state: &S, changes: &[AccountChange]) -> Result<Self, TrieError> {
        let addresses: Vec<Address> = changes.iter().map(|change| change.address).collect();
        let mut found = Vec::with_capacity(changes.len());
        state.account_ids(&addresses, &mut found);
        // One that has no place exists in no version: there is nothing to remove.
        let mut order: Vec<(u32, usize)> = found
            .into_iter()
            .zip(0..)
            .filter_map(|(id, change)| Some((id?, change)))
            .collect();
        order.sort_unstable();
        let (mut ids, mut ranges, mut start) = (Vec::new(), Vec::new(), 0);
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            ids.push(same[0].0);
            ranges.push(start..start + same.len());
            start += same.len();
        }
        let (mut accounts, mut storage) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        state.accounts(&ids, &mut accounts)?;
        state.storage_ids(&ids, &mut storage)?;
        let exist: Vec<bool> = accounts.iter().map(Option::is_some).collect();
        for (storage, exists) in storage.iter_mut().zip(&exist) {
            *storage *= u32::from(*exists);
        }
        Ok(Self {
            ids,
            changes: ranges,
            order: order.into_iter().map(|(_, change)| change).collect(),
            exist,
            storage,
        })
    }

    fn keys(&self, changes: &[AccountChange]) -> Vec<B256> {
        let first = |own: &Range<usize>| changes[self.order[own.start]].address;
        let addresses: Vec<Address> = self.changes.iter().map(first).collect();
        let mut keys = vec![B256::ZERO; addresses.len()];
        keccak256_addresses(&addresses, &mut keys);
        keys
    }

    /// The changed slots, by rank of the account and hashed slot, and where those of each account end.
    fn slots<S: TrieState>(
        &self,
        state: &S,
        changes: &[AccountChange],
        rank: &[u32],
    ) -> Result<(Vec<Op>, Vec<usize>), TrieError> {
        let mut slots = self.find_slots(state, changes, rank)?;
        self.ask_values(state, &mut slots)?;
        let words: Vec<B256> = slots.iter().map(|slot| slot.slot).collect();
        let mut keys = vec![B256::ZERO; words.len()];
        keccak256_words(&words, &mut keys);
        // Grouped by account already; each group by key.
        let mut ends = vec![0; rank.len()];
        let mut ops = Vec::with_capacity(slots.len());
        let mut own = Vec::new();
        let mut start = 0;
        for group in slots.chunk_by(|a, b| a.account == b.account) {
            own.clear();
            own.extend(
                group
                    .iter()
                    .zip(&keys[start..])
                    .map(|(change, key)| change.op(*key)),
            );
            sort_ops(&mut own);
            ops.extend_from_slice(&own);
            start += group.len();
            ends[group[0].account as usize] = start;
        }
        // Accounts without changed slots end where the one before them does.
        let mut end = 0;
        for own in &mut ends {
            end = end.max(*own);
            *own = end;
        }
        Ok((ops, ends))
    }

    fn find_slots<S: TrieState>(
        &self,
        state: &S,
        changes: &[AccountChange],
        rank: &[u32],
    ) -> Result<Vec<SlotChange>, TrieError> {
        let mut by_rank: Vec<usize> = vec![0; rank.len()];
        for (account, rank) in rank.iter().enumerate() {
            by_rank[*rank as usize] = account;
        }
        let mut asked: Vec<(u32, U256)> = Vec::new();
        let mut slots: Vec<SlotChange> = Vec::new();
        for account in by_rank {
            let storage = self.storage[account];
            if storage == 0 {
                continue;
            }
            let own = &self.order[self.changes[account].clone()];
            for change in own {
                for (slot, value) in &changes[*change].storage {
                    asked.push((storage, *slot));
                    slots.push(SlotChange {
                        account: rank[account],
                        id: 0,
                        slot: (*slot).into(),
                        // Of several changes the state knows which one counts.
                        becomes: match own {
                            [_] if value.is_zero() => Becomes::Zero,
                            [_] => Becomes::Value,
                            _ => Becomes::Unsaid,
                        },
                    });
                }
            }
        }
        let mut found = Vec::with_capacity(asked.len());
        state.slot_ids(&asked, &mut found);
        let mut kept = Vec::with_capacity(slots.len());
        for (slot, id) in slots.into_iter().zip(found) {
            match id {
                Some(id) => kept.push(SlotChange { id, ..slot }),
                None if slot.becomes == Becomes::Value => return Err(TrieError::UnknownEntry),
                None => {}
            }
        }
        // A slot that several changes name.
        for group in kept.chunk_by_mut(|a, b| a.account == b.account) {
            if group[0].becomes == Becomes::Unsaid {
                group.sort_unstable_by_key(|slot| slot.id);
            }
        }
        kept.dedup_by_key(|slot| (slot.account, slot.id));
        Ok(kept)
    }

    fn ask_values<S: TrieState>(&self, state: &S, slots: &mut [SlotChange]) -> Result<(), TrieError> {
        let unsaid = || |slot: &&mut SlotChange| slot.becomes == Becomes::Unsaid;
        let ids: Vec<u32> = slots.iter_mut().filter(unsaid()).map(|slot| slot.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut values = Vec::with_capacity(ids.len());
        state.values(&ids, &mut values)?;
        for (slot, value) in slots.iter_mut().filter(unsaid()).zip(values) {
            slot.becomes = if value.is_zero() {
                Becomes::Zero
            } else {
                Becomes::Value
            };
        }
        Ok(())
    }
}
