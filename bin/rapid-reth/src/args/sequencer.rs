//! Role, mini-blocks and durability: the flags reth does not have.

use std::time::Duration;

use alloy_primitives::Address;
use clap::{Args, ValueEnum};
use eyre::ensure;
use rapid_chainspec::{ChainSpec, REALTIME_CHAIN_ID};
use rapid_executor::ExecutorConfig;
use rapid_log::{Durability, LogConfig};
use rapid_node::Role;
use rapid_rpc::LatestState;
use rapid_sequencer::{
    AUTO_INTERVAL_MAX, BlockPolicy, EmptyBlocks, MAX_MINI_BLOCK_INTERVAL, MIN_MINI_BLOCK_INTERVAL, Pacing,
    SequencerConfig, TimestampPolicy,
};

use super::{BuilderArgs, DevArgs, time};
use crate::version;

/// `--miniblock.interval` in words.
const AUTO: &str = "auto";

/// Bounds of `--block.interval`: a header's timestamp has seconds, and an interval below a mini-block's makes no sense.
const BLOCK_INTERVAL_MIN: Duration = Duration::from_millis(1);
const BLOCK_INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// `--block.interval` where it is not given.
const BLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// `--durability` in development: a receipt does not wait for the disk, and survives a crash of the process.
const DEV_DURABILITY: Durability = Durability::Async(Duration::from_millis(10));

/// How blocks are made.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sequencer")]
pub(crate) struct SequencerArgs {
    /// What this node does: `engine` follows a consensus client and makes no blocks by itself, `sequencer` makes blocks
    /// by its own clock.
    ///
    /// Default: engine, or sequencer with --dev.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<RoleArg>,

    /// When a mini-block is announced: `sync` after it reached the disk, `group:TIME` likewise but with one write for
    /// all mini-blocks of that time, `async:TIME` after it was handed to the system, which a crash of the process does
    /// not lose but a power failure may, up to that time.
    ///
    /// Default: sync, or async:10ms with --dev.
    #[arg(long, value_name = "sync|group:TIME|async:TIME")]
    pub(crate) durability: Option<Durability>,

    /// Longest time from the first transaction of a mini-block to its seal, from 1ms to 1s; or `auto`: from 1ms to 10ms, as
    /// short as sealing and committing allow.
    #[arg(long = "miniblock.interval", value_name = "TIME|auto", default_value = "10ms", value_parser = mini_block_interval)]
    pub(crate) mini_block_interval: MiniBlockInterval,

    /// Time between EVM blocks, from 1ms to 1h.
    ///
    /// Default: 1s; --dev alone closes a block whenever it is idle instead.
    #[arg(long = "block.interval", value_name = "TIME", value_parser = block_interval, conflicts_with = "dev_block_time")]
    pub(crate) block_interval: Option<Duration>,

    /// Whether an EVM block without transactions is made when its interval is over.
    ///
    /// Default: true, except with --dev alone.
    #[arg(long = "sequencer.empty-blocks", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) empty_blocks: Option<bool>,

    /// What the next EVM block does when the clock has not reached the second after its parent's timestamp: `wait` for
    /// it, or `run-ahead` of the clock.
    ///
    /// Default: wait, or run-ahead with --dev.
    #[arg(long = "sequencer.timestamp-policy", value_name = "POLICY")]
    pub(crate) timestamp_policy: Option<TimestampPolicyArg>,

    /// Receiver of the priority fees.
    #[arg(
        long = "sequencer.fee-recipient",
        value_name = "ADDRESS",
        default_value = "0x0000000000000000000000000000000000000000"
    )]
    pub(crate) fee_recipient: Address,

    /// What `latest` means for state queries and simulations: `newest` mini-block, or last `sealed` EVM block.
    #[arg(
        long = "rpc.latest",
        value_name = "MEANING",
        default_value = "newest",
        help_heading = "RPC"
    )]
    pub(crate) rpc_latest: RpcLatest,
}

impl SequencerArgs {
    /// The role and, for a sequencer, how it makes blocks.
    ///
    /// # Errors
    /// When flags contradict each other.
    pub(crate) fn role(
        &self,
        dev: &DevArgs,
        builder: &BuilderArgs,
        executor: ExecutorConfig,
        chain: &ChainSpec,
    ) -> eyre::Result<Role> {
        let role = self.role.unwrap_or(if dev.dev {
            RoleArg::Sequencer
        } else {
            RoleArg::Engine
        });
        if role == RoleArg::Engine {
            ensure!(
                !dev.dev,
                "--dev makes blocks, which --role engine does not: leave one of them out"
            );
            let makes_blocks = self.block_interval.is_some()
                || self.empty_blocks.is_some()
                || self.timestamp_policy.is_some()
                || dev.dev_block_time.is_some()
                || dev.dev_block_max_transactions.is_some();
            ensure!(
                !makes_blocks,
                "an engine node makes no blocks by itself: the flags for that need --role sequencer"
            );
            return Ok(Role::Engine);
        }
        let run_ahead = self
            .timestamp_policy
            .map_or(dev.dev, |policy| policy == TimestampPolicyArg::RunAhead);
        Ok(Role::Sequencer(SequencerConfig {
            mini_block_interval: self.mini_block_interval.0,
            pacing: self.mini_block_interval.1,
            block_policy: self.block_policy(dev, chain)?,
            timestamps: if run_ahead {
                TimestampPolicy::RunAhead
            } else {
                TimestampPolicy::WaitForSecond
            },
            beneficiary: self.fee_recipient,
            extra_data: builder
                .extra_data
                .clone()
                .unwrap_or_else(|| version::extra_data().into_bytes().into()),
            gas_limit_target: builder.gas_limit,
            executor,
            ..SequencerConfig::default()
        }))
    }

    fn block_policy(&self, dev: &DevArgs, chain: &ChainSpec) -> eyre::Result<BlockPolicy> {
        let interval = dev.dev_block_time.or(self.block_interval);
        let instant = interval.is_none() && dev.dev && chain.chain_id() != REALTIME_CHAIN_ID;
        if let Some(count) = dev.dev_block_max_transactions {
            ensure!(
                interval.is_none(),
                "--dev.block-max-transactions and --block.interval exclude each other"
            );
            return Ok(BlockPolicy::AfterTransactions(count));
        }
        if instant {
            let asked = self.empty_blocks == Some(true);
            ensure!(
                !asked,
                "empty blocks need an interval: add --dev.block-time or --block.interval"
            );
            return Ok(BlockPolicy::WhenIdle);
        }
        let empty = if self.empty_blocks.unwrap_or(true) {
            EmptyBlocks::Make
        } else {
            EmptyBlocks::Skip
        };
        Ok(BlockPolicy::Interval {
            interval: interval.unwrap_or(BLOCK_INTERVAL),
            empty,
        })
    }

    /// The log's configuration.
    pub(crate) fn log_config(&self, dev: bool) -> LogConfig {
        let default = if dev { DEV_DURABILITY } else { Durability::Sync };
        LogConfig {
            durability: self.durability.unwrap_or(default),
            ..LogConfig::default()
        }
    }
}

impl From<RpcLatest> for LatestState {
    fn from(latest: RpcLatest) -> Self {
        match latest {
            RpcLatest::Newest => Self::Newest,
            RpcLatest::Sealed => Self::Sealed,
        }
    }
}

/// `--role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Follows a consensus client.
    Engine,
    /// Makes blocks.
    Sequencer,
}

/// `--sequencer.timestamp-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimestampPolicyArg {
    /// Wait for the next second.
    Wait,
    /// Let timestamps run ahead of the clock.
    RunAhead,
}

/// `--rpc.latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RpcLatest {
    /// The newest published mini-block.
    Newest,
    /// The last sealed EVM block.
    Sealed,
}

/// `--miniblock.interval`: the time, at first where it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MiniBlockInterval(Duration, Pacing);

fn mini_block_interval(text: &str) -> Result<MiniBlockInterval, String> {
    if text == AUTO {
        return Ok(MiniBlockInterval(AUTO_INTERVAL_MAX, Pacing::Auto));
    }
    let fixed = within(
        time::human(text)?,
        MIN_MINI_BLOCK_INTERVAL,
        MAX_MINI_BLOCK_INTERVAL,
    )?;
    Ok(MiniBlockInterval(fixed, Pacing::Fixed))
}

fn block_interval(text: &str) -> Result<Duration, String> {
    within(time::human(text)?, BLOCK_INTERVAL_MIN, BLOCK_INTERVAL_MAX)
}

fn within(value: Duration, min: Duration, max: Duration) -> Result<Duration, String> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "from {} to {}",
        humantime::format_duration(min),
        humantime::format_duration(max)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_bounded_on_both_sides() {
        let fixed = |interval| Ok(MiniBlockInterval(interval, Pacing::Fixed));
        assert_eq!(mini_block_interval("1ms"), fixed(Duration::from_millis(1)));
        assert_eq!(mini_block_interval("1s"), fixed(Duration::from_secs(1)));
        let auto = MiniBlockInterval(Duration::from_millis(10), Pacing::Auto);
        assert_eq!(mini_block_interval("auto"), Ok(auto));
        for wrong in ["900us", "1001ms", "Auto", "10", "soon"] {
            assert!(mini_block_interval(wrong).is_err(), "{wrong}");
        }
        assert!(block_interval("0s").is_err() && block_interval("2h").is_err());
    }
}
