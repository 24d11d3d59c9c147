//! Executes transactions and whole blocks by the rules of the fork in force, over any state that can be read.
//!
//! - **In:** a [`BlockEnvironment`], a state ([`ReadState`], [`WriteState`]), recovered transactions in order.
//! - **Out:** per transaction a receipt, its gas and the [`AccountChange`]s it made; per block the changes of its
//!   system calls, withdrawals and rewards, its execution requests, and from Amsterdam on its access list, at its end or a
//!   part at a time while it is made.
//! - **Owns:** the EVM's scratch memory, and of each executor the code it has met ([`NearCodes`]). No I/O, no threads, no
//!   clock; the state behind the traits is the caller's, and this crate does not know which one it is. Machine code is the
//!   compiler's ([`Compiler`]).
//! - **Must hold:** results equal those of the block executor of alloy-evm bit for bit, but where that departs from
//!   the EIPs (gas of system calls, request contracts without code, deposit logs). A transaction that is refused
//!   changes nothing. Nothing but [`BlockExecutor::execute`] and the begin and end of a block writes. Which frames of a
//!   [`RapidEvm`] ran as machine code shows in nothing but the time: of those transactions one in
//!   [`ShadowInterval`] is executed again by the interpreter, whose result stands.
//!
//! Metrics: `rapid_reth_jit_shadow_transactions_total` counts those, `rapid_reth_jit_shadow_mismatches_total` the alarms
//! among them; `rapid_reth_evm_near_codes_forgotten_total` the codes that executors had no room for any more.
//!
//! ```text
//!  BlockEnvironment --evm_environment--> EvmEnv --+
//!  ReadState --StateDb (knows whether the parent's hash is there yet)--> revm --EvmState--> AccountChange --> WriteState
//! ```
//!
//! [`BlockEnvironment`]: rapid_primitives::BlockEnvironment
//! [`ReadState`]: rapid_primitives::ReadState
//! [`WriteState`]: rapid_primitives::WriteState
//! [`AccountChange`]: rapid_primitives::AccountChange

mod access_budget;
mod access_list;
mod accesses;
mod block;
mod changes;
mod compiled_frames;
mod compiler;
mod database;
mod deposit;
mod environment;
mod error;
mod factory;
mod fee;
mod gas;
mod in_the_making;
mod keccak;
mod near_codes;
mod post_block;
mod receipt_parts;
mod requests;
mod shadow;
mod system_call;
mod taken_in;
mod transaction;
mod vm;

pub use access_list::{AccessedKey, BlockAccesses};
pub use accesses::TransactionAccesses;
pub use block::{BlockEnd, BlockExecutor, Executed};
pub use changes::account_changes;
pub use compiler::{Compiler, ShadowInterval};
pub use database::{BlockHashes, NoBlockHashes, ReadError, StateDb};
pub use deposit::DepositLogError;
pub use environment::{environment_of_header, evm_environment};
pub use error::{CallFailure, ExecutionError, InvalidBlock};
pub use factory::RapidEvmFactory;
pub use gas::{BlockRules, Promised};
pub use near_codes::NearCodes;
pub use receipt_parts::ReceiptParts;
pub use requests::deposits_of;
pub use transaction::{Ran, TransactionExecutor};
pub use vm::RapidEvm;
