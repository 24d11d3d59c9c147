//! Walking over a whole version, for checkpoints and the trie, while others commit.

use alloy_primitives::{Address, U256};
use rapid_primitives::Account;
use revm::bytecode::Bytecode;

use crate::{AccountId, SlotId, Snapshot, VersionGone, account::AccountRecord, storages::StorageId};

impl Snapshot {
    /// All accounts of the version, in no particular order.
    #[must_use]
    pub fn accounts(&self) -> AccountScan<'_> {
        AccountScan {
            snapshot: self,
            next: 1,
            // What is added from here on is not of this version.
            end: self.shared().tables.accounts.entries.end(),
        }
    }

    /// All slots of the version that are not zero, in no particular order, though those of an account are often
    /// neighbours.
    #[must_use]
    pub fn slots(&self) -> SlotScan<'_> {
        SlotScan {
            snapshot: self,
            next: 1,
            end: self.shared().tables.slots.entries.end(),
            only: None,
            owner: None,
        }
    }

    /// All slots of an account that are not zero, in no particular order; none if it does not exist.
    ///
    /// Goes through all slots there are: not for the hot path.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot is overrun.
    pub fn account_storage(&self, address: &Address) -> Result<StorageScan<'_>, VersionGone> {
        let storage = self
            .record(address)?
            .map_or(StorageId::NONE, |record| record.storage);
        Ok(StorageScan::new(self, storage))
    }

    /// Calls `visit` with every account of the version, in no particular order. See [`accounts`](Self::accounts).
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot is overrun on the way, and whatever `visit` fails with.
    pub fn for_each_account<E: From<VersionGone>>(
        &self,
        mut visit: impl FnMut(ScannedAccount<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.accounts().try_for_each(|account| visit(account?))
    }
}

/// Iterator over the accounts of a snapshot. Ends after the first error.
#[derive(Debug)]
pub struct AccountScan<'a> {
    snapshot: &'a Snapshot,
    next: u32,
    end: u32,
}

impl<'a> Iterator for AccountScan<'a> {
    type Item = Result<ScannedAccount<'a>, VersionGone>;

    fn next(&mut self) -> Option<Self::Item> {
        let tables = &self.snapshot.shared().tables;
        while self.next < self.end {
            let id = self.next;
            self.next += 1;
            let read = tables.accounts.entries.read(id);
            let value = tables.cell_at(read.map(|(_, cell)| cell), self.snapshot.version());
            // Asked for free entries too: they may be free because the version is gone.
            match self.snapshot.checked(read.zip(tables.parts.decode(&value))) {
                Ok(None) => {}
                Ok(Some(((address, _), record))) => {
                    return Some(Ok(ScannedAccount {
                        snapshot: self.snapshot,
                        id: AccountId(id),
                        address,
                        record,
                    }));
                }
                Err(gone) => {
                    self.next = self.end;
                    return Some(Err(gone));
                }
            }
        }
        None
    }
}

/// An account met while scanning.
#[derive(Debug)]
pub struct ScannedAccount<'a> {
    snapshot: &'a Snapshot,
    id: AccountId,
    address: Address,
    record: AccountRecord,
}

impl<'a> ScannedAccount<'a> {
    /// Its place in the state.
    #[must_use]
    pub const fn id(&self) -> AccountId {
        self.id
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Its fields.
    #[must_use]
    pub const fn account(&self) -> Account {
        self.record.account
    }

    /// Its storage.
    #[must_use]
    pub const fn storage_id(&self) -> StorageId {
        self.record.storage
    }

    /// Its code; `None` if it has none. The raw bytes are `original_bytes()`.
    #[must_use]
    pub fn code(&self) -> Option<Bytecode> {
        let codes = &self.snapshot.shared().tables.parts.codes;
        codes
            .get(&self.record.account.code_hash)
            .filter(|code| !code.is_empty())
    }

    /// Its slots that are not zero, as [`Snapshot::account_storage`] gives them.
    #[must_use]
    pub fn storage(&self) -> StorageScan<'a> {
        StorageScan::new(self.snapshot, self.record.storage)
    }
}

/// A slot met while scanning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannedSlot {
    /// Its place in the state.
    pub id: SlotId,
    /// The account it is of.
    pub account: AccountId,
    /// That account's address.
    pub address: Address,
    /// The storage it is in.
    pub storage: StorageId,
    /// The slot.
    pub slot: U256,
    /// Its value, not zero.
    pub value: U256,
}

/// Iterator over the slots of a snapshot. Ends after the first error.
#[derive(Debug)]
pub struct SlotScan<'a> {
    snapshot: &'a Snapshot,
    next: u32,
    end: u32,
    /// The one storage that is asked for.
    only: Option<StorageId>,
    /// Whose the storage of the last slot is.
    owner: Option<(StorageId, Owner)>,
}

/// Whose storage it is at the version.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Account(AccountId, Address),
    Nobody,
}

impl SlotScan<'_> {
    fn scanned(&mut self, id: u32) -> Result<Option<ScannedSlot>, VersionGone> {
        let tables = &self.snapshot.shared().tables;
        let Some(((storage, slot), cell)) = tables.slots.entries.read(id) else {
            // It may be free because the version is gone.
            return self.snapshot.checked(None);
        };
        let value = U256::from_limbs(tables.undo.value_at(&cell, self.snapshot.version()));
        if value.is_zero() || self.only.is_some_and(|only| only != storage) {
            return self.snapshot.checked(None);
        }
        let Owner::Account(account, address) = self.owner_of(storage)? else {
            return Ok(None);
        };
        self.snapshot.checked(Some(ScannedSlot {
            id: SlotId(id),
            account,
            address,
            storage,
            slot,
            value,
        }))
    }

    fn owner_of(&mut self, storage: StorageId) -> Result<Owner, VersionGone> {
        if let Some((known, owner)) = self.owner
            && known == storage
        {
            return Ok(owner);
        }
        let tables = &self.snapshot.shared().tables;
        let account = tables.storages.owner(storage);
        let owner = match self.snapshot.storage_by_id(account)? {
            of if of == storage => Owner::Account(AccountId(account), tables.accounts.entries.key(account)),
            _ => Owner::Nobody,
        };
        self.owner = Some((storage, owner));
        Ok(owner)
    }
}

impl Iterator for SlotScan<'_> {
    type Item = Result<ScannedSlot, VersionGone>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let id = self.next;
            self.next += 1;
            match self.scanned(id) {
                Ok(None) => {}
                Ok(Some(slot)) => return Some(Ok(slot)),
                Err(gone) => {
                    self.next = self.end;
                    return Some(Err(gone));
                }
            }
        }
        None
    }
}

/// Iterator over the slots of an account that are not zero. Ends after the first error.
#[derive(Debug)]
pub struct StorageScan<'a>(SlotScan<'a>);

impl<'a> StorageScan<'a> {
    fn new(snapshot: &'a Snapshot, storage: StorageId) -> Self {
        let mut scan = snapshot.slots();
        scan.only = Some(storage);
        if storage.is_none() {
            scan.end = 0;
        }
        Self(scan)
    }
}

impl Iterator for StorageScan<'_> {
    type Item = Result<(U256, U256), VersionGone>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|scanned| (scanned.slot, scanned.value)))
    }
}
