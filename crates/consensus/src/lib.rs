//! The rules a block must satisfy, and the construction of headers that satisfy them.
//!
//! - **In:** a [`ChainSpec`](rapid_chainspec::ChainSpec), headers, bodies, and what execution found.
//! - **Out:** `Ok(())` or a typed error that says what was expected and what was found; for a builder, the environment
//!   of the next block and its finished header.
//! - **Owns:** nothing. Every rule is a pure function: no clock, no state, no I/O.
//! - **Must hold:** the two halves mirror each other. A header from [`assemble_header`] over an environment from
//!   [`next_block_environment`] passes every rule; change one field that the rules determine, and one of them refuses.
//!
//! ```text
//!  import   header --verify_header, verify_header_against_parent--> body --verify_body, verify_ommers--> execution
//!                                                                  header <--verify_post_execution-- outcome
//!  build    parent --next_block_environment--> execution --digests, roots--> assemble_header
//! ```
//!
//! Roots grow with the block: [`TransactionsDigester`] and [`ReceiptsDigester`] take transactions and receipts as they
//! are sealed, so that closing a large block does not start with hashing all of it.
//!
//! # Limits
//! - The proof-of-work seal of blocks before the merge and of their ommers is not checked. Their difficulty is.
//! - A timestamp in the future is for the caller to refuse, who has a clock.

mod assemble;
mod blooms;
mod body;
mod difficulty;
mod digest;
mod environment;
mod error;
mod header;
mod ommers;
mod ordered_root;
mod parent;
mod post_execution;
mod transaction;

pub use assemble::{BlockResult, assemble_header};
pub use body::{MAX_BLOCK_RLP_BYTES, verify_body};
pub use difficulty::next_difficulty;
pub use digest::{ReceiptsDigest, ReceiptsDigester, TransactionsDigester};
pub use environment::{EnvironmentError, NextBlockAttributes, next_block_environment, next_gas_limit};
pub use error::{BodyError, HeaderError, HeaderField, Mismatch, PostExecutionError, TransactionError};
pub use header::{MAX_EXTRA_DATA_BYTES, MAX_GAS_LIMIT, MIN_GAS_LIMIT, verify_header};
pub use ommers::{
    Ancestor, MAX_OMMER_DEPTH, MAX_OMMERS, OMMER_ANCESTORS, OmmerError, OmmersError, verify_ommers,
};
pub use ordered_root::OrderedRoot;
pub use parent::verify_header_against_parent;
pub use post_execution::{BLOCK_ACCESS_LIST_ITEM_GAS, ExecutionOutcome, verify_post_execution};
pub use transaction::TransactionRules;
