//! The sequencer: takes transactions from the pool, executes them as they arrive, seals a mini-block every few
//! milliseconds and a standard EVM block every interval.
//!
//! - **In:** executable transactions ([`rapid_pool::ReadyQueue`]), the time, and where the chain stands
//!   ([`rapid_chain::Opened`]).
//! - **Out:** published mini-blocks and sealed blocks, through the chain's [`Driver`](rapid_chain::Driver).
//! - **Owns:** five OS threads and the bounded queues between them.
//! - **Must hold:** the loop never awaits, logs above trace, takes a contended lock or touches disk; it waits for a
//!   full commit queue. While the committer is behind, or a block whose time is over cannot be closed for want of its parent's
//!   hash, it takes only what is urgent or late; for that hash it waits only with a block that is full, or closed by count. Commit, then publish, then answer. An EVM block is a plain Ethereum block. The next block
//!   does not wait for the hash of the last one, except to close, or to execute a transaction that reads it.
//!
//! ```text
//!  pool lanes --> sequencer-loop --cut, 32 deep-> sequencer-commit --1024-> sequencer-final
//!                 execute, cut         ^          encode, log, publish         trie, roots, header
//!                                      |             |                               |
//!                                      +-------------|- hash of the sealed block -----+
//!                                                    +-- one in n, 1 --> sequencer-shadow: executes it again, compares
//!                                                    +-- 64 deep --> sequencer-pool: tells the pool what is used up
//! ```

mod auto_interval;
mod clock;
mod committer;
mod config;
mod control;
mod cut;
mod discard;
mod early_seal;
mod error;
mod finaliser;
mod hot_loop;
mod metrics;
mod open_block;
mod pace;
mod pool_feed;
mod sequencer;
mod shadow;

pub use clock::{Host, SystemHost};
pub use config::{
    AUTO_INTERVAL_MAX, BlockPolicy, EmptyBlocks, MAX_MINI_BLOCK_INTERVAL, MIN_MINI_BLOCK_INTERVAL, Pacing,
    SequencerConfig, TimestampPolicy, WorkersUse,
};
pub use error::SequencerError;
pub use sequencer::Sequencer;
pub use shadow::ShadowCounts;
