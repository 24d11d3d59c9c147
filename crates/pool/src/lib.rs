//! The transaction pool: admission, lanes, per-sender queues, limits.
//!
//! - **In:** raw transactions and the published state, from RPC threads; mini-blocks and heads, once they are published.
//! - **Out:** executable transactions in lane and nonce order, to the one thread that executes ([`ReadyQueue`]);
//!   refusals with reth's messages and codes ([`PoolError`]); counts, contents and a feed, to RPC.
//! - **Owns:** the pooled transactions, and the threads of a [`Recovery`].
//! - **Must hold:** no lane with something waits longer than two seconds while others are served; the transactions of one sender come out strictly by nonce; nothing is handed out twice, unless it was
//!   handed back; what was admitted stays until it is included, replaced, overtaken, expired or found invalid; every
//!   part is bounded by [`PoolConfig`]; the consumer waits for no lock.
//!
//! ```text
//!  raw --> decode, recover --> validate --> sender's queue --> lane: ready queue --> ReadyQueue::pop --> hot loop
//!          (caller, Recovery)  (no lock)    (1 of 64 locks)    (lock-free)                |  requeue, hold, discard
//!                                             ^                                           v
//!                                             +------- on_mini_block, on_head <--- after publication
//! ```
//!
//! A transaction is *pending* from the moment all that comes before it in its sender's order is pending or included, its
//! sender can pay for all of them together, and its fee cap reaches the base fee. Pending ones are filed with the
//! consumer at once. The others wait in their sender's queue; what changes their sender's account, the base fee or
//! the room in their lane files them.

mod config;
mod decode;
mod discard;
mod error;
mod growth;
mod head;
mod lane;
mod lane_meter;
mod lane_queue;
mod lane_status;
mod metrics;
mod pool;
mod ready;
mod recovery;
mod sender;
mod shard;
mod shared;
mod signal;
mod slot;
mod tally;
mod transaction;
mod turns;
mod update;
mod validate;

pub use config::{PoolConfig, SubPoolLimit};
pub use decode::{DecodeLimits, decode_and_recover, decode_bytes_and_recover};
pub use discard::DiscardReason;
pub use error::{Limit, PoolError};
pub use head::HeadInfo;
pub use lane::{AGEING_MAX, LANES, Lane, LaneConfig};
pub use lane_meter::LaneWaits;
pub use lane_status::LaneStatus;
pub use pool::{Pool, PoolContent, PoolStatus};
pub use ready::{ReadyQueue, Wake};
pub use recovery::{RECOVERY_CHUNK, Recovery, RecoveryConfig};
pub use signal::IngressGuard;
pub use transaction::{Origin, PooledTransaction};
