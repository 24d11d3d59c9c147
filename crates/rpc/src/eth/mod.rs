//! The `eth` methods, one file per family.

pub(crate) mod blocks;
pub(crate) mod call;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod fees;
pub(crate) mod filters;
pub(crate) mod logs;
pub(crate) mod send;
pub(crate) mod signer;
pub(crate) mod simulate;
pub(crate) mod state;
pub(crate) mod transactions;
