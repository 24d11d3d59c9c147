//! From a transaction's hash to its number, made again from the transactions.

use std::ops::RangeInclusive;

use alloy_primitives::B256;
use rapid_keccak::Batch;
use signet_libmdbx::{Rw, TransactionKind, TxUnsync, WriteFlags};

use crate::{HistoryError, Table, codec::BodyIndices, tables::Tables, view::View};

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
        let hashes = transaction_hashes(&view, indices)?;
        rows.extend(hashes.into_iter().zip(indices.first..));
    }
    rows.sort_unstable();
    let table = tables.get(Table::TransactionHashNumbers);
    for (hash, transaction) in &rows {
        tx.put(table, hash, transaction.to_be_bytes(), WriteFlags::UPSERT)?;
    }
    Ok(rows.len() as u64)
}

/// The hashes of a block's transactions: each that of its EIP-2718 bytes.
pub(crate) fn transaction_hashes<K: TransactionKind>(
    view: &View<'_, K>,
    indices: BodyIndices,
) -> Result<Vec<B256>, HistoryError> {
    let mut encoded = Batch::default();
    view.range(Table::Transactions, indices, |bytes| {
        encoded.push_with(|out| out.extend_from_slice(bytes));
        Some(())
    })?;
    let mut hashes = vec![B256::ZERO; encoded.len()];
    encoded.hash_into(&mut hashes);
    Ok(hashes)
}
