//! From a transaction's hash to its number, made again from the transactions.

use std::ops::RangeInclusive;

use alloy_primitives::keccak256;
use signet_libmdbx::{Rw, TxUnsync, WriteFlags};

use crate::{HistoryError, Table, tables::Tables, view::View};

/// Writes the look-ups of all transactions of the blocks that are there; returns how many.
pub(crate) fn rebuild_lookup(
    tx: &TxUnsync<Rw>,
    tables: &Tables,
    blocks: RangeInclusive<u64>,
) -> Result<u64, HistoryError> {
    let view = View::new(tx, tables);
    let mut rows = Vec::new();
    for number in blocks {
        let Some(indices) = view.indices(number)? else {
            break;
        };
        // The hash of a transaction is the hash of its EIP-2718 bytes.
        let hashes = view.range(Table::Transactions, indices, |bytes| Some(keccak256(bytes)))?;
        rows.extend(hashes.into_iter().zip(indices.first..));
    }
    rows.sort_unstable();
    let table = tables.get(Table::TransactionHashNumbers);
    for (hash, transaction) in &rows {
        tx.put(table, hash, transaction.to_be_bytes(), WriteFlags::UPSERT)?;
    }
    Ok(rows.len() as u64)
}
