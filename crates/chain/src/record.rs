//! The record of a block that was made elsewhere: one mini-block that opens and closes it.

use std::time::SystemTime;

use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::environment_of_header;
use rapid_primitives::{
    BlockClose, BlockPosition, MiniBlock, MiniBlockBody, MiniBlockHeader, ProofOfWorkSeal,
};

use crate::{Tip, execute::ExecutedBlock};

/// The record of a whole block, after `tip`.
pub(crate) fn record_of(spec: &ChainSpec, executed: &ExecutedBlock, tip: &Tip) -> MiniBlock {
    let before_paris = !spec.is_paris_active_at_block(executed.block.number());
    let block = &executed.block;
    let header = MiniBlockHeader {
        number: tip.mini_block.next(),
        parent_hash: tip.mini_block_hash,
        time_us: now_us().max(tip.time_us + 1),
        environment: environment_of_header(&block.header),
        block_parent_hash: Some(block.header.parent_hash),
        position: BlockPosition::default(),
        close: Some(BlockClose {
            withdrawals: block
                .body
                .withdrawals
                .clone()
                .map(|withdrawals| withdrawals.into_inner()),
            requests: executed.requests.clone(),
            proof_of_work: before_paris.then(|| ProofOfWorkSeal {
                nonce: block.header.nonce,
                ommers: block.body.ommers.clone(),
                receipts_root: block.header.receipts_root,
            }),
            amsterdam: executed.amsterdam,
        }),
        rewind: None,
        body_hash: B256::ZERO,
    };
    let body = MiniBlockBody {
        transactions: block.body.transactions.clone(),
        senders: block.senders.clone(),
        receipts: block.receipts.clone(),
        diff: executed.diff.clone(),
        amsterdam: None,
    };
    MiniBlock { header, body }
}

/// Microseconds since the epoch: mini-blocks carry the time they were made at.
pub(crate) fn now_us() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}
