//! Typed reads inside one transaction, reading or writing.

use alloy_eips::{Decodable2718, eip4895::Withdrawals};
use alloy_primitives::{Address, B256, hex};
use rapid_primitives::{BlockBody, Header, MiniBlockNumber, TransactionSigned};
use signet_libmdbx::{Rw, TransactionKind, tx::Tx};

use crate::{
    BlockId, HistoryError, StoredBlock, StoredReceipt, StoredTransaction, Table,
    codec::{BodyIndices, decode_number, decode_receipt, decode_rlp},
    tables::Tables,
};

/// Reads through a transaction: all answers are of one moment.
#[derive(Debug)]
pub(crate) struct View<'tx, K: TransactionKind> {
    pub(crate) tx: &'tx Tx<K>,
    pub(crate) tables: &'tx Tables,
}

impl<'tx, K: TransactionKind> View<'tx, K> {
    pub(crate) const fn new(tx: &'tx Tx<K>, tables: &'tx Tables) -> Self {
        Self { tx, tables }
    }

    /// A value, copied: borrowing makes the binding ask MDBX whether the page of the value is dirty, which in a writing
    /// transaction it sometimes refuses to answer (`EINVAL`), and all values are decoded at once anyway.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError> {
        Ok(self.tx.get(self.tables.get(table).dbi(), key)?)
    }

    fn need(&self, table: Table, key: &[u8]) -> Result<Vec<u8>, HistoryError> {
        self.get(table, key)?
            .ok_or_else(|| corrupt(table, key, "value is missing"))
    }

    pub(crate) fn decoded<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, HistoryError> {
        let Some(bytes) = self.get(table, key)? else {
            return Ok(None);
        };
        decode(&bytes)
            .map(Some)
            .ok_or_else(|| corrupt(table, key, "value does not decode"))
    }

    pub(crate) fn head(&self) -> Result<Option<BlockId>, HistoryError> {
        let mut cursor = self.tx.cursor(self.tables.get(Table::CanonicalHeaders))?;
        let Some((key, hash)) = cursor.last::<Vec<u8>, Vec<u8>>()? else {
            return Ok(None);
        };
        let number =
            decode_number(&key).ok_or_else(|| corrupt(Table::CanonicalHeaders, &key, "key is no number"))?;
        Ok(Some(BlockId {
            number,
            hash: decode_hash(Table::CanonicalHeaders, &key, &hash)?,
        }))
    }

    pub(crate) fn hash(&self, number: u64) -> Result<Option<B256>, HistoryError> {
        self.decoded(Table::CanonicalHeaders, &number.to_be_bytes(), |bytes| {
            B256::try_from(bytes).ok()
        })
    }

    pub(crate) fn number(&self, hash: B256) -> Result<Option<u64>, HistoryError> {
        self.decoded(Table::HeaderNumbers, hash.as_slice(), decode_number)
    }

    pub(crate) fn header(&self, number: u64) -> Result<Option<Header>, HistoryError> {
        self.decoded(Table::Headers, &number.to_be_bytes(), decode_rlp)
    }

    pub(crate) fn indices(&self, number: u64) -> Result<Option<BodyIndices>, HistoryError> {
        self.decoded(
            Table::BlockBodyIndices,
            &number.to_be_bytes(),
            BodyIndices::decode,
        )
    }

    pub(crate) fn last_mini_block(&self, number: u64) -> Result<Option<MiniBlockNumber>, HistoryError> {
        let number = self.decoded(Table::BlockMiniBlocks, &number.to_be_bytes(), decode_number)?;
        Ok(number.map(MiniBlockNumber))
    }

    pub(crate) fn stage_checkpoint(&self, name: &str) -> Result<Option<u64>, HistoryError> {
        self.decoded(Table::StageCheckpoints, name.as_bytes(), decode_number)
    }

    pub(crate) fn block(&self, number: u64) -> Result<Option<StoredBlock>, HistoryError> {
        let key = number.to_be_bytes();
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        let hash = decode_hash(
            Table::CanonicalHeaders,
            &key,
            &self.need(Table::CanonicalHeaders, &key)?,
        )?;
        let indices = self.body_indices(number)?;
        let transactions = self.range(Table::Transactions, indices, decode_transaction)?;
        let senders = self.range(Table::TransactionSenders, indices, decode_address)?;
        let ommers = self
            .decoded(Table::BlockOmmers, &key, decode_rlp::<Vec<Header>>)?
            .unwrap_or_default();
        let withdrawals = self.decoded(Table::BlockWithdrawals, &key, decode_rlp::<Withdrawals>)?;
        let body = BlockBody {
            transactions,
            ommers,
            withdrawals,
        };
        Ok(Some(StoredBlock {
            hash,
            header,
            body,
            senders,
        }))
    }

    pub(crate) fn receipts(&self, number: u64) -> Result<Option<Vec<StoredReceipt>>, HistoryError> {
        let Some(indices) = self.indices(number)? else {
            return Ok(None);
        };
        self.range(Table::Receipts, indices, decode_receipt).map(Some)
    }

    pub(crate) fn transaction_by_hash(&self, hash: B256) -> Result<Option<StoredTransaction>, HistoryError> {
        let Some(transaction) =
            self.decoded(Table::TransactionHashNumbers, hash.as_slice(), decode_number)?
        else {
            return Ok(None);
        };
        let block_number = self.block_of(transaction)?;
        self.transaction(block_number, transaction).map(Some)
    }

    pub(crate) fn transaction_at(
        &self,
        number: u64,
        index: u64,
    ) -> Result<Option<StoredTransaction>, HistoryError> {
        match self.indices(number)? {
            Some(indices) if index < indices.count => {
                self.transaction(number, indices.first + index).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads a transaction that must be there.
    fn transaction(&self, block_number: u64, transaction: u64) -> Result<StoredTransaction, HistoryError> {
        let block_key = block_number.to_be_bytes();
        let key = transaction.to_be_bytes();
        let indices = self.body_indices(block_number)?;
        let index = transaction
            .checked_sub(indices.first)
            .filter(|index| *index < indices.count);
        let index = index.ok_or_else(|| {
            corrupt(
                Table::BlockBodyIndices,
                &block_key,
                "transaction is not in its block",
            )
        })?;
        let hash = self.need(Table::CanonicalHeaders, &block_key)?;
        let StoredReceipt {
            receipt,
            gas_used,
            first_log_index,
        } = self.needed(Table::Receipts, &key, decode_receipt)?;
        Ok(StoredTransaction {
            block_number,
            block_hash: decode_hash(Table::CanonicalHeaders, &block_key, &hash)?,
            index,
            transaction: self.needed(Table::Transactions, &key, decode_transaction)?,
            sender: self.needed(Table::TransactionSenders, &key, decode_address)?,
            receipt,
            gas_used,
            first_log_index,
        })
    }

    pub(crate) fn needed<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, HistoryError> {
        self.decoded(table, key, decode)?
            .ok_or_else(|| corrupt(table, key, "value is missing"))
    }

    pub(crate) fn body_indices(&self, number: u64) -> Result<BodyIndices, HistoryError> {
        self.needed(
            Table::BlockBodyIndices,
            &number.to_be_bytes(),
            BodyIndices::decode,
        )
    }

    /// Reads the values of a block's transactions.
    pub(crate) fn range<T>(
        &self,
        table: Table,
        indices: BodyIndices,
        mut decode: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, HistoryError> {
        let mut values = Vec::new();
        if indices.count == 0 {
            return Ok(values);
        }
        let mut cursor = self.tx.cursor(self.tables.get(table))?;
        let mut item = cursor.set_range::<Vec<u8>, Vec<u8>>(&indices.first.to_be_bytes())?;
        for number in indices.first..indices.end() {
            let key = number.to_be_bytes();
            let Some((_, value)) = item.filter(|(found, _)| found[..] == key) else {
                return Err(corrupt(table, &key, "value is missing"));
            };
            values.push(decode(&value).ok_or_else(|| corrupt(table, &key, "value does not decode"))?);
            item = if number + 1 < indices.end() {
                cursor.next()?
            } else {
                None
            };
        }
        Ok(values)
    }

    /// Number of the block that holds a transaction.
    fn block_of(&self, transaction: u64) -> Result<u64, HistoryError> {
        let table = Table::TransactionBlocks;
        let key = transaction.to_be_bytes();
        let mut cursor = self.tx.cursor(self.tables.get(table))?;
        let block = cursor.set_range::<Vec<u8>, Vec<u8>>(&key)?;
        let number = block.and_then(|(_, number)| decode_number(&number));
        number.ok_or_else(|| corrupt(table, &key, "no block holds the transaction"))
    }
}

pub(crate) fn decode_transaction(mut bytes: &[u8]) -> Option<TransactionSigned> {
    let transaction = TransactionSigned::decode_2718(&mut bytes).ok()?;
    bytes.is_empty().then_some(transaction)
}

fn decode_address(bytes: &[u8]) -> Option<Address> {
    Address::try_from(bytes).ok()
}

fn decode_hash(table: Table, key: &[u8], bytes: &[u8]) -> Result<B256, HistoryError> {
    B256::try_from(bytes).map_err(|_| corrupt(table, key, "value is no hash"))
}

pub(crate) fn remove(view: &View<'_, Rw>, table: Table, key: &[u8]) -> Result<(), HistoryError> {
    view.tx.del(view.tables.get(table), key, None)?;
    Ok(())
}

pub(crate) fn corrupt(table: Table, key: &[u8], reason: &'static str) -> HistoryError {
    HistoryError::Corrupt {
        table,
        key: hex::encode_prefixed(key),
        reason,
    }
}
