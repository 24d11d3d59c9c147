//! Parallel execution, two ways: production, which may choose the order of a block, and validation, which is given it.
//!
//! - **In:** recovered transactions with their senders, a block's environment, the state. For production the classes of
//!   transactions; for validation a hint, what the block is said to write ([`BlockHint`], EIP-7928).
//! - **Out:** of production the transactions in the order of their commits, with results, changes, fees and from
//!   Amsterdam on all they touched ([`Executed`]); of
//!   validation what sequential execution of the block gives ([`Validated`]), or the error it stops with.
//! - **Owns:** the threads of [`Production`] and of [`Workers`]; who calls them is a worker too. No I/O; time is looked at to measure, and decides nothing
//!   but who executes.
//! - **Must hold:** executing the order that production chose one after the other gives the same state, receipts and gas. The
//!   result of validation is that of sequential execution, whatever the hint says. Neither depends on how many workers there
//!   are. Nobody executes a transaction again because another one was: an abort in production names nobody else.
//!
//! ```text
//!  production                                        validation
//!  hand_out --> batch, or lane of a contended key    hint --numbers for keys--> hinted state (claims below an index, else
//!                |  most urgent first                             |  the parent's)     worker 0 from the front, the others
//!                v                                                v                    longest first
//!  worker: execute on committed values, commit       every transaction: result, and whether its writes are the claims at its
//!                |  order = sequence of the commits   index | all are: by induction every claim is true   | one is not
//!                v                                          v                                             v
//!  outbox --> cut: what a version has, in order      net change in parts by all,       in order: keep what depends on nothing
//!                                                    receipts in order                 untrue, execute the rest
//! ```
//!
//! Why validation is sound: the first transaction reads the true state, so what it is checked to have written is true; if all
//! before a transaction wrote what is claimed, what it reads by the claims is true as well. Why production is: a commit takes
//! its sequence while it holds what it writes and before it looks whether what it read still holds (Silo, SOSP 2013).
//!
//! Metrics: `rapid_reth_executor_lost_races_total` (executions in vain), `rapid_reth_executor_alone_total` by reason,
//! `rapid_reth_executor_lanes`; `rapid_reth_executor_validated_blocks_total` by what became of the hint,
//! `rapid_reth_executor_transactions_executed_in_order_total`, `rapid_reth_executor_worker_panics_total`.

mod ahead;
mod attempt;
mod block_hint;
mod claim;
mod claims;
mod config;
mod hinted_block;
mod hinted_state;
mod hints;
mod in_order;
mod net_parts;
mod pinning;
mod places;
mod production;
mod schedule;
mod transfer;
mod validation;
mod workers;

pub use block_hint::{BlockHint, HintError};
pub use config::{ExecutorConfig, ExecutorMode, MiniBlockShadow, PinningMode, WORKERS_MAX, WorkerCount};
pub use pinning::Pinning;
pub use production::{
    CLASSES, Class, Efficiency, Executed, Job, Production, ProductionConfig, ProductionParts, StopReason,
    Stopped, Way,
};
pub use validation::{AccessListDigest, HintVerdict, Validated, ValidationError, ValidationInput, validate};
pub use workers::{Workers, WorkersError};
