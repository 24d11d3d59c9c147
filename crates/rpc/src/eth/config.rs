//! Bounds and choices of the `eth` methods.

use std::time::Duration;

use alloy_primitives::U256;

/// What `latest` means for state queries and calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatestState {
    /// The newest published mini-block: after a receipt every read reflects it.
    #[default]
    Newest,
    /// The newest sealed EVM block, as in stock nodes.
    Sealed,
}

/// How prices are suggested (`--gpo.*`).
#[derive(Clone, Copy, Debug)]
pub struct GasOracleConfig {
    /// Blocks that are sampled.
    pub blocks: u64,
    /// Percentile of the sampled tips that is suggested, 0 to 100.
    pub percentile: u64,
    /// Tips below this many wei are ignored.
    pub ignore_price: u128,
    /// Highest suggestion in wei.
    pub max_price: u128,
    /// Suggested tip in wei without samples.
    pub default_tip: u128,
}

impl Default for GasOracleConfig {
    fn default() -> Self {
        Self {
            blocks: 20,
            percentile: 60,
            ignore_price: 0,
            max_price: 500_000_000_000,
            default_tip: 1_000_000_000,
        }
    }
}

/// Bounds of the methods. The defaults are reth's where reth has one.
#[derive(Clone, Debug)]
pub struct EthConfig {
    /// What `latest` means.
    pub latest: LatestState,
    /// `web3_clientVersion`. Tools match on the prefix `reth/`.
    pub client_version: String,
    /// Gas of a call or an estimate (`--rpc.gascap`); 0 is no cap.
    pub gas_cap: u64,
    /// Memory of a call in bytes (`--rpc.evm-memory-limit`).
    pub memory_limit: u64,
    /// Blocks that one log query may cover (`--rpc.max-blocks-per-filter`); 0 is no bound.
    pub log_blocks_max: u64,
    /// Logs of one answer (`--rpc.max-logs-per-response`); 0 is no bound.
    pub logs_max: usize,
    /// Blocks below the head whose proofs are served (`--rpc.eth-proof-window`); 0 is the head alone.
    pub proof_window: u64,
    /// Longest wait of a synchronous send, and the wait if none is named.
    pub sync_timeout: Duration,
    /// Synchronous sends that wait at a time; a further one is refused as busy.
    pub sync_sends_max: usize,
    /// Expensive calls that run at a time.
    pub heavy_calls_max: usize,
    /// Expensive calls that wait for their turn (`--rpc.max-blocking-io-requests`).
    pub heavy_calls_waiting_max: usize,
    /// Time after which an expensive call is answered with an error.
    pub call_timeout: Duration,
    /// Polling filters at a time; the one that was not polled longest gives way.
    pub filters_max: usize,
    /// Time without polling after which a filter is gone.
    pub filter_lifetime: Duration,
    /// Subscriptions at a time over all connections.
    pub subscriptions_max: usize,
    /// Notifications that wait for one subscriber before its connection is closed.
    pub subscription_queue_max: usize,
    /// Bytes that wait for one subscriber before its connection is closed.
    pub subscription_queue_bytes_max: usize,
    /// Depth at which a sealed block is called finalized where no consensus client says so; half of it, rounded up, is
    /// called safe.
    pub finality_depth: u64,
    /// Price suggestions.
    pub gas_oracle: GasOracleConfig,
}

impl Default for EthConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            latest: LatestState::default(),
            client_version: concat!("reth/v", env!("CARGO_PKG_VERSION"), "-rapid").to_owned(),
            gas_cap: 50_000_000,
            memory_limit: u64::from(u32::MAX),
            log_blocks_max: 100_000,
            logs_max: 20_000,
            proof_window: 0,
            sync_timeout: Duration::from_secs(30),
            sync_sends_max: 16_384,
            heavy_calls_max: cores.saturating_sub(2).max(2),
            heavy_calls_waiting_max: 256,
            call_timeout: Duration::from_secs(5),
            filters_max: 10_000,
            filter_lifetime: Duration::from_secs(5 * 60),
            subscriptions_max: 10_000,
            subscription_queue_max: 4_096,
            subscription_queue_bytes_max: 4 << 20,
            finality_depth: 64,
            gas_oracle: GasOracleConfig::default(),
        }
    }
}

impl EthConfig {
    /// Gas that a call may use at most when it asks for `requested`.
    pub(crate) fn capped_gas(&self, requested: u64) -> u64 {
        if self.gas_cap == 0 {
            requested
        } else {
            requested.min(self.gas_cap)
        }
    }
}

/// A price, in wei, as the methods answer it.
pub(crate) fn price(wei: u128) -> U256 {
    U256::from(wei)
}
