//! Many transactions at once, with the result of one after the other.
//!
//! - **In:** a block with its senders, the state after its parent as a draft, and a hint: what the block is said to write
//!   ([`BlockHint`], EIP-7928).
//! - **Out:** what sequential execution of the block gives: receipts, gas, state diff, requests, access list, the state after
//!   it ([`Validated`]), or the error it stops with.
//! - **Owns:** the threads of [`Workers`], named `executor-1` and so on. No I/O, no clock.
//! - **Must hold:** the result is that of sequential execution, whatever the hint says and however many workers there are.
//!   A hint costs time if it lies, never correctness. Nobody executes a transaction while another does, but where a
//!   hint was refuted.
//!
//! ```text
//!  hint --numbers for keys--> hinted state (claims below an index, else the parent's state)
//!                                 |  worker 0 from the front, the others longest first
//!                                 v
//!          every transaction: result, and whether its writes are the claims at its index
//!               | all are: by induction every claim is true        | one is not
//!               v                                                  v
//!        one net change to the draft, receipts in order      in order: keep what depends on nothing untrue, execute the rest
//! ```
//!
//! Why it is sound: the first transaction reads the true state, so what it is checked to have written is true; if all
//! before a transaction wrote what is claimed, what it reads by the claims is true as well.
//!
//! Metrics: `rapid_reth_executor_validated_blocks_total` by what became of the hint,
//! `rapid_reth_executor_transactions_executed_in_order_total`, `rapid_reth_executor_worker_panics_total`.

mod attempt;
mod claims;
mod hinted_state;
mod hints;
mod in_order;
mod schedule;
mod validation;
mod workers;

pub use hints::{BlockHint, HintError};
pub use validation::{AccessListDigest, HintVerdict, Validated, ValidationError, ValidationInput, validate};
pub use workers::{Pinning, Workers, WorkersError};
