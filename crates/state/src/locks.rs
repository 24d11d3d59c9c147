//! The locks of one commit: known before it reads, taken in one order, found again by shard.

use alloy_primitives::Address;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use rapid_primitives::{AccountChange, Fate};

use crate::{
    ReadSet,
    shards::{AccountShard, SHARDS, Shard, SlotShard, Tables},
};

const WORDS: usize = SHARDS / 64;

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ShardSet([u64; WORDS]);

impl ShardSet {
    const fn insert(&mut self, shard: usize) {
        self.0[shard / 64] |= 1 << (shard % 64);
    }

    const fn contains(&self, shard: usize) -> bool {
        self.0[shard / 64] & (1 << (shard % 64)) != 0
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Number of members below `shard`.
    fn rank(&self, shard: usize) -> usize {
        let below = self.0[..shard / 64]
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum::<usize>();
        below + (self.0[shard / 64] & ((1 << (shard % 64)) - 1)).count_ones() as usize
    }

    fn union(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// How the account of a change of storage alone is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorageOnly {
    /// To be read: enough when the account already has a storage id. Writers to one contract do not meet here.
    Shared,
    /// To be written: the account needs a storage id.
    Exclusive,
}

/// Whether a change touches slots and nothing else.
pub(crate) fn is_storage_only(change: &AccountChange) -> bool {
    change.fate == Fate::Kept && change.nonce.is_none() && change.balance.is_none() && change.code.is_none()
}

/// Which shards a commit reads and writes.
#[derive(Debug, Default)]
pub(crate) struct LockPlan {
    accounts: ReadWrite,
    slots: ReadWrite,
}

#[derive(Debug, Default)]
struct ReadWrite {
    read: ShardSet,
    write: ShardSet,
}

impl LockPlan {
    pub(crate) fn new(
        tables: &Tables,
        reads: &ReadSet,
        changes: &[AccountChange],
        storage_only: StorageOnly,
    ) -> Self {
        let mut plan = Self::default();
        for (address, _) in &reads.accounts {
            plan.accounts.read.insert(tables.account_shard(address));
        }
        for (address, slot, _) in &reads.slots {
            plan.accounts.read.insert(tables.account_shard(address));
            plan.slots.read.insert(tables.slot_shard(address, slot));
        }
        for change in changes {
            let shard = tables.account_shard(&change.address);
            if storage_only == StorageOnly::Shared && is_storage_only(change) {
                plan.accounts.read.insert(shard);
            } else {
                plan.accounts.write.insert(shard);
            }
            for (slot, _) in &change.storage {
                plan.slots.write.insert(tables.slot_shard(&change.address, slot));
            }
        }
        plan
    }

    pub(crate) fn lock<'a>(&self, tables: &'a Tables) -> Locked<'a> {
        Locked {
            accounts: self.accounts.lock(&tables.accounts),
            slots: self.slots.lock(&tables.slots),
        }
    }
}

impl ReadWrite {
    fn lock<'a, T>(&self, shards: &'a [Shard<T>]) -> Guards<'a, T> {
        let members = self.read.union(&self.write);
        let mut guards = Vec::with_capacity(members.len());
        guards.extend(
            members
                .iter()
                .map(|shard| Guard::lock(&shards[shard].0, self.write.contains(shard).into())),
        );
        Guards { members, guards }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Read,
    Write,
}

impl From<bool> for Mode {
    fn from(written: bool) -> Self {
        if written { Self::Write } else { Self::Read }
    }
}

enum Guard<'a, T> {
    Read(RwLockReadGuard<'a, T>),
    Write(RwLockWriteGuard<'a, T>),
}

impl<'a, T> Guard<'a, T> {
    fn lock(lock: &'a RwLock<T>, mode: Mode) -> Self {
        match mode {
            Mode::Read => Self::Read(lock.read()),
            Mode::Write => Self::Write(lock.write()),
        }
    }
}

/// The locks held on one table.
pub(crate) struct Guards<'a, T> {
    members: ShardSet,
    guards: Vec<Guard<'a, T>>,
}

impl<T> Guards<'_, T> {
    /// A shard of the plan.
    pub(crate) fn get(&self, shard: usize) -> &T {
        debug_assert!(
            self.members.contains(shard),
            "the plan has every shard the commit reads"
        );
        match &self.guards[self.members.rank(shard)] {
            Guard::Read(guard) => guard,
            Guard::Write(guard) => guard,
        }
    }

    /// A shard that the plan writes.
    pub(crate) fn get_mut(&mut self, shard: usize) -> &mut T {
        debug_assert!(
            self.members.contains(shard),
            "the plan has every shard the commit writes"
        );
        match &mut self.guards[self.members.rank(shard)] {
            Guard::Write(guard) => guard,
            Guard::Read(_) => unreachable!("a shard to be written is locked for writing"),
        }
    }
}

/// Everything a commit reads and writes, locked. Account shards were taken before slot shards, each by index.
pub(crate) struct Locked<'a> {
    pub(crate) accounts: Guards<'a, AccountShard>,
    pub(crate) slots: Guards<'a, SlotShard>,
}

impl Locked<'_> {
    /// Whether a change of storage alone meets an account that has no storage id yet.
    pub(crate) fn needs_storage_id(&self, tables: &Tables, changes: &[AccountChange]) -> bool {
        changes
            .iter()
            .filter(|change| is_storage_only(change))
            .any(|change| {
                change.storage.iter().any(|(_, value)| !value.is_zero())
                    && self.storage_id(tables, &change.address) == Some(0)
            })
    }

    fn storage_id(&self, tables: &Tables, address: &Address) -> Option<u64> {
        Some(
            self.accounts
                .get(tables.account_shard(address))
                .get(address)?
                .value()?
                .storage_id,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_set_is_ordered() {
        let mut set = ShardSet::default();
        let members = [255, 0, 63, 64, 130, 63];
        members.into_iter().for_each(|shard| set.insert(shard));
        let listed: Vec<_> = set.iter().collect();
        assert_eq!(listed, [0, 63, 64, 130, 255]);
        assert_eq!(set.len(), 5);
        for (rank, shard) in listed.into_iter().enumerate() {
            assert_eq!(set.rank(shard), rank);
            assert!(set.contains(shard));
        }
        assert!(!set.contains(1));
    }
}
