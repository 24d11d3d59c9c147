//! The transaction pool.

use std::time::Duration;

use alloy_primitives::Address;
use clap::Args;
use rapid_pool::{PoolConfig, SubPoolLimit};

use super::time;

/// Limits and prices of the pool.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TxPool")]
pub(crate) struct TxPoolArgs {
    /// Transactions ready to execute.
    #[arg(
        long = "txpool.pending-max-count",
        alias = "txpool.pending_max_count",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub(crate) pending_max_count: usize,

    /// MB of transactions ready to execute.
    #[arg(
        long = "txpool.pending-max-size",
        alias = "txpool.pending_max_size",
        value_name = "MEGABYTES",
        default_value_t = 20
    )]
    pub(crate) pending_max_megabytes: usize,

    /// Transactions waiting for a lower base fee.
    #[arg(
        long = "txpool.basefee-max-count",
        alias = "txpool.basefee_max_count",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub(crate) basefee_max_count: usize,

    /// MB of transactions waiting for a lower base fee.
    #[arg(
        long = "txpool.basefee-max-size",
        alias = "txpool.basefee_max_size",
        value_name = "MEGABYTES",
        default_value_t = 20
    )]
    pub(crate) basefee_max_megabytes: usize,

    /// Transactions waiting for a nonce or for funds.
    #[arg(
        long = "txpool.queued-max-count",
        alias = "txpool.queued_max_count",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub(crate) queued_max_count: usize,

    /// MB of transactions waiting for a nonce or for funds.
    #[arg(
        long = "txpool.queued-max-size",
        alias = "txpool.queued_max_size",
        value_name = "MEGABYTES",
        default_value_t = 20
    )]
    pub(crate) queued_max_megabytes: usize,

    /// Transactions per sender.
    #[arg(
        long = "txpool.max-account-slots",
        alias = "txpool.max_account_slots",
        value_name = "COUNT",
        default_value_t = 16
    )]
    pub(crate) max_account_slots: usize,

    /// Percent by which a replacement must raise the price.
    #[arg(long = "txpool.pricebump", value_name = "PERCENT", default_value_t = 10)]
    pub(crate) price_bump_percent: u128,

    /// Lowest base fee in wei that the protocol allows.
    #[arg(long = "txpool.minimal-protocol-fee", value_name = "WEI", default_value_t = 7)]
    pub(crate) minimal_protocol_fee: u128,

    /// Lowest tip in wei that is admitted.
    #[arg(long = "txpool.minimum-priority-fee", value_name = "WEI")]
    pub(crate) minimum_priority_fee: Option<u128>,

    /// Largest gas limit of one transaction.
    #[arg(long = "txpool.max-tx-gas", value_name = "GAS")]
    pub(crate) max_tx_gas: Option<u64>,

    /// Largest encoded transaction in bytes.
    #[arg(
        long = "txpool.max-tx-input-bytes",
        alias = "txpool.max_tx_input_bytes",
        value_name = "BYTES",
        default_value_t = 131_072
    )]
    pub(crate) max_tx_bytes: usize,

    /// Local transactions have no privileges.
    #[arg(long = "txpool.nolocals")]
    pub(crate) no_locals: bool,

    /// Senders that count as local wherever their transactions come from, comma separated.
    #[arg(long = "txpool.locals", value_name = "ADDRESSES", value_delimiter = ',')]
    pub(crate) locals: Vec<Address>,

    /// Announcements of pending transactions that wait for one subscriber; one that lags further misses the oldest.
    #[arg(
        long = "txpool.max-pending-txns",
        alias = "txpool.max_pending_txns",
        value_name = "COUNT",
        default_value_t = 2048
    )]
    pub(crate) pending_feed_len: usize,

    /// Seconds (or a time with units) after which a transaction that cannot execute is dropped.
    #[arg(long = "txpool.lifetime", value_name = "DURATION", default_value = "10800",
          value_parser = time::seconds_or_human)]
    pub(crate) lifetime: Duration,
}

impl TxPoolArgs {
    /// The pool's configuration, lanes and fee cap aside.
    pub(crate) fn pool_config(&self, chain_id: u64) -> PoolConfig {
        PoolConfig {
            pending: limit(self.pending_max_count, self.pending_max_megabytes),
            base_fee: limit(self.basefee_max_count, self.basefee_max_megabytes),
            queued: limit(self.queued_max_count, self.queued_max_megabytes),
            account_slots_max: self.max_account_slots,
            price_bump_percent: self.price_bump_percent,
            minimal_protocol_fee: self.minimal_protocol_fee,
            minimum_priority_fee: self.minimum_priority_fee,
            transaction_gas_max: self.max_tx_gas,
            transaction_bytes_max: self.max_tx_bytes,
            no_local_exemptions: self.no_locals,
            local_addresses: self.locals.iter().copied().collect(),
            queued_lifetime: self.lifetime,
            pending_feed_len: self.pending_feed_len,
            ..PoolConfig::new(chain_id)
        }
    }
}

const fn limit(count_max: usize, megabytes: usize) -> SubPoolLimit {
    SubPoolLimit {
        count_max,
        bytes_max: megabytes.saturating_mul(1024 * 1024),
    }
}
