//! Compiled code of a case or of a whole run of vectors.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rapid_jit::{
    CompileError, CompileOptions, CompiledCode, ForcedExitPoints, Rules, SimpleCode, Tier, compile,
};
use revm::{bytecode::Bytecode, primitives::B256};

use crate::differential::panics::panic_message;

/// What a compilation depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodeKey {
    /// The bytecode's hash.
    pub hash: B256,
    /// [`Rules::fingerprint`].
    pub rules: u64,
    /// The tier.
    pub tier: Tier,
    /// Whether exits can be forced in it.
    pub forcible: bool,
}

/// Compiles what it is asked for and keeps it. Holds a bounded number of contracts; when it is full it forgets them all,
/// since those who ask go from one case to the next. Can be shared by threads.
#[derive(Debug)]
pub struct CodeCache {
    entries: Mutex<Entries>,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Entries {
    code: HashMap<CodeKey, Option<Arc<CompiledCode>>>,
    compiled: u64,
    refused: u64,
    failures: Vec<String>,
}

/// Failures kept; one is enough to fail a test.
const FAILURES_MAX: usize = 8;

impl CodeCache {
    /// A cache of so many contracts.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            entries: Mutex::default(),
            entries_max,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code for a key, compiled now if it was not before. None if the compiler refuses, as it may; if it fails, that
    /// is remembered as well ([`Self::failures`]).
    pub fn get(&self, key: CodeKey, bytecode: &Bytecode, rules: &Rules) -> Option<Arc<CompiledCode>> {
        debug_assert_eq!(key.rules, rules.fingerprint());
        if let Some(code) = self.entries().code.get(&key) {
            return code.clone();
        }
        let compiled = try_compile(key, bytecode, rules);
        let mut entries = self.entries();
        let code = match compiled {
            Ok(code) => {
                entries.compiled += 1;
                Some(Arc::new(code))
            }
            Err(CompileTrouble::Refused) => {
                entries.refused += 1;
                None
            }
            Err(CompileTrouble::Failed(why)) => {
                if entries.failures.len() < FAILURES_MAX {
                    entries
                        .failures
                        .push(format!("{:?}: {why}: {}", key.tier, bytecode.original_bytes()));
                }
                None
            }
        };
        if entries.code.len() >= self.entries_max {
            entries.code.clear();
        }
        entries.code.insert(key, code.clone());
        code
    }

    /// Contracts compiled.
    #[must_use]
    pub fn compiled(&self) -> u64 {
        self.entries().compiled
    }

    /// Contracts that the compiler refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.entries().refused
    }

    /// Contracts at which the compiler failed or panicked.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.entries().failures.clone()
    }
}

enum CompileTrouble {
    Refused,
    Failed(String),
}

fn try_compile(key: CodeKey, bytecode: &Bytecode, rules: &Rules) -> Result<CompiledCode, CompileTrouble> {
    let options = CompileOptions {
        forced_exits: if key.forcible {
            ForcedExitPoints::Present
        } else {
            ForcedExitPoints::Absent
        },
        simple_code: SimpleCode::Compiled,
        ..CompileOptions::for_tier(key.tier)
    };
    match catch_unwind(AssertUnwindSafe(|| compile(bytecode, rules, &options))) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(CompileError::Codegen(why))) => Err(CompileTrouble::Failed(why)),
        Ok(Err(CompileError::Memory(why))) => Err(CompileTrouble::Failed(why.to_string())),
        Ok(Err(_)) => Err(CompileTrouble::Refused),
        Err(panic) => Err(CompileTrouble::Failed(panic_message(&*panic))),
    }
}
