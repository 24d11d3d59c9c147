//! Removing what old blocks changed.

use signet_libmdbx::{Ro, Rw, TransactionKind, TxUnsync};

use crate::{
    History, HistoryError,
    changes::{Chunks, remove_chunks},
    tables::Tables,
    view::View,
};

/// Values removed in one database transaction: bounds its memory, and how long appending waits for it.
const BATCH_ROWS: u64 = 50_000;

impl History {
    /// Removes what the blocks below `number` changed; returns how many values went. The state can be read after block
    /// `number - 1` and later ones then; blocks, receipts and code stay.
    ///
    /// Many values are removed in several steps, between which blocks can be appended. From the first step on the state
    /// below is refused, so that none sees a part; after a crash in between the next call removes the rest.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn prune_changes_below(&self, number: u64) -> Result<u64, HistoryError> {
        let mut removed = 0;
        // Called after every few blocks: most calls find nothing to do and must not write.
        while self.read(|view| has_changes_below(view, number))? {
            removed += self.write(|tx, tables| prune_batch(tx, tables, number))?;
        }
        Ok(removed)
    }
}

fn has_changes_below(view: &View<'_, Ro>, number: u64) -> Result<bool, HistoryError> {
    let oldest = Chunks::from(view, 0)?.next().transpose()?;
    Ok(oldest.is_some_and(|chunk| chunk.block < number) || raised_first(view, number)?.is_some())
}

fn prune_batch(tx: &TxUnsync<Rw>, tables: &Tables, number: u64) -> Result<u64, HistoryError> {
    let view = View::new(tx, tables);
    if let Some(first) = raised_first(&view, number)? {
        view.set_first_changes(first)?;
    }
    let (mut chunks, mut rows) = (Vec::new(), 0);
    for chunk in Chunks::from(&view, 0)? {
        let chunk = chunk?;
        if chunk.block >= number || rows >= BATCH_ROWS {
            break;
        }
        rows += chunk.rows();
        chunks.push(chunk);
    }
    remove_chunks(&view, &chunks)?;
    Ok(rows)
}

/// The first block with changes after the removal, if it is another one than now. The next block to come is the last
/// that can be.
fn raised_first<K: TransactionKind>(view: &View<'_, K>, number: u64) -> Result<Option<u64>, HistoryError> {
    let (Some(head), Some(first)) = (view.head()?, view.first_changes()?) else {
        return Ok(None);
    };
    let target = number.min(head.number + 1);
    Ok((first < target).then_some(target))
}
