//! What can be said of a tier on a workload.

use super::{
    compilation::{Compilation, ContractReport},
    stats::{Ratio, RunTimes},
};
use rapid_jit::{ExitReason, RunCounts};
use serde::Serialize;
use std::collections::BTreeMap;

/// Executions for which the gain is given, compilation included.
pub(crate) const EXECUTIONS: [u32; 4] = [1, 10, 100, 1000];

/// What one tier came to.
#[derive(Debug, Serialize)]
pub(crate) struct TierReport {
    /// `fast` or `optimising`.
    pub(crate) tier: &'static str,
    /// What came of each contract.
    pub(crate) contracts: Vec<ContractReport>,
    /// What was measured of it.
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

/// What can be said of a tier.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It runs compiled code.
    Measured(TierTimes),
    /// The compiler leaves all contracts to the interpreter.
    Interpreted,
    /// No contract is compiled, for a reason.
    NotCompiled {
        /// Of one of the contracts.
        reason: String,
    },
    /// Compiled code does something else than the interpreter.
    Mismatch {
        /// Where they differ.
        difference: String,
    },
}

/// Compiled code beside the interpreter.
#[derive(Debug, Serialize)]
pub(crate) struct TierTimes {
    /// Its time.
    pub(crate) times: RunTimes,
    /// The interpreter's time to it.
    pub(crate) ratio: Ratio,
    /// Compile time of all contracts.
    pub(crate) compile_us: f64,
    /// The same for a byte of those that were compiled.
    pub(crate) compile_us_per_byte: f64,
    /// Machine code.
    pub(crate) code_bytes: usize,
    /// For a byte of bytecode.
    pub(crate) code_factor: f64,
    /// Tables.
    pub(crate) table_bytes: usize,
    /// Executions after which compiling has paid; none if it never does.
    pub(crate) break_even_executions: Option<f64>,
    /// How many times faster so many executions are, compilation included.
    pub(crate) gain_with_compilation: BTreeMap<u32, f64>,
    /// Times compiled code was entered in a run.
    pub(crate) entered: u64,
    /// Times it left in a run, by reason.
    pub(crate) exits: BTreeMap<&'static str, u64>,
}

impl TierTimes {
    /// Puts the times together with what compiling cost.
    pub(crate) fn of(
        times: RunTimes,
        counts: RunCounts,
        compilation: &Compilation,
        interpreter: &RunTimes,
    ) -> Self {
        let cost = compilation.cost();
        let (compiled_ns, interpreted_ns) = (times.cpu_ns_min, interpreter.cpu_ns_min);
        let compile_ns = cost.compile_us * 1e3;
        let saved = interpreted_ns - compiled_ns;
        let gain = |executions: u32| {
            let executions = f64::from(executions);
            executions * interpreted_ns / (compile_ns + executions * compiled_ns)
        };
        Self {
            ratio: Ratio::of(interpreter, &times),
            compile_us: cost.compile_us,
            compile_us_per_byte: cost.compile_us / cost.bytecode_bytes as f64,
            code_bytes: cost.code_bytes,
            code_factor: cost.code_bytes as f64 / cost.bytecode_bytes as f64,
            table_bytes: cost.table_bytes,
            break_even_executions: (saved > 0.0).then(|| compile_ns / saved),
            gain_with_compilation: EXECUTIONS.iter().map(|&count| (count, gain(count))).collect(),
            entered: counts.entered,
            exits: ExitReason::ALL
                .iter()
                .map(|&reason| (reason.name(), counts.exits[reason as usize]))
                .filter(|&(_, count)| count > 0)
                .collect(),
            times,
        }
    }
}
