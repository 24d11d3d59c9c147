//! What makes one chain different from another: genesis, fork schedule, blob parameters, deposit contract.
//!
//! - **In:** the value of `--chain`: a built-in name, the path of a genesis file in geth's format, or that JSON itself.
//! - **Out:** an immutable [`ChainSpec`], shared as an `Arc`. Every other crate asks it which rules hold at a block
//!   and what the genesis state is.
//! - **Owns:** nothing but values, and the genesis files of the public networks inside the program.
//!   [`ChainSpec::parse`] reads one file; nothing else here does I/O.
//! - **Must hold:** forks are active in their historical order without gaps (anything else is refused when the chain
//!   is built, not when a block arrives); the genesis hash is a function of the genesis JSON alone and equals what
//!   reth and geth compute.
//!
//! ```text
//!  --chain name | file | {json} --parse--> Genesis --ForkSchedule, header, state root--> ChainSpec
//! ```

mod builtin;
mod error;
mod fees;
mod fork_table;
mod forks;
mod genesis;
mod networks;
mod parse;
mod spec;

pub use builtin::{DEV_BALANCE_WEI, DEV_CHAIN_ID, DEV_MNEMONIC, REALTIME_CHAIN_ID, dev_accounts};
pub use error::{ChainSpecError, GenesisError};
pub use forks::ForkSchedule;
pub use parse::BUILT_IN_CHAINS;
pub use spec::{ChainSpec, RequestPredeploys};

pub use alloy_consensus::Header;
pub use alloy_eips::eip7840::BlobParams;
pub use alloy_genesis::Genesis;
pub use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition, ForkHash, ForkId};
