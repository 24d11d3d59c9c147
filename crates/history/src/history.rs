//! The store itself.

use std::{ops::RangeInclusive, path::Path, sync::Arc, time::Instant};

use alloy_primitives::B256;
use parking_lot::Mutex;
use rapid_primitives::{Header, MiniBlockNumber, Receipt, SealedBlock};
use signet_libmdbx::{Environment, MdbxError, Ro, Rw, TxUnsync, WriteFlags};

use crate::{
    AppendError, BlockId, BlockRecord, ChainIdentity, ChangeRecording, HistoryConfig, HistoryError,
    OpenError, StoredBlock, StoredReceipt, StoredTransaction, Table, append::Appender,
    lookup::rebuild_lookup, metrics::HistoryMetrics, open, tables::Tables, unwind::unwind_batch, view::View,
};

/// Sealed blocks with their receipts, by number and hash. Cheap to clone; all methods take `&self`.
///
/// Each read is a transaction of its own, seconds at most, and sees one moment; reads never wait for writes. Writes
/// wait for each other.
#[derive(Clone, Debug)]
pub struct History {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    environment: Environment,
    tables: Tables,
    chain: ChainIdentity,
    recording: ChangeRecording,
    metrics: HistoryMetrics,
    /// Held during writes and syncs.
    writer: Mutex<()>,
    /// Changed only with `writer` held; never above what a sync covered, nor above the head.
    durable: Mutex<Option<BlockId>>,
}

impl History {
    /// Opens the database in a directory; creates it if it is not there. Everything found is made durable.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is modified then.
    pub fn open(path: &Path, config: &HistoryConfig) -> Result<Self, OpenError> {
        let (environment, tables) = open::open(path, config)?;
        let inner = Inner {
            environment,
            tables,
            chain: config.chain,
            recording: config.changes,
            metrics: HistoryMetrics::new(),
            writer: Mutex::new(()),
            durable: Mutex::new(None),
        };
        let history = Self {
            inner: Arc::new(inner),
        };
        match history.sync() {
            Ok(_) => Ok(history),
            Err(HistoryError::Database(source)) => Err(OpenError::Database {
                path: path.to_owned(),
                source,
            }),
            Err(HistoryError::Corrupt { .. }) => Err(OpenError::NotHistory {
                path: path.to_owned(),
            }),
        }
    }

    /// The chain it is of.
    #[must_use]
    pub fn chain(&self) -> ChainIdentity {
        self.inner.chain
    }

    /// Stores blocks in order, all or none. A block that is there already is passed over.
    ///
    /// On return they are visible and survive `kill -9`; a power loss may take them until [`Self::sync`], and never
    /// leaves a part. Until then the log must keep what they are made from.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was stored then.
    pub fn append(&self, records: &[BlockRecord]) -> Result<(), AppendError> {
        let start = Instant::now();
        let inner = &*self.inner;
        let appended = self.write(|tx, tables| {
            let mut appender = Appender::new(tx, tables, inner.chain.genesis_hash, inner.recording)?;
            for record in records {
                appender.block(record)?;
            }
            appender.finish()
        })?;
        if let Some(head) = appended.head {
            inner.metrics.head_block.set(head.number as f64);
        }
        inner.metrics.changes_total.increment(appended.changes);
        inner.metrics.append_seconds.record(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Makes everything stored durable; returns the head it covers. Call it before the log is trimmed, and every few
    /// seconds: pages freed since the last sync are not reused before the next.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn sync(&self) -> Result<Option<BlockId>, HistoryError> {
        let start = Instant::now();
        let _writer = self.inner.writer.lock();
        let head = self.head()?;
        self.inner.environment.sync(true)?;
        *self.inner.durable.lock() = head;
        if let Some(head) = head {
            self.inner.metrics.durable_block.set(head.number as f64);
        }
        self.inner
            .metrics
            .sync_seconds
            .record(start.elapsed().as_secs_f64());
        Ok(head)
    }

    /// Newest block that a power loss cannot take. The log may be trimmed up to [`Self::last_mini_block`] of it.
    #[must_use]
    pub fn durable_head(&self) -> Option<BlockId> {
        *self.inner.durable.lock()
    }

    /// Removes all blocks above `number`; returns how many. Durable on return.
    ///
    /// Many blocks are removed in several steps; a crash in between leaves a chain without gaps that ends higher.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn unwind_to(&self, number: u64) -> Result<u64, HistoryError> {
        let mut removed = 0;
        loop {
            let (head, blocks) = self.write(|tx, tables| {
                let (head, blocks) = unwind_batch(tx, tables, number)?;
                self.inner.lower_durable(head);
                Ok::<_, HistoryError>((head, blocks))
            })?;
            removed += blocks;
            if head.is_none_or(|head| head.number <= number) {
                break;
            }
        }
        if removed > 0 {
            self.sync()?;
        }
        Ok(removed)
    }

    /// Number of the last block that a stage has done; `None` when nothing was set. Unwinding leaves it as it is.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn stage_checkpoint(&self, name: &str) -> Result<Option<u64>, HistoryError> {
        self.read(|view| view.stage_checkpoint(name))
    }

    /// Sets the number of the last block that a stage has done; as durable as an appended block.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn set_stage_checkpoint(&self, name: &str, number: u64) -> Result<(), HistoryError> {
        self.set_stage_checkpoints([(name, number)])
    }

    /// [`set_stage_checkpoint`](Self::set_stage_checkpoint) for several stages, all or none.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn set_stage_checkpoints<'a>(
        &self,
        checkpoints: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Result<(), HistoryError> {
        self.write(|tx, tables| {
            let table = tables.get(Table::StageCheckpoints);
            for (name, number) in checkpoints {
                tx.put(table, name, number.to_be_bytes(), WriteFlags::UPSERT)?;
            }
            Ok(())
        })
    }

    /// Writes again by which hashes the transactions of a range of blocks are found; returns how many.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing was written then.
    pub fn rebuild_transaction_lookup(&self, blocks: RangeInclusive<u64>) -> Result<u64, HistoryError> {
        self.write(|tx, tables| rebuild_lookup(tx, tables, blocks))
    }

    /// Newest block.
    ///
    /// # Errors
    /// [`HistoryError`], as for all reads.
    pub fn head(&self) -> Result<Option<BlockId>, HistoryError> {
        self.read(|view| view.head())
    }

    /// Header of a block.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn header_by_number(&self, number: u64) -> Result<Option<Header>, HistoryError> {
        self.read(|view| view.header(number))
    }

    /// Header of a block, by hash.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn header_by_hash(&self, hash: B256) -> Result<Option<Header>, HistoryError> {
        self.read(|view| match view.number(hash)? {
            Some(number) => view.header(number),
            None => Ok(None),
        })
    }

    /// Number of the block with this hash.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn number_by_hash(&self, hash: B256) -> Result<Option<u64>, HistoryError> {
        self.read(|view| view.number(hash))
    }

    /// Hash of the block with this number.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn hash_by_number(&self, number: u64) -> Result<Option<B256>, HistoryError> {
        self.read(|view| view.hash(number))
    }

    /// A whole block with senders and receipts.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn block(&self, number: u64) -> Result<Option<SealedBlock>, HistoryError> {
        self.read(|view| {
            let Some(StoredBlock {
                hash,
                header,
                body,
                senders,
            }) = view.block(number)?
            else {
                return Ok(None);
            };
            let receipts = view.receipts(number)?.unwrap_or_default();
            let receipts = receipts.into_iter().map(|stored| stored.receipt).collect();
            Ok(Some(SealedBlock {
                hash,
                header,
                body,
                senders,
                receipts,
            }))
        })
    }

    /// A block without its receipts.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn block_without_receipts(&self, number: u64) -> Result<Option<StoredBlock>, HistoryError> {
        self.read(|view| view.block(number))
    }

    /// Number of transactions of a block.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn transaction_count(&self, number: u64) -> Result<Option<u64>, HistoryError> {
        self.read(|view| Ok(view.indices(number)?.map(|indices| indices.count)))
    }

    /// Receipts of a block, in order.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, HistoryError> {
        let stored = self.stored_receipts(number)?;
        Ok(stored.map(|receipts| receipts.into_iter().map(|stored| stored.receipt).collect()))
    }

    /// Receipts of a block, in order, each with its own gas and the index of its first log.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn stored_receipts(&self, number: u64) -> Result<Option<Vec<StoredReceipt>>, HistoryError> {
        self.read(|view| view.receipts(number))
    }

    /// A transaction by hash, with its receipt.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn transaction(&self, hash: B256) -> Result<Option<StoredTransaction>, HistoryError> {
        self.read(|view| view.transaction_by_hash(hash))
    }

    /// A transaction by its place, with its receipt.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn transaction_at(&self, number: u64, index: u64) -> Result<Option<StoredTransaction>, HistoryError> {
        self.read(|view| view.transaction_at(number, index))
    }

    /// The mini-block that closed a block.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn last_mini_block(&self, number: u64) -> Result<Option<MiniBlockNumber>, HistoryError> {
        self.read(|view| view.last_mini_block(number))
    }

    /// The blocks of a range that are there, in order, without receipts. Each is read by itself: a long export holds no
    /// transaction open, and ends early if the blocks are unwound meanwhile.
    pub fn blocks(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = Result<StoredBlock, HistoryError>> {
        let history = self.clone();
        let mut failed = false;
        range.map_while(move |number| {
            if failed {
                return None;
            }
            let block = history.block_without_receipts(number).transpose();
            failed = matches!(block, Some(Err(_)));
            block
        })
    }

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&View<'_, Ro>) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        read(&View::new(&self.begin_read()?, self.tables()))
    }

    pub(crate) fn begin_read(&self) -> Result<TxUnsync<Ro>, HistoryError> {
        Ok(self.inner.environment.begin_ro_unsync()?)
    }

    /// One transaction, committed unless it fails.
    pub(crate) fn write<T, E: From<MdbxError>>(
        &self,
        write: impl FnOnce(&TxUnsync<Rw>, &Tables) -> Result<T, E>,
    ) -> Result<T, E> {
        let _writer = self.inner.writer.lock();
        let tx = self.inner.environment.begin_rw_unsync()?;
        let written = write(&tx, &self.inner.tables)?;
        tx.commit()?;
        Ok(written)
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.inner.tables
    }
}

impl Inner {
    /// Blocks that are about to go count as durable no more; those below stay so.
    fn lower_durable(&self, head: Option<BlockId>) {
        let mut durable = self.durable.lock();
        if durable.is_some_and(|durable| head.is_none_or(|head| head.number < durable.number)) {
            *durable = head;
        }
    }
}
