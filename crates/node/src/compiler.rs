//! The compiler of a process: started over an opened chain, stopped when nothing executes any more.

use std::sync::Arc;

use rapid_chain::Chain;
use rapid_evm::{Compiler, ShadowInterval};
use rapid_jit::runtime::{CodeSource, Runtime, RuntimeConfig, RuntimeError, Switch};
use rapid_primitives::ReadState;

use crate::DataDir;

/// How contracts are compiled.
#[derive(Clone, Debug, Default)]
pub struct CompilerConfig {
    /// Thresholds and bounds. Where the profile is and where code comes from is added at the start.
    pub runtime: RuntimeConfig,
    /// How often compiled code is checked against the interpreter.
    pub shadow_interval: ShadowInterval,
}

/// A compiler at work. Dropping it stops it and writes down what was hot.
#[derive(Debug)]
pub struct RunningCompiler {
    runtime: Arc<Runtime>,
}

impl RunningCompiler {
    /// Starts the compiler for everything that is executed on a chain from now on. What was hot before the last stop is
    /// compiled again.
    ///
    /// # Errors
    /// [`RuntimeError`] if the configuration is out of range or the system gives no threads.
    pub fn start(config: CompilerConfig, datadir: &DataDir, chain: &Chain) -> Result<Self, RuntimeError> {
        let CompilerConfig {
            runtime,
            shadow_interval,
        } = config;
        // Not the chain: it holds the compiler.
        let state = chain.state().clone();
        let code = move |hash| state.published().code(&hash).ok().flatten();
        let runtime = RuntimeConfig {
            profile: Some(datadir.jit_profile_file()),
            code_source: Some(CodeSource::new(code)),
            ..runtime
        };
        tracing::info!(
            target: "reth::cli",
            enabled = runtime.enabled == Switch::On,
            workers = runtime.workers,
            code_cache_bytes = runtime.code_bytes_max,
            "JIT compiler started"
        );
        let runtime = Runtime::start(runtime)?;
        chain.attach_compiler(Compiler::new(Arc::clone(&runtime), shadow_interval));
        Ok(Self { runtime })
    }

    /// The compiler, to ask and to switch.
    #[must_use]
    pub const fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}

impl Drop for RunningCompiler {
    fn drop(&mut self) {
        self.runtime.stop();
    }
}
