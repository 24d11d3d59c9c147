//! `rapid-bench parallel`: parallel executors beside sequential ones and beside what else there is.

use crate::{
    parallel::{
        self,
        block::Fork,
        plan::{ParallelPlan, WorkloadKind},
        report::{Promises, Report, Times},
        sides::SideKind,
    },
    pipeline::JitSwitch,
    table::{OutputArgs, markdown, plain, write},
};
use clap::{Args, ValueEnum};

/// Arguments of `parallel`.
#[derive(Args, Debug)]
pub(crate) struct ParallelArgs {
    /// Workloads to measure [default: all]
    ///
    /// Blocks: transfers, erc20, erc20-256, erc20-16 and erc20-1 (to so many holders), amm-hot (one pool), amm (a pool
    /// each), mixed, mixed-short, hashing (nothing but computing), chain1 and chains100 (so many senders), counter, circle
    /// (payments among 1,000 senders). batches: blocks of 100 to 1,000 transactions. latency: the sequencer under twice the
    /// load it can execute, at cuts of 1, 5 and 10 ms.
    #[arg(long, value_name = "WORKLOAD", value_delimiter = ',')]
    workloads: Vec<WorkloadKind>,
    /// Executors to measure [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    sides: Vec<SideKind>,
    /// Numbers of threads that execute
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    workers: Vec<usize>,
    /// Alternating rounds
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Transactions of a block of short ones; swaps are a quarter of it, a mixed block half
    #[arg(long, default_value_t = 8_000)]
    count: usize,
    /// Decides accounts and draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whether our own executors compile contracts; revm's interpret
    #[arg(long, value_enum, default_value = "off")]
    jit: JitSwitch,
    /// By which rules blocks are executed
    #[arg(long, value_enum, default_value = "osaka")]
    fork: Fork,
    #[command(flatten)]
    output: OutputArgs,
}

impl ParallelArgs {
    fn plan(&self) -> ParallelPlan {
        ParallelPlan {
            workloads: if self.workloads.is_empty() {
                WorkloadKind::all()
            } else {
                self.workloads.clone()
            },
            sides: if self.sides.is_empty() {
                SideKind::value_variants().to_vec()
            } else {
                self.sides.clone()
            },
            workers: self.workers.clone(),
            rounds: self.rounds,
            count: self.count,
            seed: self.seed,
            jit: self.jit,
            fork: self.fork,
        }
    }
}

/// Measures the workloads and shows the tables.
///
/// # Errors
/// If an executor comes to something else than the sequential one.
pub(crate) fn run(args: &ParallelArgs) -> eyre::Result<()> {
    let plan = args.plan();
    plan.check()?;
    let report = parallel::run(&plan)?;
    show(&args.output, &report)
}

fn show(output: &OutputArgs, report: &Report) -> eyre::Result<()> {
    let (times, promises) = (Times(report), Promises(report));
    if !output.takes_standard_output() {
        println!("{}\n{}", plain(&times), plain(&promises));
        if let Some(latencies) = &report.latencies {
            println!("{}", plain(latencies));
        }
    }
    if let Some(path) = &output.json {
        write(path, &format!("{}\n", serde_json::to_string_pretty(report)?))?;
    }
    if let Some(path) = &output.markdown {
        let mut tables = vec![markdown(&times), markdown(&promises)];
        tables.extend(report.latencies.as_ref().map(markdown));
        write(path, &tables.join("\n"))?;
    }
    Ok(())
}
