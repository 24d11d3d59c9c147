//! The flags that do something here, by subject. Flags of reth that do not are added from the ledger.

mod builder;
mod datadir;
mod dev;
mod executor;
mod gas_price;
mod jit;
mod lane;
mod log;
mod metrics;
mod ports;
mod rpc;
mod sequencer;
mod state;
mod time;
mod txpool;

pub(crate) use builder::BuilderArgs;
pub(crate) use datadir::{ChainArgs, EnvironmentArgs};
pub(crate) use dev::DevArgs;
pub(crate) use executor::ExecutorArgs;
pub(crate) use gas_price::GasPriceArgs;
pub(crate) use jit::JitArgs;
pub(crate) use lane::LaneArgs;
pub(crate) use log::{LogArgs, LogFormat};
pub(crate) use metrics::MetricsArgs;
pub(crate) use ports::{PortArgs, Ports};
pub(crate) use rpc::RpcArgs;
pub(crate) use sequencer::SequencerArgs;
pub(crate) use state::{StateArgs, StateMarkArgs};
pub(crate) use txpool::TxPoolArgs;
