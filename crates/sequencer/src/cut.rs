//! A mini-block as it leaves the hot loop: executed, not yet encoded.

use std::{sync::Arc, time::Instant};

use alloy_primitives::B256;
use rapid_evm::BlockAccesses;
use rapid_pool::PooledTransaction;
use rapid_primitives::{
    AccessDelta, AccountChange, AmsterdamDelta, BlockClose, BlockEnvironment, BlockPosition, CommitSequence,
    DiffBuilder, MiniBlock, MiniBlockBody, MiniBlockHeader, MiniBlockNumber, Receipt, SealedMiniBlock,
    StateDiff,
};

/// Why a mini-block was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutReason {
    /// Its deadline was reached.
    Deadline,
    /// It is full.
    Size,
    /// Nothing else is coming.
    Idle,
    /// Its EVM block is closed.
    BlockClosed,
    /// The loop waits for the hash of the parent block.
    AwaitingParent,
    /// Production stops: the node shuts down, or disk or memory is nearly full.
    Stopping,
}

impl CutReason {
    pub(crate) const ALL: [Self; 6] = [
        Self::Deadline,
        Self::Size,
        Self::Idle,
        Self::BlockClosed,
        Self::AwaitingParent,
        Self::Stopping,
    ];

    /// The label in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Size => "size",
            Self::Idle => "idle",
            Self::BlockClosed => "block_closed",
            Self::AwaitingParent => "awaiting_parent",
            Self::Stopping => "stopping",
        }
    }
}

/// The content the loop has gathered since the last cut.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) transactions: Vec<Arc<PooledTransaction>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) changes: Vec<(u32, Vec<AccountChange>)>,
    pub(crate) bytes: usize,
}

impl Gathered {
    pub(crate) const fn is_empty(&self) -> bool {
        self.transactions.is_empty() && self.changes.is_empty()
    }

    pub(crate) fn changed(&mut self, index: u32, changes: Vec<AccountChange>) {
        if !changes.is_empty() {
            self.changes.push((index, changes));
        }
    }
}

/// What a mini-block adds to what the header of its block says from Amsterdam on. To sort it is left to the committer.
#[derive(Debug)]
pub(crate) struct AmsterdamPart {
    pub(crate) accesses: BlockAccesses,
    pub(crate) execution_gas: u64,
    pub(crate) state_gas: u64,
}

impl AmsterdamPart {
    /// As it is recorded beside the mini-block's diff.
    fn delta(self, diff: &StateDiff) -> AmsterdamDelta {
        AmsterdamDelta {
            execution_gas: self.execution_gas,
            state_gas: self.state_gas,
            accesses: AccessDelta::new(self.accesses.finish(), diff),
        }
    }
}

/// What the loop asks of the committer.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "all but a few are cuts, and few are on their way"
)]
pub(crate) enum CommitOrder {
    /// Commit and publish this.
    Commit(Cut),
    /// Make durable what came before, whatever the policy: production stops for longer.
    MakeDurable,
}

/// A mini-block on its way to the committer.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) number: MiniBlockNumber,
    pub(crate) time_us: u64,
    pub(crate) environment: BlockEnvironment,
    pub(crate) block_parent_hash: Option<B256>,
    pub(crate) position: BlockPosition,
    pub(crate) close: Option<BlockClose>,
    pub(crate) content: Gathered,
    /// `None` before Amsterdam.
    pub(crate) amsterdam: Option<AmsterdamPart>,
    /// The state's sequence at the cut.
    pub(crate) version: CommitSequence,
    pub(crate) cut_at: Instant,
}

impl Cut {
    /// Encodes it as the successor of the mini-block with hash `parent_hash`.
    pub(crate) fn seal(self, parent_hash: B256) -> SealedMiniBlock {
        let mut diff = DiffBuilder::new();
        for (index, changes) in &self.content.changes {
            diff.push(*index, changes);
        }
        let diff = diff.finish();
        let amsterdam = self.amsterdam.map(|part| part.delta(&diff));
        let transactions = &self.content.transactions;
        let header = MiniBlockHeader {
            number: self.number,
            parent_hash,
            time_us: self.time_us,
            environment: self.environment,
            block_parent_hash: self.block_parent_hash,
            position: self.position,
            close: self.close,
            rewind: None,
            body_hash: B256::ZERO,
        };
        let body = MiniBlockBody {
            transactions: transactions
                .iter()
                .map(|pooled| pooled.transaction().clone())
                .collect(),
            senders: transactions.iter().map(|pooled| pooled.sender()).collect(),
            receipts: self.content.receipts,
            diff,
            amsterdam,
        };
        MiniBlock { header, body }.seal()
    }
}
