//! What an operator and the node decide about the runtime.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use alloy_primitives::B256;
use revm::bytecode::Bytecode;

use crate::Limits;

/// Threads that may compile.
pub const WORKERS_MAX: usize = 16;

/// Gas that stands for one call in a threshold that counts calls (reth's `--jit.hot-threshold`, 8 by default).
pub const GAS_PER_HOT_CALL: u64 = 125_000;

/// Decides how much is compiled, when, and how much of the machine that takes. The fields are bounds or thresholds; what
/// happens at each is said there.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Whether compiled code is made and run from the start; see [`crate::runtime::Runtime::set_enabled`].
    pub enabled: Switch,
    /// Gas that a contract must burn in the interpreter before it is compiled by the fast tier. Gas and not calls: it
    /// measures what there is to gain, and whoever wants to keep the compiler busy pays for it
    /// (`--jit.hot-threshold` times [`GAS_PER_HOT_CALL`]).
    pub fast_gas: u64,
    /// Times [`Self::fast_gas`], or times one if that is zero, that code of the fast tier must then burn before the optimising tier compiles it.
    pub optimising_factor: u64,
    /// Threads that compile, 1 to [`WORKERS_MAX`] (`--jit.worker-count`). They share one CPU budget.
    pub workers: usize,
    /// Thousandths of a core that compiling takes in the long run.
    pub cpu_share_permille: u32,
    /// CPU time that compiling may take at once after it has been idle: start-up, a first hot contract.
    pub cpu_burst: Duration,
    /// Contracts that wait to be compiled (`--jit.max-pending-jobs`). When full the coldest is dropped and has to heat up
    /// anew.
    pub queue_len_max: usize,
    /// Bounds of one compilation (`--jit.max-bytecode-len` is the first of them). Over any of them a contract is
    /// interpreted.
    pub limits: Limits,
    /// Bytes of memory that machine code and its tables take (`--jit.code-cache-bytes`). When full the least recently
    /// used is evicted. Code that a [`Session`](crate::runtime::Session) still holds is unmapped when it lets go.
    pub code_bytes_max: usize,
    /// Code that nobody ran for so long is evicted (`--jit.idle-evict-duration`).
    pub idle_evict: Duration,
    /// Contracts whose heat is known. When full the colder half of those without code is forgotten.
    pub slots_max: usize,
    /// Contracts that could not be compiled and are not tried again. When full the oldest is forgotten; it has to heat up
    /// anew before it can cost another try.
    pub refused_len_max: usize,
    /// Where compiling happens.
    pub compiling: Compiling,
    /// File that remembers what was hot over a restart. None: nothing is remembered.
    pub profile: Option<PathBuf>,
    /// Finds the code of the contracts of the profile at start. None: they are compiled when first seen.
    pub code_source: Option<CodeSource>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            enabled: Switch::On,
            fast_gas: 8 * GAS_PER_HOT_CALL,
            optimising_factor: 20,
            workers: 1,
            cpu_share_permille: 50,
            cpu_burst: Duration::from_secs(2),
            queue_len_max: 2048,
            limits: Limits::default(),
            code_bytes_max: 256 * 1024 * 1024,
            idle_evict: Duration::from_secs(60 * 60),
            slots_max: 64 * 1024,
            refused_len_max: 16 * 1024,
            compiling: Compiling::Background,
            profile: None,
            code_source: None,
        }
    }
}

impl RuntimeConfig {
    /// # Errors
    /// If a field is out of its range.
    pub(super) fn check(&self) -> Result<(), RuntimeError> {
        let counts = [
            ("worker count", self.workers, 1, WORKERS_MAX),
            ("queue length", self.queue_len_max, 1, 1 << 16),
            ("known contracts", self.slots_max, 1, 1 << 24),
            ("refused contracts", self.refused_len_max, 1, 1 << 24),
            (
                "thousandths of a core",
                self.cpu_share_permille as usize,
                1,
                1000 * WORKERS_MAX,
            ),
        ];
        for (what, got, min, max) in counts {
            if !(min..=max).contains(&got) {
                return Err(RuntimeError::OutOfRange { what, got, min, max });
            }
        }
        Ok(())
    }

    /// Gas that a contract must burn before `tier` compiles it.
    pub(super) const fn target(&self, tier: crate::Tier) -> u64 {
        match tier {
            crate::Tier::Fast => self.fast_gas,
            crate::Tier::Optimising => {
                let fast_gas = if self.fast_gas == 0 { 1 } else { self.fast_gas };
                fast_gas.saturating_mul(self.optimising_factor)
            }
        }
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Hot contracts are compiled, and compiled code is run.
    On,
    /// The interpreter runs everything.
    Off,
}

impl From<bool> for Switch {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// Where compiling happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiling {
    /// On the runtime's own threads, within their CPU budget. The interpreter runs the contract meanwhile.
    Background,
    /// On the thread that looks a hot contract up, which waits for it (`--jit.blocking`): for debugging and tests.
    Blocking,
}

/// Finds the code with a hash. Called by a worker thread, once for each contract of the profile.
#[derive(Clone)]
pub struct CodeSource(Arc<dyn Fn(B256) -> Option<Bytecode> + Send + Sync>);

impl CodeSource {
    /// Code from a function.
    pub fn new(find: impl Fn(B256) -> Option<Bytecode> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    pub(super) fn find(&self, hash: B256) -> Option<Bytecode> {
        (self.0)(hash)
    }
}

impl fmt::Debug for CodeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeSource").finish_non_exhaustive()
    }
}

/// Why the runtime does not start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The operator asked for something outside the range.
    #[error("{what} of {got}: must be {min} to {max}")]
    OutOfRange {
        /// Which field.
        what: &'static str,
        /// What it says.
        got: usize,
        /// The least it may say.
        min: usize,
        /// The most it may say.
        max: usize,
    },
    /// The system gives no thread.
    #[error("cannot start a compiler thread")]
    Thread(#[source] std::io::Error),
}
