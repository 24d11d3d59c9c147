//! The rows of what blocks changed: their keys, and writing, listing and removing them.

use alloy_primitives::{Address, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use rapid_primitives::Account;
use signet_libmdbx::{Cursor, Rw, TransactionKind, TxUnsync, WriteFlags};

use crate::{
    AppendError, BlockReverts, HistoryError, Past, Table,
    codec::{encode_account, encode_word},
    tables::Tables,
    view::{View, corrupt, remove},
};

/// Address and block: the changes of one account stand together, oldest first.
pub(crate) type AccountKey = [u8; 28];

/// Address, slot and block.
pub(crate) type SlotKey = [u8; 60];

/// Block and number of the chunk.
pub(crate) type ChunkKey = [u8; 12];

/// Keys of one block are listed in chunks of this many bytes. A value of its own takes whole pages, and one of several
/// pages needs them side by side, which a database with holes has to search for; this is what fits into one page.
const CHUNK_BYTES: usize = 4_000;

/// Most slots in one entry of a chunk: 33 bytes each, so that an entry always fits.
const ENTRY_SLOTS: usize = 64;

pub(crate) fn account_key(address: &Address, block: u64) -> AccountKey {
    let mut key = [0; 28];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&block.to_be_bytes());
    key
}

pub(crate) fn slot_key(address: &Address, slot: &U256, block: u64) -> SlotKey {
    let mut key = [0; 60];
    key[..20].copy_from_slice(address.as_slice());
    key[20..52].copy_from_slice(&slot.to_be_bytes::<32>());
    key[52..].copy_from_slice(&block.to_be_bytes());
    key
}

pub(crate) fn chunk_key(block: u64, index: u32) -> ChunkKey {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&block.to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}

/// What a block changed in one account. An account with many slots has several of these, also across chunks.
#[derive(Clone, Debug, PartialEq, Eq, RlpDecodable, RlpEncodable)]
pub(crate) struct ChangedKeys {
    pub(crate) address: Address,
    pub(crate) fields: bool,
    pub(crate) slots: Vec<U256>,
}

fn decode_chunk(mut bytes: &[u8]) -> Option<Vec<ChangedKeys>> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        keys.push(ChangedKeys::decode(&mut bytes).ok()?);
    }
    Some(keys)
}

/// The values before the changes of all blocks of one append. They go in at the end, in the order of their keys: the
/// keys of a block are spread over the whole table, and so each page is touched once.
#[derive(Debug, Default)]
pub(crate) struct ChangeRows<'a> {
    accounts: Vec<(AccountKey, Option<&'a Account>)>,
    slots: Vec<(SlotKey, &'a U256)>,
}

impl<'a> ChangeRows<'a> {
    /// Collects the values of a block and lists its keys.
    pub(crate) fn block(
        &mut self,
        tx: &TxUnsync<Rw>,
        tables: &Tables,
        number: u64,
        reverts: &'a BlockReverts,
    ) -> Result<(), AppendError> {
        let mut list = KeyList {
            tx,
            tables,
            number,
            chunks: 0,
            buffer: Vec::with_capacity(CHUNK_BYTES),
        };
        for revert in reverts.accounts() {
            let address = revert.address;
            let mut fields = false;
            if let Past::Was(before) = &revert.account {
                fields = true;
                self.accounts
                    .push((account_key(&address, number), before.as_ref()));
            }
            if fields && revert.storage.is_empty() {
                list.push(address, true, Vec::new())?;
            }
            for part in revert.storage.chunks(ENTRY_SLOTS) {
                list.push(address, fields, part.iter().map(|(slot, _)| *slot).collect())?;
                fields = false;
            }
            let rows = revert.storage.iter();
            self.slots
                .extend(rows.map(|(slot, before)| (slot_key(&address, slot, number), before)));
        }
        list.flush()
    }

    /// Inserts the values; returns how many.
    pub(crate) fn finish(mut self, tx: &TxUnsync<Rw>, tables: &Tables) -> Result<u64, AppendError> {
        let mut buffer = Vec::new();
        self.accounts.sort_unstable_by_key(|(key, _)| *key);
        let mut cursor = tx.cursor(tables.get(Table::AccountHistory))?;
        for (key, before) in &self.accounts {
            buffer.clear();
            encode_account(&mut buffer, *before);
            cursor.put(key, &buffer, WriteFlags::UPSERT)?;
        }
        self.slots.sort_unstable_by_key(|(key, _)| *key);
        let mut cursor = tx.cursor(tables.get(Table::StorageHistory))?;
        for (key, before) in &self.slots {
            buffer.clear();
            encode_word(&mut buffer, before);
            cursor.put(key, &buffer, WriteFlags::UPSERT)?;
        }
        Ok((self.accounts.len() + self.slots.len()) as u64)
    }
}

/// The list of the keys that a block changed, on its way into the table.
struct KeyList<'tx> {
    tx: &'tx TxUnsync<Rw>,
    tables: &'tx Tables,
    number: u64,
    chunks: u32,
    buffer: Vec<u8>,
}

impl KeyList<'_> {
    fn push(&mut self, address: Address, fields: bool, slots: Vec<U256>) -> Result<(), AppendError> {
        let keys = ChangedKeys {
            address,
            fields,
            slots,
        };
        if self.buffer.len() + keys.length() > CHUNK_BYTES {
            self.flush()?;
        }
        keys.encode(&mut self.buffer);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AppendError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let key = chunk_key(self.number, self.chunks);
        self.tx
            .append(self.tables.get(Table::BlockChanges), key, &self.buffer)?;
        self.chunks += 1;
        self.buffer.clear();
        Ok(())
    }
}

/// Part of the list of the keys that a block changed.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) key: ChunkKey,
    pub(crate) block: u64,
    pub(crate) keys: Vec<ChangedKeys>,
}

impl Chunk {
    fn read(key: &[u8], value: &[u8]) -> Result<Self, HistoryError> {
        let table = Table::BlockChanges;
        let chunk_key = ChunkKey::try_from(key).ok();
        let block = key.first_chunk().map(|number| u64::from_be_bytes(*number));
        let (Some(chunk_key), Some(block)) = (chunk_key, block) else {
            return Err(corrupt(table, key, "key is no block and chunk"));
        };
        let keys = decode_chunk(value).ok_or_else(|| corrupt(table, key, "value does not decode"))?;
        Ok(Self {
            key: chunk_key,
            block,
            keys,
        })
    }

    /// Number of rows with values that the chunk lists.
    pub(crate) fn rows(&self) -> u64 {
        let rows = |keys: &ChangedKeys| keys.slots.len() as u64 + u64::from(keys.fields);
        self.keys.iter().map(rows).sum()
    }
}

/// Chunks in order, from a block on. Nothing may be removed while it is read.
pub(crate) struct Chunks<'tx, K: TransactionKind> {
    cursor: Cursor<'tx, K>,
    from: Option<ChunkKey>,
}

impl<'tx, K: TransactionKind> Chunks<'tx, K> {
    pub(crate) fn from(view: &View<'tx, K>, block: u64) -> Result<Self, HistoryError> {
        Ok(Self {
            cursor: view.tx.cursor(view.tables.get(Table::BlockChanges))?,
            from: Some(chunk_key(block, 0)),
        })
    }

    fn read(&mut self) -> Result<Option<Chunk>, HistoryError> {
        let row = match self.from.take() {
            Some(key) => self.cursor.set_range::<Vec<u8>, Vec<u8>>(&key)?,
            None => self.cursor.next()?,
        };
        row.map(|(key, value)| Chunk::read(&key, &value)).transpose()
    }
}

impl<K: TransactionKind> Iterator for Chunks<'_, K> {
    type Item = Result<Chunk, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Removes chunks and the rows they list, in the order of their keys as they were inserted.
pub(crate) fn remove_chunks(view: &View<'_, Rw>, chunks: &[Chunk]) -> Result<(), HistoryError> {
    let (mut accounts, mut slots) = (Vec::new(), Vec::new());
    for chunk in chunks {
        for keys in &chunk.keys {
            if keys.fields {
                accounts.push(account_key(&keys.address, chunk.block));
            }
            let rows = keys.slots.iter();
            slots.extend(rows.map(|slot| slot_key(&keys.address, slot, chunk.block)));
        }
    }
    accounts.sort_unstable();
    slots.sort_unstable();
    for key in &accounts {
        remove(view, Table::AccountHistory, key)?;
    }
    for key in &slots {
        remove(view, Table::StorageHistory, key)?;
    }
    for chunk in chunks {
        remove(view, Table::BlockChanges, &chunk.key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_fits_into_a_chunk() {
        let keys = ChangedKeys {
            address: Address::repeat_byte(0xff),
            fields: true,
            slots: vec![U256::MAX; ENTRY_SLOTS],
        };
        assert!(keys.length() <= CHUNK_BYTES);
    }

    proptest! {
        #[test]
        fn keys_sort_as_what_they_are_made_of(
            one in (any::<[u8; 20]>(), any::<[u8; 32]>(), any::<u64>()),
            other in (any::<[u8; 20]>(), any::<[u8; 32]>(), any::<u64>()),
        ) {
            let account = |(address, _, block): ([u8; 20], _, _)| account_key(&address.into(), block);
            let slot = |(address, slot, block): ([u8; 20], [u8; 32], u64)| {
                slot_key(&address.into(), &U256::from_be_bytes(slot), block)
            };
            prop_assert_eq!(account(one).cmp(&account(other)), (one.0, one.2).cmp(&(other.0, other.2)));
            prop_assert_eq!(slot(one).cmp(&slot(other)), one.cmp(&other));
        }

        #[test]
        fn arbitrary_chunks_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_chunk(&bytes);
        }
    }
}
