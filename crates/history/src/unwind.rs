//! Removing blocks from the end.

use alloy_primitives::keccak256;
use signet_libmdbx::{Rw, TxUnsync};

use crate::{BlockId, HistoryError, Table, tables::Tables, view::View};

/// Transactions removed in one database transaction: bounds its memory, and a crash in between leaves a whole chain
/// that is only longer.
const BATCH_TRANSACTIONS: u64 = 50_000;

/// Removes blocks above `number`, newest first, until they are gone or the batch is full; returns the head left and
/// the number of blocks removed.
pub(crate) fn unwind_batch(
    tx: &TxUnsync<Rw>,
    tables: &Tables,
    number: u64,
) -> Result<(Option<BlockId>, u64), HistoryError> {
    let view = View::new(tx, tables);
    let (mut blocks, mut transactions) = (0, 0);
    loop {
        let head = view.head()?;
        match head {
            Some(block) if block.number > number && transactions < BATCH_TRANSACTIONS => {
                transactions += remove_block(&view, block)?;
                blocks += 1;
            }
            _ => return Ok((head, blocks)),
        }
    }
}

/// Removes the newest block; returns the number of its transactions.
fn remove_block(view: &View<'_, Rw>, block: BlockId) -> Result<u64, HistoryError> {
    let indices = view.body_indices(block.number)?;
    // The hash of a transaction is the hash of its EIP-2718 bytes.
    let mut hashes = view.range(Table::Transactions, indices, |bytes| Some(keccak256(bytes)))?;
    hashes.sort_unstable();
    for hash in hashes {
        remove(view, Table::TransactionHashNumbers, hash.as_slice())?;
    }
    for transaction in (indices.first..indices.end()).rev() {
        let key = transaction.to_be_bytes();
        for table in [Table::Transactions, Table::TransactionSenders, Table::Receipts] {
            remove(view, table, &key)?;
        }
    }
    if indices.count > 0 {
        remove(view, Table::TransactionBlocks, &(indices.end() - 1).to_be_bytes())?;
    }
    let key = block.number.to_be_bytes();
    remove(view, Table::HeaderNumbers, block.hash.as_slice())?;
    for table in [
        Table::CanonicalHeaders,
        Table::Headers,
        Table::BlockBodyIndices,
        Table::BlockOmmers,
        Table::BlockWithdrawals,
        Table::BlockMiniBlocks,
    ] {
        remove(view, table, &key)?;
    }
    Ok(indices.count)
}

fn remove(view: &View<'_, Rw>, table: Table, key: &[u8]) -> Result<(), HistoryError> {
    view.tx.del(view.tables.get(table), key, None)?;
    Ok(())
}
