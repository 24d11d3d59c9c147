//! Cases whose contracts run as machine code.
//!
//! What the node itself would run is one [`Compiler`] for the whole process that compiles everything at once. State tests
//! are also executed frame by frame by code of each tier that is compiled for the purpose, because the node's compiler
//! cannot be told to leave its code at random places, and hides what differs.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use alloy_primitives::B256;
use rapid_evm::{Compiler, ShadowInterval};
use rapid_jit::{
    CompiledCode, Rules, Tier,
    runtime::{Compiling, Runtime, RuntimeConfig},
};
use rapid_testing::differential::{CodeCache, CodeKey, Compiled, Mode, Observation, mismatches};
use revm::bytecode::Bytecode;

use crate::arguments::JitMode;

/// Contracts whose code is kept for other cases: most are in many of one file's.
const CODES_MAX: usize = 2048;

/// The compiler of a run of vectors.
#[derive(Debug)]
pub(crate) struct Compilation {
    mode: JitMode,
    runtime: Option<Arc<Runtime>>,
    codes: CodeCache,
    /// Contracts known to be compiled wrongly, or not at all.
    wrong: AtomicUsize,
}

/// Runs frames by the code that a function has for them.
pub(crate) type Runner<'c> = Compiled<Box<dyn FnMut(B256, &Bytecode) -> Option<Arc<CompiledCode>> + 'c>>;

impl Compilation {
    pub(crate) fn new(mode: JitMode) -> io::Result<Self> {
        let runtime = match mode {
            JitMode::Off => None,
            JitMode::Always | JitMode::Exits => Some(Runtime::start(eager()).map_err(io::Error::other)?),
        };
        Ok(Self {
            mode,
            runtime,
            codes: CodeCache::new(CODES_MAX),
            wrong: AtomicUsize::new(0),
        })
    }

    /// The compiler for what the node itself executes. Where exits are not forced nothing is executed twice, so that the
    /// outcome is that of compiled code alone.
    pub(crate) fn compiler(&self) -> Compiler {
        let interval = match self.mode {
            JitMode::Off | JitMode::Always => ShadowInterval::NEVER,
            JitMode::Exits => ShadowInterval::one_in(1),
        };
        self.runtime.as_ref().map_or_else(Compiler::none, |runtime| {
            Compiler::new(Arc::clone(runtime), interval)
        })
    }

    /// Executes one transaction by the interpreter and by code of each tier, and compares all there is.
    pub(crate) fn compare(
        &self,
        rules: &Rules,
        seed: u64,
        observe: &mut dyn FnMut(Runner<'_>) -> Observation,
    ) -> Result<(), String> {
        let modes = match self.mode {
            JitMode::Off => return Ok(()),
            JitMode::Always => [Tier::Fast, Tier::Optimising].map(Mode::Compiled),
            JitMode::Exits => [Tier::Fast, Tier::Optimising].map(|tier| Mode::Forced(tier, seed)),
        };
        let expected = observe(Compiled::new(Box::new(|_, _| None)));
        for mode in modes {
            let found = observe(self.runner(mode, rules));
            if let Some(mismatch) = mismatches(&expected, &found).first() {
                return Err(format!("{mode}: {mismatch:?}"));
            }
        }
        Ok(())
    }

    fn runner<'c>(&'c self, mode: Mode, rules: &'c Rules) -> Runner<'c> {
        let key = move |hash| CodeKey {
            hash,
            rules: rules.fingerprint(),
            tier: mode.tier(),
            forcible: matches!(mode, Mode::Forced(..)),
        };
        let mut runner: Runner<'c> = Compiled::new(Box::new(move |hash, bytecode| {
            self.codes.get(key(hash), bytecode, rules)
        }));
        if let Mode::Forced(_, seed) = mode {
            runner.force_exits(seed);
        }
        runner
    }

    /// An error if the node's compiler found since the last time that its code does something else than the interpreter,
    /// or the compiler failed. Cases that run at the same time share the blame.
    pub(crate) fn nothing_differed(&self) -> Result<(), String> {
        let quarantined = self
            .runtime
            .as_ref()
            .map_or(0, |runtime| runtime.status().quarantined);
        let failures = self.codes.failures();
        let wrong = quarantined + failures.len();
        if self.wrong.swap(wrong, Relaxed) < wrong {
            return Err(format!("{quarantined} contracts under quarantine; {failures:?}"));
        }
        Ok(())
    }

    /// What was compiled, in a line.
    pub(crate) fn summary(&self) -> Option<String> {
        let status = self.runtime.as_ref()?.status();
        let failed = status.failures.iter().filter(|failure| failure.count > 0);
        let failed: Vec<_> = failed
            .map(|failure| format!("{} {}", failure.count, failure.what))
            .collect();
        Some(format!(
            "the node's compiler: {} compiled fast, {} optimising, {} simple, refused {failed:?}; {} frames compiled, {} \
             interpreted. Frame by frame: {} compiled, {} refused",
            status.fast_compiled,
            status.optimising_compiled,
            status.simple,
            status.hits,
            status.misses,
            self.codes.compiled(),
            self.codes.refused(),
        ))
    }
}

/// Compiles a contract when it is first called, and better when it is called next.
fn eager() -> RuntimeConfig {
    RuntimeConfig {
        fast_gas: 0,
        optimising_factor: 1,
        cpu_share_permille: 1000,
        cpu_burst: Duration::from_secs(3600),
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    }
}
