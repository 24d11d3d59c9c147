//! Which contracts are compiled, when, and who may run the code.
//!
//! **In** come code hashes with the gas that contracts burn, from every EVM of the process ([`Session`]); a profile of
//! what was hot before the restart. **Out** goes machine code ([`Found::Compiled`]), the profile, metrics (listed in the
//! `metrics` module) and a [`RuntimeStatus`]. It **owns** the threads `jit-worker-N`, the executable memory and the
//! profile file.
//!
//! ```text
//!  Session (one per EVM)                      Runtime                          jit-worker-N
//!  near cache --epoch turned / miss--> slots: heat, code, next step
//!      ^                                  | due: burnt its target
//!      | code                             v
//!      +------------- residents <--- queue, by urgency ----------> compile(), within a CPU budget
//!                     LRU, idle           full: coldest dropped     failed: refused list
//! ```
//!
//! What must always hold:
//! - Code that a session may be running stays mapped: sessions hold it, eviction only takes it out of reach.
//! - After [`Runtime::quarantine`] returns, no frame that begins runs that code compiled, and it never is compiled again.
//! - Memory, queue, known contracts, failures and CPU time are bounded; [`RuntimeConfig`] says how and what happens then.
//! - The interpreter is always there: whatever goes wrong here costs speed alone.
//! - No clock is read outside the workers, and nothing about a result depends on which frames ran compiled.

mod budget;
mod compilation;
mod config;
mod metrics;
mod near_cache;
mod profile;
mod queue;
mod refused;
mod remembered;
mod residents;
mod rules_list;
mod session;
mod shared;
mod slot;
mod slots;
mod status;
#[cfg(test)]
mod tests;
mod totals;
mod worker;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use alloy_primitives::B256;
use parking_lot::Mutex;

pub use config::{CodeSource, Compiling, GAS_PER_HOT_CALL, RuntimeConfig, RuntimeError, Switch, WORKERS_MAX};
pub use session::{Compiled, Found, Heat, Session};
pub use slot::HeatSource;
pub use status::{CompilerState, Count, RuntimeStatus};

use remembered::Remembered;
use shared::{CompileFn, Shared};
use worker::{Duty, work};

/// Stack of a worker: compilers recurse over what they compile.
const WORKER_STACK_BYTES: usize = 8 * 1024 * 1024;

/// The compiler's runtime: one per process, shared by its EVMs. Dropping it stops it.
#[derive(Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Runtime {
    /// Loads the profile and starts the workers. The metrics recorder must be installed before.
    ///
    /// # Errors
    /// If a field of the configuration is out of range, or there is no thread to be had. A damaged profile is no error.
    pub fn start(config: RuntimeConfig) -> Result<Arc<Self>, RuntimeError> {
        Self::start_with(config, Box::new(crate::compile))
    }

    fn start_with(config: RuntimeConfig, compile: Box<CompileFn>) -> Result<Arc<Self>, RuntimeError> {
        config.check()?;
        let remembered = config
            .profile
            .as_deref()
            .map(Remembered::load)
            .unwrap_or_default();
        let runtime = Self {
            shared: Arc::new(Shared::new(config, compile, remembered, Instant::now())),
            workers: Mutex::default(),
        };
        for number in 0..runtime.shared.config.workers {
            let worker = runtime.spawn_worker(number)?;
            runtime.workers.lock().push(worker);
        }
        Ok(Arc::new(runtime))
    }

    fn spawn_worker(&self, number: usize) -> Result<JoinHandle<()>, RuntimeError> {
        let shared = Arc::clone(&self.shared);
        let duty = match number {
            0 => Duty::Housekeeping,
            _ => Duty::CompilingOnly,
        };
        thread::Builder::new()
            .name(format!("jit-worker-{number}"))
            .stack_size(WORKER_STACK_BYTES)
            .spawn(move || work(&shared, duty))
            .map_err(RuntimeError::Thread)
    }

    /// Whether contracts are compiled and compiled code is run.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.shared.is_enabled()
    }

    /// Switches while everything runs; frames in execution end as they began. Code is kept while off. Switching on tries
    /// a compiler again that was [`CompilerState::Unavailable`], and does nothing if the quarantine has overflowed.
    pub fn set_enabled(&self, to: impl Into<Switch>) {
        self.shared.switch(to.into());
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> RuntimeStatus {
        self.shared.status()
    }

    /// Keeps this code out of the compiler until the process ends, under all rules: its compiled form was found to differ
    /// from the interpreter. Frames that begin after this are interpreted.
    pub fn quarantine(&self, hash: B256) {
        self.shared.quarantine(hash);
    }

    /// Stops compiling, waits for the workers and writes the profile. Code that is there can still be run. A second call
    /// does nothing.
    pub fn stop(&self) {
        self.shared.stop_compiling();
        let mut workers = self.workers.lock();
        if workers.is_empty() {
            return;
        }
        for worker in workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a compiler thread panicked");
            }
        }
        self.shared.save_profile();
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}
