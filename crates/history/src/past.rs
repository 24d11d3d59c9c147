//! Reading the state after stored blocks.

use std::collections::btree_map::Entry;

use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_primitives::Account;
use signet_libmdbx::{Ro, Rw, TransactionKind, TxUnsync, WriteFlags};

use crate::{
    BlockId, BlockReverts, History, HistoryError, Past, PastError, Table,
    changes::{Chunks, account_key, slot_key},
    codec::{decode_account, decode_number, decode_word},
    reverts::NetReverts,
    view::{View, corrupt},
};

/// Key in [`Table::Meta`] of the number of the first block that is stored, with all after it, with what it changed.
const FIRST_CHANGES_KEY: &[u8] = b"first_changes";

/// The state after one stored block, as far as blocks stored after it changed it. All answers are of one moment.
///
/// [`Past::Unchanged`] says that nothing changed up to [`Self::head`]. To be answered from the live state, this must be
/// no older than the head, and what blocks changed that are newer than the head must be looked through first.
///
/// It holds a transaction open, which keeps pages freed since from being reused: drop it within seconds.
#[derive(Debug)]
pub struct PastState {
    history: History,
    tx: TxUnsync<Ro>,
    number: u64,
    head: BlockId,
}

impl PastState {
    /// The block.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The newest stored block.
    #[must_use]
    pub const fn head(&self) -> BlockId {
        self.head
    }

    /// An account; `None` when it did not exist.
    ///
    /// # Errors
    /// [`HistoryError`], as for all reads.
    pub fn account(&self, address: &Address) -> Result<Past<Option<Account>>, HistoryError> {
        self.view().account_after(self.number, address)
    }

    /// A storage slot.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn storage(&self, address: &Address, slot: &U256) -> Result<Past<U256>, HistoryError> {
        self.view().storage_after(self.number, address, slot)
    }

    /// Code by hash, as [`History::code`].
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn code(&self, hash: &B256) -> Result<Option<Bytes>, HistoryError> {
        self.view().code(hash)
    }

    /// What the blocks after this one changed, up to [`Self::head`]: written over the state after the head, it gives
    /// the state after this block. It is as large as what changed; the caller bounds the distance.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn reverts(&self) -> Result<BlockReverts, HistoryError> {
        self.view()
            .net_reverts(self.number.saturating_add(1), self.head.number)
    }

    fn view(&self) -> View<'_, Ro> {
        View::new(&self.tx, self.history.tables())
    }
}

impl History {
    /// The state after a block, for many reads of one moment.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn state_after(&self, number: u64) -> Result<PastState, PastError> {
        let tx = self.begin_read()?;
        let head = View::new(&tx, self.tables()).check_past(number)?;
        Ok(PastState {
            history: self.clone(),
            tx,
            number,
            head,
        })
    }

    /// An account as it was after a block. See [`PastState`] for what [`Past::Unchanged`] takes.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn account_after(&self, number: u64, address: &Address) -> Result<Past<Option<Account>>, PastError> {
        Ok(self.state_after(number)?.account(address)?)
    }

    /// A storage slot as it was after a block. See [`PastState`] for what [`Past::Unchanged`] takes.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn storage_after(
        &self,
        number: u64,
        address: &Address,
        slot: &U256,
    ) -> Result<Past<U256>, PastError> {
        Ok(self.state_after(number)?.storage(address, slot)?)
    }

    /// The code with this hash; `None` if no block came with it. Code of blocks that were unwound stays.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn code(&self, hash: &B256) -> Result<Option<Bytes>, HistoryError> {
        self.read(|view| view.code(hash))
    }

    /// What a block changed; `None` when the block or what it changed is not stored.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn reverts(&self, number: u64) -> Result<Option<BlockReverts>, HistoryError> {
        self.read(|view| {
            let is_stored = view.head()?.is_some_and(|head| number <= head.number);
            if !is_stored || view.first_changes()?.is_none_or(|first| number < first) {
                return Ok(None);
            }
            view.net_reverts(number, number).map(Some)
        })
    }

    /// What must be written over the state after the newest stored block to have that after block `number`; see
    /// [`PastState::reverts`].
    ///
    /// # Errors
    /// [`PastError`].
    pub fn reverts_to(&self, number: u64) -> Result<BlockReverts, PastError> {
        Ok(self.state_after(number)?.reverts()?)
    }

    /// The first block after which the state can be read; `None` without blocks.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn first_state_block(&self) -> Result<Option<u64>, HistoryError> {
        self.read(|view| Ok(view.first_changes()?.map(first_state)))
    }
}

/// State after the block before the first whose changes are there is what that block found. Genesis found none.
const fn first_state(first_changes: u64) -> u64 {
    first_changes.saturating_sub(1)
}

impl<'tx, K: TransactionKind> View<'tx, K> {
    /// Number of the first block that is stored, with all after it, with what it changed: one above the head when the
    /// head is not. `None` without blocks.
    pub(crate) fn first_changes(&self) -> Result<Option<u64>, HistoryError> {
        self.decoded(Table::Meta, FIRST_CHANGES_KEY, decode_number)
    }

    /// The head, if the state after the block is known.
    fn check_past(&self, number: u64) -> Result<BlockId, PastError> {
        let head = self.head()?;
        let Some(head) = head.filter(|head| number <= head.number) else {
            return Err(PastError::NotStored {
                number,
                head: head.map(|head| head.number),
            });
        };
        let first = self.first_changes()?;
        let first = first.ok_or_else(|| corrupt(Table::Meta, FIRST_CHANGES_KEY, "value is missing"))?;
        let first = first_state(first);
        if number < first {
            return Err(PastError::NotKept { number, first });
        }
        Ok(head)
    }

    fn account_after(&self, number: u64, address: &Address) -> Result<Past<Option<Account>>, HistoryError> {
        let key = account_key(address, number.saturating_add(1));
        self.before_next_change(Table::AccountHistory, &key, decode_account)
    }

    fn storage_after(&self, number: u64, address: &Address, slot: &U256) -> Result<Past<U256>, HistoryError> {
        let key = slot_key(address, slot, number.saturating_add(1));
        self.before_next_change(Table::StorageHistory, &key, decode_word)
    }

    /// The value before the first change at or after the block in the key: the value that was there until then.
    fn before_next_change<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Past<T>, HistoryError> {
        let subject = &key[..key.len() - size_of::<u64>()];
        let mut cursor = self.tx.cursor(self.tables.get(table))?;
        let change = cursor.set_range::<Vec<u8>, Vec<u8>>(key)?;
        match change {
            Some((found, before)) if found.starts_with(subject) => decode(&before)
                .map(Past::Was)
                .ok_or_else(|| corrupt(table, &found, "value does not decode")),
            _ => Ok(Past::Unchanged),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, HistoryError> {
        let code = self.get(Table::Bytecodes, hash.as_slice())?;
        Ok(code.map(Bytes::from))
    }

    /// What the blocks from `first` to `last` changed together. A value is read only where the change is the oldest.
    fn net_reverts(&self, first: u64, last: u64) -> Result<BlockReverts, HistoryError> {
        let mut net = NetReverts::default();
        for chunk in Chunks::from(self, first)? {
            let chunk = chunk?;
            if chunk.block > last {
                break;
            }
            for keys in chunk.keys {
                let account = net.account(keys.address);
                if keys.fields && account.fields == Past::Unchanged {
                    let key = account_key(&keys.address, chunk.block);
                    account.fields = Past::Was(self.needed(Table::AccountHistory, &key, decode_account)?);
                }
                for slot in keys.slots {
                    if let Entry::Vacant(entry) = account.storage.entry(slot) {
                        let key = slot_key(&keys.address, &slot, chunk.block);
                        entry.insert(self.needed(Table::StorageHistory, &key, decode_word)?);
                    }
                }
            }
        }
        Ok(net.into_reverts())
    }
}

impl View<'_, Rw> {
    pub(crate) fn set_first_changes(&self, number: u64) -> Result<(), HistoryError> {
        let meta = self.tables.get(Table::Meta);
        let value = number.to_be_bytes();
        Ok(self.tx.put(meta, FIRST_CHANGES_KEY, value, WriteFlags::UPSERT)?)
    }
}
