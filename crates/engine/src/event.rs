//! What the engine does, for who tells a person.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use alloy_rpc_types_engine::ForkchoiceState;
use rapid_primitives::SealedBlock;

/// Events a listener may be behind before it loses some: they are log lines, of which nobody reads more at once.
pub const ENGINE_EVENT_QUEUE_LEN: usize = 256;

/// What the engine did.
#[derive(Clone, Debug)]
pub enum EngineEvent {
    /// A payload arrived.
    PayloadReceived {
        /// Its number, as it says.
        number: u64,
        /// Its hash, as it says.
        hash: B256,
    },
    /// A block was executed that follows the head.
    CanonicalBlockAdded {
        /// The block.
        block: Arc<SealedBlock>,
        /// Time to check and execute it.
        elapsed: Duration,
    },
    /// A block was executed that does not follow the head.
    ForkBlockAdded {
        /// The block.
        block: Arc<SealedBlock>,
        /// Time to check and execute it.
        elapsed: Duration,
    },
    /// A block was found invalid.
    InvalidBlock {
        /// Its number.
        number: u64,
        /// Its hash.
        hash: B256,
        /// The rule it breaks.
        reason: String,
    },
    /// A fork choice was taken.
    ForkchoiceUpdated(ForkchoiceState),
    /// A fork choice names a head that is not known.
    ForkchoiceSyncing(ForkchoiceState),
    /// A fork choice names a head that is invalid.
    ForkchoiceInvalid(ForkchoiceState),
    /// The head moved.
    CanonicalChainCommitted {
        /// The new head.
        head: Arc<SealedBlock>,
        /// Blocks that are not canonical any more.
        removed: usize,
        /// Time to make it durable and publish it.
        elapsed: Duration,
    },
}
