//! Storing blocks.

use std::collections::BTreeMap;

use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use rapid_primitives::SealedBlock;
use signet_libmdbx::{Rw, TxUnsync, WriteFlags};

use crate::{
    AppendError, BlockId, BlockRecord, ChangeRecording, Table,
    changes::ChangeRows,
    codec::{BodyIndices, encode_receipt},
    tables::Tables,
    view::View,
};

/// Largest value the database is given. It takes nearly 2 GiB and ends the process above that.
const MAX_VALUE_BYTES: usize = 1 << 30;

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) head: Option<BlockId>,
    /// Number of values from before that were stored.
    pub(crate) changes: u64,
}

/// One transaction that appends blocks.
#[derive(Debug)]
pub(crate) struct Appender<'tx> {
    tx: &'tx TxUnsync<Rw>,
    tables: &'tx Tables,
    genesis_hash: B256,
    head: Option<BlockId>,
    next_transaction: u64,
    /// Inserted in order at the end: random inserts touch each page once that way.
    transaction_hashes: Vec<(B256, u64)>,
    recording: ChangeRecording,
    /// First block with its changes, as stored and as it will be.
    first_changes: (Option<u64>, Option<u64>),
    /// Inserted at the end, as the hashes.
    changes: ChangeRows<'tx>,
    /// Likewise.
    codes: BTreeMap<B256, &'tx Bytes>,
    buffer: Vec<u8>,
}

impl<'tx> Appender<'tx> {
    pub(crate) fn new(
        tx: &'tx TxUnsync<Rw>,
        tables: &'tx Tables,
        genesis_hash: B256,
        recording: ChangeRecording,
    ) -> Result<Self, AppendError> {
        let view = View::new(tx, tables);
        let head = view.head()?;
        let next_transaction = match head {
            Some(head) => view.body_indices(head.number)?.end(),
            None => 0,
        };
        let first_changes = view.first_changes()?;
        Ok(Self {
            tx,
            tables,
            genesis_hash,
            head,
            next_transaction,
            transaction_hashes: Vec::new(),
            recording,
            first_changes: (first_changes, first_changes),
            changes: ChangeRows::default(),
            codes: BTreeMap::new(),
            buffer: Vec::new(),
        })
    }

    /// Stores the block unless it is there.
    pub(crate) fn block(&mut self, record: &'tx BlockRecord) -> Result<(), AppendError> {
        let block = &*record.block;
        if self.is_stored(block)? {
            return Ok(());
        }
        self.check_follows(block)?;
        let number = block.number();
        let key = number.to_be_bytes();
        let indices = BodyIndices {
            first: self.next_transaction,
            count: block.body.transactions.len() as u64,
        };
        self.append(number, Table::CanonicalHeaders, &key, block.hash.as_slice())?;
        self.append_rlp(number, Table::Headers, &key, &block.header)?;
        self.tx.put(
            self.tables.get(Table::HeaderNumbers),
            block.hash,
            key,
            WriteFlags::UPSERT,
        )?;
        self.append(number, Table::BlockBodyIndices, &key, &indices.encode())?;
        self.append(
            number,
            Table::BlockMiniBlocks,
            &key,
            &record.last_mini_block.0.to_be_bytes(),
        )?;
        if !block.body.ommers.is_empty() {
            self.append_rlp(number, Table::BlockOmmers, &key, &block.body.ommers)?;
        }
        if let Some(withdrawals) = &block.body.withdrawals {
            self.append_rlp(number, Table::BlockWithdrawals, &key, withdrawals)?;
        }
        if indices.count > 0 {
            self.append(
                number,
                Table::TransactionBlocks,
                &(indices.end() - 1).to_be_bytes(),
                &key,
            )?;
            self.transactions(block, indices)?;
        }
        self.changes(number, record)?;
        self.next_transaction = indices.end();
        self.head = Some(BlockId {
            number,
            hash: block.hash,
        });
        Ok(())
    }

    /// Writes what was collected.
    pub(crate) fn finish(mut self) -> Result<Appended, AppendError> {
        self.transaction_hashes.sort_unstable();
        let mut cursor = self.tx.cursor(self.tables.get(Table::TransactionHashNumbers))?;
        for (hash, number) in &self.transaction_hashes {
            cursor.put(hash.as_slice(), &number.to_be_bytes(), WriteFlags::UPSERT)?;
        }
        for (hash, code) in &self.codes {
            self.code(*hash, code)?;
        }
        if let (stored, Some(first)) = self.first_changes
            && stored != Some(first)
        {
            View::new(self.tx, self.tables).set_first_changes(first)?;
        }
        Ok(Appended {
            head: self.head,
            changes: self.changes.finish(self.tx, self.tables)?,
        })
    }

    /// Collects what the block changed.
    fn changes(&mut self, number: u64, record: &'tx BlockRecord) -> Result<(), AppendError> {
        for change in &record.codes {
            checked(number, Table::Bytecodes, &change.code)?;
            self.codes.insert(change.hash, &change.code);
        }
        match self.recording {
            ChangeRecording::Record => {
                self.first_changes.1.get_or_insert(number);
                self.changes.block(self.tx, self.tables, number, &record.reverts)
            }
            ChangeRecording::Skip => {
                self.first_changes.1 = Some(number + 1);
                Ok(())
            }
        }
    }

    /// Stores code unless it is there: most is, of contracts deployed many times.
    fn code(&self, hash: B256, code: &Bytes) -> Result<(), AppendError> {
        let view = View::new(self.tx, self.tables);
        if view.get(Table::Bytecodes, hash.as_slice())?.is_none() {
            let table = self.tables.get(Table::Bytecodes);
            self.tx.put(table, hash, code, WriteFlags::UPSERT)?;
        }
        Ok(())
    }

    fn is_stored(&self, block: &SealedBlock) -> Result<bool, AppendError> {
        let number = block.number();
        if self.head.is_none_or(|head| head.number < number) {
            return Ok(false);
        }
        match View::new(self.tx, self.tables).hash(number)? {
            Some(stored) if stored == block.hash => Ok(true),
            Some(stored) => Err(AppendError::Conflict {
                number,
                stored,
                given: block.hash,
            }),
            None => Ok(false),
        }
    }

    fn check_follows(&self, block: &SealedBlock) -> Result<(), AppendError> {
        let number = block.number();
        let expected = self.head.map_or(0, |head| head.number + 1);
        if number != expected {
            return Err(AppendError::Gap {
                expected,
                found: number,
            });
        }
        match self.head {
            None if block.hash != self.genesis_hash => {
                return Err(AppendError::Genesis {
                    expected: self.genesis_hash,
                    found: block.hash,
                });
            }
            Some(head) if block.header.parent_hash != head.hash => {
                let found = block.header.parent_hash;
                return Err(AppendError::Parent {
                    number,
                    expected: head.hash,
                    found,
                });
            }
            _ => {}
        }
        let (transactions, senders, receipts) = (
            block.body.transactions.len(),
            block.senders.len(),
            block.receipts.len(),
        );
        if transactions != senders || transactions != receipts {
            return Err(AppendError::Counts {
                number,
                transactions,
                senders,
                receipts,
            });
        }
        Ok(())
    }

    fn transactions(&mut self, block: &SealedBlock, indices: BodyIndices) -> Result<(), AppendError> {
        let number = block.number();
        let mut transactions = self.tx.cursor(self.tables.get(Table::Transactions))?;
        let mut senders = self.tx.cursor(self.tables.get(Table::TransactionSenders))?;
        let mut receipts = self.tx.cursor(self.tables.get(Table::Receipts))?;
        let buffer = &mut self.buffer;
        self.transaction_hashes.reserve(block.body.transactions.len());
        let (mut gas_before, mut first_log_index) = (0, 0);
        let rows = block
            .body
            .transactions
            .iter()
            .zip(&block.senders)
            .zip(&block.receipts);
        for (transaction_number, ((transaction, sender), receipt)) in (indices.first..).zip(rows) {
            let key = transaction_number.to_be_bytes();
            buffer.clear();
            transaction.encode_2718(buffer);
            transactions.append(&key, checked(number, Table::Transactions, buffer)?)?;
            senders.append(&key, sender.as_slice())?;
            buffer.clear();
            let gas_used = receipt.cumulative_gas_used.saturating_sub(gas_before);
            encode_receipt(buffer, receipt, gas_used, first_log_index);
            receipts.append(&key, checked(number, Table::Receipts, buffer)?)?;
            self.transaction_hashes
                .push((*transaction.tx_hash(), transaction_number));
            gas_before = receipt.cumulative_gas_used;
            first_log_index += receipt.logs.len() as u64;
        }
        Ok(())
    }

    fn append_rlp(
        &mut self,
        number: u64,
        table: Table,
        key: &[u8],
        value: &impl Encodable,
    ) -> Result<(), AppendError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        value.encode(&mut buffer);
        let appended = self.append(number, table, key, &buffer);
        self.buffer = buffer;
        appended
    }

    fn append(&self, number: u64, table: Table, key: &[u8], value: &[u8]) -> Result<(), AppendError> {
        Ok(self
            .tx
            .append(self.tables.get(table), key, checked(number, table, value)?)?)
    }
}

fn checked(number: u64, table: Table, value: &[u8]) -> Result<&[u8], AppendError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(AppendError::TooLarge {
            number,
            table,
            bytes: value.len(),
        });
    }
    Ok(value)
}
