//! `stage run`: a stage is done again over stored blocks, and what it gives is compared with what is stored.

use std::ops::RangeInclusive;

use clap::{Args, ValueEnum};
use eyre::{bail, ensure};
use rapid_chain::{Chain, Stopwatch, process_cpu_time};
use rapid_node::{Store, StoreConfig};
use rapid_stages::{Check, Findings, check};

use crate::{args::EnvironmentArgs, commands::DEFAULT_CHAIN};

/// Blocks checked between two lines of progress.
const BATCH_BLOCKS: u64 = 10_000;

/// Does a stage again.
#[derive(Args, Debug)]
pub(crate) struct RunCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,

    /// The stage.
    #[arg(value_name = "STAGE", value_enum)]
    stage: StageArg,

    /// First block.
    #[arg(long, value_name = "FROM")]
    from: u64,

    /// Last block.
    #[arg(long, value_name = "TO")]
    to: u64,

    /// Blocks between two lines of progress.
    #[arg(long, value_name = "BATCH_SIZE", default_value_t = BATCH_BLOCKS)]
    batch_size: u64,

    /// Nothing is taken back before a stage is done again: this changes nothing.
    #[arg(long)]
    skip_unwind: bool,

    /// Write what was found missing and can be made again: look-ups of transactions by hash.
    #[arg(long, short)]
    commit: bool,
}

/// Stages under the names that reth's command has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StageArg {
    /// Headers, with their bodies.
    Headers,
    /// Headers and bodies: hashes, links and roots.
    Bodies,
    /// Senders of transactions.
    Senders,
    /// Execution on past states: receipts, gas, and what was changed.
    Execution,
    /// Transactions by hash.
    TxLookup,
    #[value(hide = true)]
    AccountHashing,
    #[value(hide = true)]
    StorageHashing,
    #[value(hide = true)]
    Hashing,
    #[value(hide = true)]
    Merkle,
    #[value(hide = true)]
    AccountHistory,
    #[value(hide = true)]
    StorageHistory,
}

impl StageArg {
    /// What doing the stage again means here.
    fn check(self) -> eyre::Result<Check> {
        Ok(match self {
            Self::Headers | Self::Bodies => Check::Bodies,
            Self::Senders => Check::Senders,
            Self::Execution => Check::Execution,
            Self::TxLookup => Check::TransactionLookup,
            Self::AccountHistory | Self::StorageHistory => {
                bail!("what blocks changed is written with each block; `stage run execution` compares it")
            }
            Self::Merkle => {
                bail!("the state trie is in memory and compared with every header; a start builds it anew")
            }
            Self::AccountHashing | Self::StorageHashing | Self::Hashing => {
                bail!("there are no tables of hashed state: it is in memory")
            }
        })
    }
}

impl RunCommand {
    /// Runs, and fails if anything is not as it should be.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let check = self.stage.check()?;
        ensure!(
            self.from <= self.to,
            "--from {} is after --to {}",
            self.from,
            self.to
        );
        ensure!(self.batch_size > 0, "--batch-size must be at least 1");
        ensure!(
            !self.commit || check == Check::TransactionLookup,
            "--commit writes look-ups only: `stage run tx-lookup`"
        );
        let spec = self.environment.chain.load(DEFAULT_CHAIN)?;
        let datadir = self.environment.resolve_datadir(&spec)?;
        let store = Store::open(spec, &datadir, StoreConfig::new(self.environment.state.memory(0)))?;
        let checked = self.in_batches(&store.chain, check);
        store.close()?;
        let findings = checked?;
        ensure!(
            findings.is_good() || self.commit,
            "{} differences in blocks {} to {}",
            findings.differences_total,
            self.from,
            self.to
        );
        Ok(())
    }

    fn in_batches(&self, chain: &Chain, what: Check) -> eyre::Result<Findings> {
        let stored = chain.history().head()?.map_or(0, |head| head.number);
        ensure!(
            self.to <= stored,
            "block {} is not stored, the last is {stored}",
            self.to
        );
        let watch = Stopwatch::start();
        let mut all = Findings::default();
        let mut from = self.from;
        loop {
            let to = self.to.min(from.saturating_add(self.batch_size - 1));
            let findings = self.batch(chain, what, from..=to)?;
            all = all.and(findings);
            tracing::info!(target: "reth::cli", stage = ?self.stage, from = self.from, to, differences = all.differences_total, "Stage checked");
            if to == self.to {
                break;
            }
            from = to + 1;
        }
        let wall = watch.stop().wall;
        tracing::info!(
            target: "reth::cli",
            stage = ?self.stage,
            blocks = all.blocks,
            txs = all.transactions,
            throughput = format_args!("{:.2}Mgas/second", all.gas as f64 / 1e6 / wall.as_secs_f64().max(1e-9)),
            differences = all.differences_total,
            elapsed = ?wall,
            cpu = ?process_cpu_time(),
            "Stage run finished"
        );
        Ok(all)
    }

    fn batch(&self, chain: &Chain, what: Check, blocks: RangeInclusive<u64>) -> eyre::Result<Findings> {
        let findings = check(chain, what, blocks.clone())?;
        for difference in &findings.differences {
            tracing::warn!(target: "reth::cli", block = difference.block, "{}", difference.what);
        }
        if self.commit && !findings.is_good() {
            let rows = chain.history().rebuild_transaction_lookup(blocks)?;
            tracing::info!(target: "reth::cli", rows, "Look-ups written again");
        }
        Ok(findings)
    }
}
