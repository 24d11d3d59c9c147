//! Compiles what a workload runs, and takes the time.

use super::machine::{SPEC, Tally};
use crate::clock::timed;
use alloy_primitives::{B256, map::B256Map};
use rapid_jit::{CompileError, CompileOptions, CompiledCode, Rules, Tier, compile};
use serde::Serialize;
use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

/// A compilation is repeated so often at most; the quickest counts.
const REPETITIONS_MAX: usize = 5;
/// And until so much time is spent.
const REPETITIONS_TIME_MAX: Duration = Duration::from_millis(40);

/// All contracts of a workload at one tier.
#[derive(Debug)]
pub(crate) struct Compilation {
    /// Machine code by code hash, of the contracts that have some.
    pub(crate) codes: B256Map<Arc<CompiledCode>>,
    /// What came of each contract.
    pub(crate) contracts: Vec<ContractReport>,
}

/// What compiling one contract came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ContractReport {
    /// Its code hash.
    pub(crate) code_hash: B256,
    /// Its bytecode's length.
    pub(crate) bytecode_bytes: usize,
    /// Thread CPU time of a compilation, also of one that was refused.
    pub(crate) compile_us: f64,
    /// The product.
    #[serde(flatten)]
    pub(crate) product: Product,
}

/// Machine code, or why there is none.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "product", rename_all = "snake_case")]
pub(crate) enum Product {
    /// Machine code.
    Compiled {
        /// Its bytes.
        code_bytes: usize,
        /// Bytes of its tables.
        table_bytes: usize,
        /// EVM instructions in it.
        instructions: usize,
    },
    /// The compiler leaves it to the interpreter.
    Interpreted,
    /// The compiler cannot.
    NotCompiled {
        /// Why.
        reason: String,
    },
}

impl Compilation {
    /// Compiles the contracts that ran.
    pub(crate) fn of(tally: &Tally, tier: Tier) -> Self {
        let rules = Rules::ethereum(SPEC);
        let options = CompileOptions::for_tier(tier);
        let mut compilation = Self {
            codes: B256Map::default(),
            contracts: Vec::new(),
        };
        for (&code_hash, bytecode) in &tally.contracts {
            let (compiled, compile_us) = quickest(|| caught(|| compile(bytecode, &rules, &options)));
            compilation.contracts.push(ContractReport {
                code_hash,
                bytecode_bytes: bytecode.len(),
                compile_us,
                product: Product::of(&compiled),
            });
            if let Ok(code) = compiled {
                compilation.codes.insert(code_hash, Arc::new(code));
            }
        }
        compilation.contracts.sort_by_key(|contract| contract.code_hash);
        compilation
    }

    /// Why nothing is compiled, if nothing is: `None` in it if the interpreter is the compiler's choice.
    pub(crate) fn nothing(&self) -> Option<Option<&str>> {
        self.codes.is_empty().then(|| {
            self.contracts
                .iter()
                .find_map(|contract| match &contract.product {
                    Product::NotCompiled { reason } => Some(reason.as_str()),
                    Product::Compiled { .. } | Product::Interpreted => None,
                })
        })
    }

    /// What the contracts that were compiled cost together.
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for contract in &self.contracts {
            let Product::Compiled {
                code_bytes,
                table_bytes,
                ..
            } = contract.product
            else {
                continue;
            };
            cost.bytecode_bytes += contract.bytecode_bytes;
            cost.compile_us += contract.compile_us;
            cost.code_bytes += code_bytes;
            cost.table_bytes += table_bytes;
        }
        cost
    }
}

/// What the compiled contracts of a workload cost together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Their bytecode.
    pub(crate) bytecode_bytes: usize,
    /// Compile time.
    pub(crate) compile_us: f64,
    /// Machine code.
    pub(crate) code_bytes: usize,
    /// Tables.
    pub(crate) table_bytes: usize,
}

impl Product {
    fn of(compiled: &Result<CompiledCode, CompileError>) -> Self {
        match compiled {
            Ok(code) => Self::Compiled {
                code_bytes: code.code_bytes(),
                table_bytes: code.table_bytes(),
                instructions: code.instructions(),
            },
            Err(CompileError::NotWorthwhile) => Self::Interpreted,
            Err(error) => Self::NotCompiled {
                reason: error.to_string(),
            },
        }
    }
}

/// As the node does: a compiler that panics has not compiled.
fn caught(work: impl FnOnce() -> Result<CompiledCode, CompileError>) -> Result<CompiledCode, CompileError> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(CompileError::Codegen("panicked".to_owned())))
}

fn quickest<T>(mut work: impl FnMut() -> T) -> (T, f64) {
    let (mut value, first) = timed(&mut work);
    let (mut best, mut total) = (first.cpu, first.cpu);
    for _ in 1..REPETITIONS_MAX {
        if total > REPETITIONS_TIME_MAX {
            break;
        }
        let (again, elapsed) = timed(&mut work);
        value = again;
        best = best.min(elapsed.cpu);
        total += elapsed.cpu;
    }
    (value, best.as_secs_f64() * 1e6)
}
