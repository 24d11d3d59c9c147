//! The runtime as an operator sees it.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{refused::FailureKind, shared::Shared};
use crate::{ExitReason, Tier};

/// A picture of the runtime. The numbers are read one after the other and need not fit each other exactly; those that
/// sessions count lag by up to a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeStatus {
    /// Whether compiled code is made and run.
    pub enabled: bool,
    /// Whether the compiler works.
    pub compiler: CompilerState,
    /// Contracts with code of the fast tier.
    pub fast_contracts: usize,
    /// Contracts with code of the optimising tier.
    pub optimising_contracts: usize,
    /// Bytes of machine code and tables that can be looked up.
    pub resident_bytes: usize,
    /// The bound of [`Self::resident_bytes`].
    pub resident_bytes_max: usize,
    /// Bytes evicted or replaced that an EVM still holds.
    pub retired_bytes: u64,
    /// Contracts whose heat is known.
    pub known_contracts: usize,
    /// The bound of [`Self::known_contracts`].
    pub known_contracts_max: usize,
    /// Contracts that wait to be compiled.
    pub queue_len: usize,
    /// The bound of [`Self::queue_len`].
    pub queue_len_max: usize,
    /// Contracts dropped from the full queue.
    pub queue_dropped: u64,
    /// Frames that found compiled code.
    pub hits: u64,
    /// Frames that did not.
    pub misses: u64,
    /// Times compiled code was entered.
    pub entered: u64,
    /// Times it left, by reason.
    pub exits: Vec<Count>,
    /// Compilations of the fast tier.
    pub fast_compiled: u64,
    /// Compilations of the optimising tier.
    pub optimising_compiled: u64,
    /// CPU time of all compilations, in seconds.
    #[serde(serialize_with = "seconds")]
    pub compile_time: Duration,
    /// Contracts evicted because memory was full.
    pub evicted_full: u64,
    /// Contracts evicted because nobody ran them.
    pub evicted_idle: u64,
    /// Contracts that machine code would gain nothing for.
    pub simple: u64,
    /// Failed compilations, by kind.
    pub failures: Vec<Count>,
    /// Contracts that are not compiled again because it failed or would gain nothing.
    pub refused: usize,
    /// Contracts under quarantine.
    pub quarantined: usize,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What.
    pub what: &'static str,
    /// How often.
    pub count: u64,
}

/// Whether the compiler works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum CompilerState {
    /// It does.
    Ready,
    /// The system refused executable memory, or there is no code generator for this machine. Nothing more is compiled
    /// until the runtime is switched on again.
    Unavailable,
    /// The runtime was stopped. Code that is there goes on running.
    Stopped,
}

impl CompilerState {
    pub(super) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Ready,
            1 => Self::Unavailable,
            _ => Self::Stopped,
        }
    }
}

impl Shared {
    pub(super) fn status(&self) -> RuntimeStatus {
        let totals = &self.totals;
        let residents = self.residents.lock();
        RuntimeStatus {
            enabled: self.is_enabled(),
            compiler: self.compiler(),
            fast_contracts: residents.count(Tier::Fast),
            optimising_contracts: residents.count(Tier::Optimising),
            resident_bytes: residents.bytes(),
            resident_bytes_max: self.config.code_bytes_max,
            retired_bytes: residents.retired_bytes(),
            known_contracts: self.slots.len(),
            known_contracts_max: self.slots.len_max(),
            queue_len: self.queue.len(),
            queue_len_max: self.queue.len_max(),
            queue_dropped: totals.dropped.get(),
            hits: totals.hits.get(),
            misses: totals.misses.get(),
            entered: totals.entered.get(),
            exits: self.exits(),
            fast_compiled: totals.compiled(Tier::Fast).get(),
            optimising_compiled: totals.compiled(Tier::Optimising).get(),
            compile_time: totals.compile_time(Tier::Fast) + totals.compile_time(Tier::Optimising),
            evicted_full: totals.evicted_full.get(),
            evicted_idle: totals.evicted_idle.get(),
            simple: totals.simple.get(),
            failures: self.failures(),
            refused: self.refused.len(),
            quarantined: self.quarantine.len(),
        }
    }

    fn exits(&self) -> Vec<Count> {
        let counts = ExitReason::ALL.iter().zip(&self.totals.exits);
        counts
            .map(|(reason, total)| Count {
                what: reason.name(),
                count: total.get(),
            })
            .collect()
    }

    /// Those of contracts, then those of the machine.
    fn failures(&self) -> Vec<Count> {
        let of_contracts = FailureKind::ALL.map(|kind| Count {
            what: kind.name(),
            count: self.totals.failures(kind),
        });
        let of_machine = Count {
            what: "machine",
            count: self.totals.machine_failures.get(),
        };
        of_contracts.into_iter().chain([of_machine]).collect()
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
