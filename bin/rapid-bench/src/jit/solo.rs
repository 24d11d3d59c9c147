//! One side of one workload, nothing else: for a profiler or an instruction counter.

use super::{
    compilation::Compilation,
    machine::{BenchEvm, Engine},
    prepared::Prepared,
    workload::Workload,
};
use crate::clock::timed;
use clap::ValueEnum;
use eyre::bail;
use rapid_jit::Tier;
use revm::context::TxEnv;
use std::hint::black_box;

/// Which side runs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SoloSide {
    /// revm's interpreter
    Interpreter,
    /// The first tier
    Fast,
    /// The second tier
    Optimising,
}

impl SoloSide {
    const fn tier(self) -> Option<Tier> {
        match self {
            Self::Interpreter => None,
            Self::Fast => Some(Tier::Fast),
            Self::Optimising => Some(Tier::Optimising),
        }
    }
}

/// Runs one side so many times, and prints the time of a run.
///
/// # Errors
/// If nothing of it can be compiled.
pub(crate) fn run(workload: &Workload, side: SoloSide, runs: u32) -> eyre::Result<()> {
    let prepared = Prepared::of(workload)?;
    let engine = match side.tier() {
        None => Engine::Interpreter,
        Some(tier) => {
            let compilation = Compilation::of(&prepared.tally()?, tier);
            if let Some(reason) = compilation.nothing() {
                bail!(
                    "{}: {}",
                    workload.name,
                    reason.unwrap_or("left to the interpreter")
                );
            }
            Engine::Compiled(compilation.codes)
        }
    };
    let mut evm = BenchEvm::new(&prepared.state, engine);
    evm.run(&prepared.transactions)?;
    let (done, elapsed) = timed(|| counted_runs(&mut evm, &prepared.transactions, runs));
    done?;
    println!(
        "{}: {:.0} ns CPU, {:.0} ns wall per run",
        workload.name,
        elapsed.cpu.as_secs_f64() * 1e9 / f64::from(runs),
        elapsed.wall.as_secs_f64() * 1e9 / f64::from(runs)
    );
    Ok(())
}

/// The part to count: `valgrind --tool=callgrind --toggle-collect='*counted_runs*'`.
#[inline(never)]
fn counted_runs(evm: &mut BenchEvm<'_>, transactions: &[TxEnv], runs: u32) -> eyre::Result<()> {
    for _ in 0..runs {
        black_box(evm.run(transactions)?);
    }
    Ok(())
}
