//! The Engine API: a consensus client says which blocks there are and which of them is the head, and this node follows.
//!
//! - **In:** payloads ([`NewPayload`]) and fork choices ([`ForkchoiceUpdate`]), through an [`EngineHandle`].
//! - **Out:** their statuses, with the rules of the specification; blocks and heads, through the chain's
//!   [`Importer`](rapid_chain::Importer); the safe and the finalized block ([`Forkchoice`]); what the pool must know of
//!   a new head; [`EngineEvent`]s for who tells a person.
//! - **Owns:** the one importer of the chain, on the thread `engine`; the queue of requests to it; blocks that wait for
//!   their parent.
//! - **Must hold:** requests are answered in the order in which they came. An invalid block is never canonical and never
//!   becomes valid. A fork choice is taken as a whole or not at all. When this node fails, the answer is an error, never
//!   that a block is invalid.
//!
//! ```text
//!  rpc: newPayload, forkchoiceUpdated --handle, 64--> engine: order of checks --> Importer: insert, set_head
//!       ^                                               |         ^                    |
//!       +------------------- oneshot -------------------+    blocks without parent     +--> View --> rpc
//!                                                       +--> Forkchoice, pool, EngineEvent
//! ```
//!
//! # What is decided here where specification and reth differ
//! - A payload with a transaction that does not decode has no latest valid hash (reth names the parent).
//! - Safe and finalized are checked before the head moves, so that a refused fork choice changes nothing (reth has moved
//!   the head by then).
//! - A head that is canonical but below the finalized block is answered `VALID` and changes nothing (reth: -38006). A
//!   branch that leaves the chain below the finalized block is refused with -38006.
//! - Above the hard mark of memory a payload whose parent is known, and a fork choice that moves the head to a new block,
//!   fail with an internal error: after `SYNCING` the consensus client would go on and count on this node to fetch what is
//!   missing, which it cannot; after an error it keeps the block and sends it again.
//! - Side branches are executed when they arrive, as in reth: nothing is answered with `ACCEPTED`.
//!
//! # Limits
//! - No payload is built: valid attributes are answered with `payloadId: null`, which to a consensus client says that
//!   there is nothing to propose from this node; it does not make a fork choice fail that was taken.
//! - There is no network to fetch blocks from: after `SYNCING` the consensus client has to send what is missing.
//! - Safe and finalized are not stored: after a restart they are unknown until the first fork choice.
//!
//! # Metrics
//! | name | type | what |
//! |---|---|---|
//! | `rapid_reth_engine_queued_requests` | gauge | requests that wait for the thread |
//! | `rapid_reth_engine_busy_total` | counter | requests refused because too many wait |
//! | `rapid_reth_engine_orphan_blocks` | gauge | blocks that wait for their parent |
//! | `rapid_reth_engine_orphans_dropped_total` | counter | blocks that were dropped while they waited |
//! | `rapid_reth_engine_payloads_total{status}` | counter | payloads by the status answered |
//! | `rapid_reth_engine_forkchoices_total{status}` | counter | fork choices by the status answered |
//! | `rapid_reth_engine_payload_seconds` | histogram | time to answer a payload |
//! | `rapid_reth_engine_forkchoice_seconds` | histogram | time to answer a fork choice |
//! | `rapid_reth_engine_returned_transactions_total{outcome}` | counter | transactions of removed blocks, `pooled` or `refused` |

mod attributes;
mod bodies;
mod engine;
mod error;
mod event;
mod forkchoice;
mod handle;
mod orphans;
mod payload;
mod pool_follower;
mod status;
mod tree;
mod version;

pub use attributes::ForkchoiceUpdate;
pub use bodies::{BODIES_MAX, payload_bodies_by_hash, payload_bodies_by_range};
pub use engine::{Engine, EngineFailure};
pub use error::EngineError;
pub use event::{ENGINE_EVENT_QUEUE_LEN, EngineEvent};
pub use forkchoice::{BlockAt, Forkchoice};
pub use handle::{EngineHandle, REQUEST_QUEUE_LEN};
pub use orphans::ORPHANS_MAX;
pub use payload::NewPayload;
pub use version::{ForkchoiceVersion, NewPayloadVersion};
