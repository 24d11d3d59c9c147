//! Measures one workload: the interpreter and each tier, alternating, on the same state.

use super::{
    compilation::Compilation,
    machine::{BenchEvm, Engine, Outcome, Tally},
    prepared::Prepared,
    stats::RunTimes,
    verdict::{TierReport, TierTimes, Verdict},
    workload::Workload,
};
use crate::clock::{Elapsed, timed};
use eyre::WrapErr;
use rapid_jit::{RunCounts, Tier};
use revm::{bytecode::opcode::OpCode, context::TxEnv};
use serde::Serialize;
use std::{hint::black_box, time::Duration};

/// Opcodes that are listed of each workload.
const OPCODES_LISTED: usize = 12;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Alternating rounds.
    pub(crate) rounds: usize,
    /// How long one side runs in a round, at least.
    pub(crate) sample_time: Duration,
    /// Which tiers.
    pub(crate) tiers: Vec<Tier>,
}

/// What one workload came to.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadReport {
    /// Its name.
    pub(crate) name: String,
    /// Transactions of a run.
    pub(crate) transactions: usize,
    /// How many of them fail. They are run all the same.
    pub(crate) failed_transactions: usize,
    /// Gas of a run.
    pub(crate) gas: u64,
    /// Instructions of a run.
    pub(crate) instructions: u64,
    /// Times that a frame ran or went on in a run.
    pub(crate) frame_runs: u64,
    /// The most frequent opcodes.
    pub(crate) opcodes: Vec<OpcodeCount>,
    /// Bytecode of the contracts that run.
    pub(crate) bytecode_bytes: usize,
    /// The interpreter's time.
    pub(crate) interpreter: RunTimes,
    /// The interpreter's time for a unit of gas.
    pub(crate) interpreter_ns_per_gas: f64,
    /// The compiler's.
    pub(crate) tiers: Vec<TierReport>,
}

/// How often an opcode runs.
#[derive(Debug, Serialize)]
pub(crate) struct OpcodeCount {
    /// Its name.
    pub(crate) opcode: String,
    /// How often in one run.
    pub(crate) count: u64,
    /// In a hundred instructions.
    pub(crate) percent: f64,
}

/// Measures a workload.
///
/// # Errors
/// If its transactions cannot be run.
pub(crate) fn measure(workload: &Workload, plan: &Plan) -> eyre::Result<WorkloadReport> {
    let prepared = Prepared::of(workload).wrap_err("setup")?;
    let reference = prepared.outcome()?;
    let tally = prepared.tally()?;
    let compilations: Vec<_> = plan
        .tiers
        .iter()
        .map(|&tier| (tier, Compilation::of(&tally, tier)))
        .collect();

    let mut interpreter = Side::new(&prepared, Engine::Interpreter, plan)?;
    let mut candidates = Vec::with_capacity(compilations.len());
    for (_, compilation) in &compilations {
        candidates.push(Candidate::new(&prepared, &reference, compilation, plan)?);
    }
    for _ in 0..plan.rounds {
        interpreter.sample()?;
        for candidate in &mut candidates {
            if let Candidate::Runs(side, _) = candidate {
                side.sample()?;
            }
        }
    }

    let interpreter = interpreter.times();
    let tiers = compilations
        .into_iter()
        .zip(candidates)
        .map(|((tier, compilation), candidate)| TierReport {
            tier: tier_name(tier),
            verdict: candidate.verdict(&compilation, &interpreter),
            contracts: compilation.contracts,
        })
        .collect();
    let gas = reference.result.iter().map(|result| result.tx_gas_used()).sum();
    Ok(WorkloadReport {
        name: workload.name.clone(),
        transactions: reference.result.len(),
        failed_transactions: reference
            .result
            .iter()
            .filter(|result| !result.is_success())
            .count(),
        gas,
        instructions: tally.opcodes.iter().sum(),
        frame_runs: tally.frame_runs,
        opcodes: most_frequent(&tally),
        bytecode_bytes: tally.contracts.values().map(|code| code.len()).sum(),
        interpreter_ns_per_gas: interpreter.cpu_ns_min / gas as f64,
        interpreter,
        tiers,
    })
}

/// A tier's name on the command line and in reports.
pub(crate) const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Fast => "fast",
        Tier::Optimising => "optimising",
    }
}

/// One way of running a workload.
pub(crate) struct Side<'a> {
    evm: BenchEvm<'a>,
    transactions: &'a [TxEnv],
    runs: u32,
    samples: Vec<Elapsed>,
}

impl<'a> Side<'a> {
    /// Warms up, and finds how many runs take a sample's time.
    fn new(prepared: &'a Prepared, engine: Engine, plan: &Plan) -> eyre::Result<Self> {
        let mut side = Self {
            evm: BenchEvm::new(&prepared.state, engine),
            transactions: &prepared.transactions,
            runs: 1,
            samples: Vec::with_capacity(plan.rounds),
        };
        side.run()?;
        while side.time_runs()?.cpu < plan.sample_time / 2 {
            side.runs *= 2;
        }
        side.evm.take_counts();
        Ok(side)
    }

    fn sample(&mut self) -> eyre::Result<()> {
        let elapsed = self.time_runs()?;
        self.samples.push(elapsed);
        Ok(())
    }

    fn time_runs(&mut self) -> eyre::Result<Elapsed> {
        let (done, elapsed) = timed(|| (0..self.runs).try_for_each(|_| self.run()));
        done.map(|()| elapsed)
    }

    fn run(&mut self) -> eyre::Result<()> {
        black_box(self.evm.run(self.transactions)?);
        Ok(())
    }

    fn times(&self) -> RunTimes {
        RunTimes::of(&self.samples, self.runs)
    }
}

/// Compiled code before it is timed.
enum Candidate<'a> {
    /// It does what the interpreter does.
    Runs(Box<Side<'a>>, RunCounts),
    /// There is nothing to time.
    Settled(Verdict),
}

impl<'a> Candidate<'a> {
    fn new(
        prepared: &'a Prepared,
        reference: &Outcome,
        compilation: &Compilation,
        plan: &Plan,
    ) -> eyre::Result<Self> {
        match compilation.nothing() {
            Some(None) => return Ok(Self::Settled(Verdict::Interpreted)),
            Some(Some(reason)) => {
                let reason = reason.to_owned();
                return Ok(Self::Settled(Verdict::NotCompiled { reason }));
            }
            None => {}
        }
        let engine = || Engine::Compiled(compilation.codes.clone());
        let mut evm = BenchEvm::new(&prepared.state, engine());
        let outcome = evm.run(&prepared.transactions)?;
        if let Some(difference) = difference(reference, &outcome) {
            return Ok(Self::Settled(Verdict::Mismatch { difference }));
        }
        let counts = evm.take_counts();
        let side = Side::new(prepared, engine(), plan)?;
        Ok(Self::Runs(Box::new(side), counts))
    }

    fn verdict(self, compilation: &Compilation, interpreter: &RunTimes) -> Verdict {
        match self {
            Self::Settled(verdict) => verdict,
            Self::Runs(side, counts) => {
                Verdict::Measured(TierTimes::of(side.times(), counts, compilation, interpreter))
            }
        }
    }
}

/// Where two runs differ.
fn difference(expected: &Outcome, got: &Outcome) -> Option<String> {
    let results = expected.result.iter().zip(&got.result).enumerate();
    for (index, (expected, got)) in results {
        if expected != got {
            return Some(format!("transaction {index}: {got:?} instead of {expected:?}"));
        }
    }
    for (address, expected) in &expected.state {
        let got = got.state.get(address);
        if got != Some(expected) {
            return Some(format!("account {address}: {got:?} instead of {expected:?}"));
        }
    }
    (expected.state.len() != got.state.len()).then(|| "more accounts than the interpreter touches".to_owned())
}

fn most_frequent(tally: &Tally) -> Vec<OpcodeCount> {
    let total: u64 = tally.opcodes.iter().sum();
    let mut counts: Vec<_> = (0..=u8::MAX)
        .zip(tally.opcodes)
        .filter(|&(_, count)| count > 0)
        .collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts.truncate(OPCODES_LISTED);
    counts
        .into_iter()
        .map(|(opcode, count)| OpcodeCount {
            opcode: OpCode::new(opcode)
                .map_or_else(|| format!("0x{opcode:02x}"), |known| known.as_str().to_owned()),
            count,
            percent: 100.0 * count as f64 / total as f64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::assembler::assemble;
    use alloy_primitives::Bytes;

    fn outcome(source: &str) -> Outcome {
        let workload = Workload::of_code("test", assemble(source).unwrap(), Bytes::new());
        Prepared::of(&workload).unwrap().outcome().unwrap()
    }

    #[test]
    fn a_difference_in_result_or_state_is_found() {
        let expected = outcome("1 0 SSTORE STOP");
        assert_eq!(difference(&expected, &outcome("1 0 SSTORE STOP")), None);
        let gas = difference(&expected, &outcome("1 0 SSTORE 1 POP STOP")).unwrap();
        assert!(gas.starts_with("transaction 0"), "{gas}");
        let state = difference(&expected, &outcome("2 0 SSTORE STOP")).unwrap();
        assert!(state.starts_with("account"), "{state}");
    }

    #[test]
    fn a_tally_has_every_instruction() {
        let workload = Workload::of_code("test", assemble("1 2 ADD POP STOP").unwrap(), Bytes::new());
        let tally = Prepared::of(&workload).unwrap().tally().unwrap();
        let counts = most_frequent(&tally);
        assert_eq!(counts[0].opcode, "PUSH1");
        assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 5);
        assert_eq!(tally.contracts.len(), 1);
    }

    #[test]
    fn measures_the_interpreter() {
        let workload = Workload::of_code("test", assemble("STOP").unwrap(), Bytes::new());
        let plan = Plan {
            rounds: 2,
            sample_time: Duration::from_micros(50),
            tiers: vec![Tier::Fast],
        };
        let report = measure(&workload, &plan).unwrap();
        assert_eq!((report.gas, report.instructions), (21_000, 1));
        assert_eq!(report.interpreter.cpu_ns.len(), 2);
        assert!(!matches!(report.tiers[0].verdict, Verdict::Mismatch { .. }));
    }
}
