//! One compilation, and what follows from it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    queue::Job,
    refused::{FailureKind, Fault, Refusal},
    residents::Installation,
    shared::Shared,
    slot::Next,
};
use crate::{CompileError, CompileOptions, CompiledCode, Rules};

impl Shared {
    /// Compiles a pending contract on this thread. Returns the CPU time that took.
    pub(super) fn run(&self, job: &Job) -> Duration {
        let started = thread_cpu_time();
        let made = self.make(job);
        let took = thread_cpu_time().saturating_sub(started);
        self.totals.took(job.tier, took);
        self.metrics.took(job.tier, took);
        match made {
            Ok(code) => self.install(job, code),
            Err(Fault::Contract(refusal)) => self.refuse(job, refusal),
            Err(Fault::Machine(error)) => self.give_up(job, &error),
        }
        self.turn_epoch();
        took
    }

    fn make(&self, job: &Job) -> Result<CompiledCode, Fault> {
        let key = job.slot.key();
        if self.quarantine.contains(key.hash) {
            return Err(Fault::Contract(Refusal::Quarantined));
        }
        // Code is shared by its hash from here on, so one careless caller could poison it for all. Hashing takes a
        // fiftieth of what compiling does.
        if job.bytecode.hash_slow() != key.hash {
            return Err(Fault::Contract(Refusal::Failed(FailureKind::WrongHash)));
        }
        let limits = self.config.limits;
        let options = CompileOptions {
            limits,
            ..CompileOptions::for_tier(job.tier)
        };
        let rules: &Arc<Rules> = self
            .rules
            .rules(key.rules)
            .expect("keys have rules that the list gave a number to");
        // Whatever state a panic leaves behind belongs to that one compilation.
        catch_unwind(AssertUnwindSafe(|| {
            (self.compile)(&job.bytecode, rules, &options)
        }))
        .map_err(|_| Fault::Contract(Refusal::Failed(FailureKind::Panic)))?
        .map_err(Fault::from)
    }

    fn install(&self, job: &Job, code: CompiledCode) {
        let mut residents = self.residents.lock();
        // Under the lock: a quarantine that comes later finds the code among the residents.
        if self.quarantine.contains(job.slot.key().hash) {
            drop(residents);
            self.refuse(job, Refusal::Quarantined);
            return;
        }
        match residents.install(&job.slot, code, self.epoch()) {
            Installation::Done { evicted } => {
                self.totals.compiled(job.tier).add(1);
                self.totals.evicted_full.add(evicted as u64);
            }
            Installation::TooLarge => {
                drop(residents);
                self.refuse(job, Refusal::Failed(FailureKind::TooLarge));
            }
        }
    }

    /// The contract is not compiled again. Code of a lower tier stays.
    fn refuse(&self, job: &Job, refusal: Refusal) {
        let key = job.slot.key();
        match refusal {
            Refusal::Quarantined => {}
            Refusal::Simple => {
                self.totals.simple.add(1);
                self.refused.insert(key, job.tier);
            }
            Refusal::Failed(kind) => {
                self.totals.failed(kind);
                self.refused.insert(key, job.tier);
                tracing::debug!(code_hash = %key.hash, kind = kind.name(), "contract is not compiled");
            }
        }
        job.slot.state().next = Next::Nothing;
    }

    /// Nothing can be compiled here: the interpreter goes on alone.
    fn give_up(&self, job: &Job, error: &CompileError) {
        self.totals.machine_failures.add(1);
        job.slot.state().try_again(job.tier);
        if self.compiler_is_unavailable() {
            tracing::warn!(%error, "contracts are interpreted: nothing can be compiled on this machine");
        }
    }
}

/// Time that this thread has run.
fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
