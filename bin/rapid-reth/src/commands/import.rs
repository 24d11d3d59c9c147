//! `import`: executes blocks from files.

use std::path::PathBuf;

use clap::Args;
use rapid_chain::{Chain, Importer, process_cpu_time};
use rapid_log::{Durability, LogConfig};
use rapid_node::{ForeignStore, MemoryMonitor, RethToml, RunningCompiler, Store, StoreConfig};
use rapid_stages::{BlockFiles, Pipeline, PipelineConfig, Report};

use super::DEFAULT_CHAIN;
use crate::args::{EnvironmentArgs, JitArgs};

/// Everything imported can be imported again, so a power failure may cost this much work.
const DURABILITY: Durability = Durability::Async(std::time::Duration::from_secs(10));

/// Executes blocks from files of concatenated RLP.
#[derive(Args, Debug)]
pub(crate) struct ImportCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,

    #[command(flatten)]
    jit: JitArgs,

    /// End with an error at the first invalid block instead of keeping the valid ones before it and ending well.
    #[arg(long)]
    fail_on_invalid_block: bool,

    /// Files to execute, in order; each may be compressed with gzip.
    #[arg(value_name = "IMPORT_PATH", required = true)]
    paths: Vec<PathBuf>,
}

impl ImportCommand {
    /// Imports. What is valid before an invalid block stays.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let spec = self.environment.chain.load(DEFAULT_CHAIN)?;
        let datadir = self.environment.resolve_datadir(&spec)?;
        let source = BlockFiles::open(self.paths)?;
        let compiler = self.jit.config();
        let store = StoreConfig {
            log: LogConfig {
                durability: DURABILITY,
                ..LogConfig::default()
            },
            foreign: ForeignStore::Accept,
            ..StoreConfig::new(self.environment.state.memory(compiler.runtime.code_bytes_max))
        };
        let Store {
            chain,
            driver,
            tip,
            memory,
            lock,
        } = Store::open(spec, &datadir, store)?;
        // Above the hard mark the importer takes no block, so the import ends with an error and keeps what it has.
        let memory = MemoryMonitor::start(&memory, &chain)?;
        let config = RethToml::load_or_create(&self.environment.config_file(&datadir))?;
        let compiler = RunningCompiler::start(compiler, &datadir, &chain)?;
        let mut importer = Importer::new(rapid_chain::Opened {
            chain: chain.clone(),
            driver,
            tip,
        })?;
        let mut pipeline = Pipeline::new(PipelineConfig {
            thresholds: config.stages.thresholds(),
            ..PipelineConfig::default()
        });
        let imported = pipeline.run(&mut importer, source, None);
        importer.finish()?;
        drop(compiler);
        drop(memory);
        drop(lock);
        tell(&chain, &pipeline.report());
        match imported {
            Err(error) if error.is_invalid_block() && !self.fail_on_invalid_block => {
                tracing::warn!(target: "reth::import", %error, "Import stopped at an invalid block");
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

/// What was done, and where the time went.
fn tell(chain: &Chain, report: &Report) {
    let head = chain.view().head.clone();
    let counts = &report.counts;
    for step in &report.steps {
        tracing::info!(
            target: "reth::import",
            stage = step.name,
            wall = format_args!("{:.3}s", step.effort.wall.as_secs_f64()),
            cpu = format_args!("{:.3}s", step.effort.cpu.as_secs_f64()),
            "Import stage"
        );
    }
    tracing::info!(
        target: "reth::import",
        blocks = counts.blocks,
        skipped = counts.skipped,
        txs = counts.transactions,
        throughput = format_args!("{:.2}Mgas/second", report.mgas_per_second()),
        elapsed = ?report.elapsed,
        cpu = ?process_cpu_time(),
        head = head.number(),
        hash = %head.hash,
        "Import finished"
    );
}
