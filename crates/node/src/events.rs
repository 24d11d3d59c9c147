//! What the log says while a node runs, and the head's metrics.

use std::{
    fmt,
    time::{Duration, Instant},
};

use rapid_chain::{Chain, ChainEvent};
use rapid_primitives::SealedBlock;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::MissedTickBehavior,
};

/// Time between two status lines.
const STATUS_INTERVAL: Duration = Duration::from_secs(25);

/// Tells where the chain stands, for ever.
pub(crate) async fn tell_status(chain: Chain) {
    let mut ticks = tokio::time::interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let view = chain.view();
        tracing::info!(
            target: "reth_node_events::node",
            connected_peers = 0,
            latest_block = view.head.number(),
            mini_block = view.mini_block.0,
            "Status"
        );
    }
}

/// Tells of every sealed block, until the chain is gone.
pub(crate) async fn tell_blocks(mut events: Receiver<ChainEvent>) {
    let mut opened: Option<Instant> = None;
    loop {
        match events.recv().await {
            Ok(ChainEvent::MiniBlock(_)) => {
                opened.get_or_insert_with(Instant::now);
            }
            Ok(ChainEvent::Block(block)) => {
                let elapsed = opened.take().map_or(Duration::ZERO, |opened| opened.elapsed());
                tell_block(&block, elapsed);
            }
            Ok(ChainEvent::TakenBack { removed, head }) => {
                tell_reorganisation(removed.len());
                tracing::info!(
                    target: "reth_node_events::node",
                    depth = removed.len(),
                    ancestor = head.number(),
                    hash = ?head.hash,
                    "Canonical chain reorganised"
                );
            }
            // A log line is worth no queue: go on with what is newest.
            Err(RecvError::Lagged(_)) => opened = None,
            Err(RecvError::Closed) => return,
        }
    }
}

/// `elapsed` is the time from its first mini-block to its seal.
fn tell_block(block: &SealedBlock, elapsed: Duration) {
    tell_height(block.number());
    tell_block_added(block, elapsed);
}

/// The head's metric.
pub(crate) fn tell_height(number: u64) {
    metrics::gauge!("reth_blockchain_tree_canonical_chain_height").set(number as f64);
}

/// A reorganisation's metrics.
pub(crate) fn tell_reorganisation(depth: usize) {
    metrics::counter!("reth_blockchain_tree_reorgs").increment(1);
    metrics::gauge!("reth_blockchain_tree_latest_reorg_depth").set(depth as f64);
}

/// Says that a block was executed on the head.
pub(crate) fn tell_block_added(block: &SealedBlock, elapsed: Duration) {
    let header = &block.header;
    let gas_per_second = header.gas_used as f64 / elapsed.as_secs_f64().max(1e-6);
    tracing::info!(
        target: "reth_node_events::node",
        number = header.number,
        hash = ?block.hash,
        peers = 0,
        txs = block.body.transactions.len(),
        gas_used = %Gas(header.gas_used as f64),
        gas_throughput = format_args!("{}/second", Gas(gas_per_second)),
        gas_limit = %Gas(header.gas_limit as f64),
        full = format_args!("{:.1}%", header.gas_used as f64 * 100.0 / header.gas_limit.max(1) as f64),
        base_fee = format_args!("{:.2}Gwei", header.base_fee_per_gas.unwrap_or_default() as f64 / 1e9),
        blobs = header.blob_gas_used.unwrap_or_default() / alloy_eips::eip4844::DATA_GAS_PER_BLOB,
        excess_blobs = header.excess_blob_gas.unwrap_or_default() / alloy_eips::eip4844::DATA_GAS_PER_BLOB,
        ?elapsed,
        "Block added to canonical chain"
    );
}

/// An amount of gas with a unit a person reads.
struct Gas(f64);

impl fmt::Display for Gas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            gas if gas < 1e3 => write!(f, "{gas:.0}gas"),
            gas if gas < 1e6 => write!(f, "{:.2}Kgas", gas / 1e3),
            gas if gas < 1e9 => write!(f, "{:.2}Mgas", gas / 1e6),
            gas => write!(f, "{:.2}Ggas", gas / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_has_a_unit() {
        let text = |gas| Gas(gas).to_string();
        assert_eq!(text(0.0), "0gas");
        assert_eq!(text(21_000.0), "21.00Kgas");
        assert_eq!(text(30e6), "30.00Mgas");
        assert_eq!(text(1.25e9), "1.25Ggas");
    }
}
