//! Removing blocks from the end.

use signet_libmdbx::{Rw, TxUnsync};

use crate::{
    BlockId, HistoryError, Table,
    changes::{Chunk, Chunks, remove_chunks},
    lookup::transaction_hashes,
    tables::Tables,
    view::{View, remove},
};

/// Transactions and changes removed in one database transaction: bounds its memory, and a crash in between leaves a
/// whole chain that is only longer.
const BATCH_ROWS: u64 = 50_000;

/// Removes blocks above `number`, newest first, until they are gone or the batch is full; returns the head left and
/// the number of blocks removed.
pub(crate) fn unwind_batch(
    tx: &TxUnsync<Rw>,
    tables: &Tables,
    number: u64,
) -> Result<(Option<BlockId>, u64), HistoryError> {
    let view = View::new(tx, tables);
    let (mut blocks, mut rows) = (0, 0);
    let mut chunks = Vec::new();
    loop {
        let head = view.head()?;
        match head {
            Some(block) if block.number > number && rows < BATCH_ROWS => {
                rows += remove_block(&view, block)?;
                rows += changes_of(&view, block.number, &mut chunks)?;
                blocks += 1;
            }
            _ => {
                remove_chunks(&view, &chunks)?;
                lower_first_changes(&view, head)?;
                return Ok((head, blocks));
            }
        }
    }
}

/// Collects what the newest block changed, to be removed for many blocks at once; returns the number of values.
fn changes_of(view: &View<'_, Rw>, number: u64, chunks: &mut Vec<Chunk>) -> Result<u64, HistoryError> {
    let mut rows = 0;
    for chunk in Chunks::from(view, number)? {
        let chunk = chunk?;
        // Those of newer blocks of this batch are collected, and still there.
        if chunk.block > number {
            break;
        }
        rows += chunk.rows();
        chunks.push(chunk);
    }
    Ok(rows)
}

/// Where changes were not recorded before, they can be from the next block on.
fn lower_first_changes(view: &View<'_, Rw>, head: Option<BlockId>) -> Result<(), HistoryError> {
    let next = head.map_or(0, |head| head.number + 1);
    match view.first_changes()? {
        Some(first) if first > next => view.set_first_changes(next),
        _ => Ok(()),
    }
}

/// Removes the newest block; returns the number of its transactions.
fn remove_block(view: &View<'_, Rw>, block: BlockId) -> Result<u64, HistoryError> {
    let indices = view.body_indices(block.number)?;
    let mut hashes = transaction_hashes(view, indices)?;
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
