//! Metrics. They are set from the runtime's own counts, once a second, by the first worker.
//!
//! | name | type | what |
//! |---|---|---|
//! | `rapid_reth_jit_hits_total` | counter | frames that found compiled code |
//! | `rapid_reth_jit_misses_total` | counter | frames that did not |
//! | `rapid_reth_jit_entered_total` | counter | times compiled code was entered |
//! | `rapid_reth_jit_side_exits_total{reason}` | counter | times it left |
//! | `rapid_reth_jit_compiled_total{tier}` | counter | contracts compiled |
//! | `rapid_reth_jit_compile_seconds{tier}` | histogram | CPU time of a compilation |
//! | `rapid_reth_jit_contracts{tier}` | gauge | contracts with code |
//! | `rapid_reth_jit_code_bytes` | gauge | memory of code that can be looked up |
//! | `rapid_reth_jit_code_bytes_max` | gauge | its bound |
//! | `rapid_reth_jit_retired_bytes` | gauge | memory of code that was evicted and that an EVM still holds |
//! | `rapid_reth_jit_known_contracts` | gauge | contracts whose heat is known |
//! | `rapid_reth_jit_queue_contracts` | gauge | contracts that wait to be compiled |
//! | `rapid_reth_jit_queue_dropped_total` | counter | contracts dropped from the full queue |
//! | `rapid_reth_jit_evicted_total{cause}` | counter | contracts whose code was evicted: `full`, `idle` |
//! | `rapid_reth_jit_simple_total` | counter | contracts that machine code would gain nothing for |
//! | `rapid_reth_jit_failures_total{kind}` | counter | failed compilations; `machine` stops compiling |
//! | `rapid_reth_jit_refused_contracts` | gauge | contracts that are not compiled again |
//! | `rapid_reth_jit_quarantined_contracts` | gauge | contracts under quarantine |
//! | `rapid_reth_jit_enabled` | gauge | 1 while switched on |

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{
    refused::FailureKind,
    status::RuntimeStatus,
    totals::{TIERS, Totals, tier_name},
};
use crate::{ExitReason, Tier};

/// Handles, made once: the recorder must be installed before the runtime starts.
pub(super) struct JitMetrics {
    hits: Counter,
    misses: Counter,
    entered: Counter,
    exits: [Counter; ExitReason::COUNT],
    compiled: [Counter; 2],
    compile_seconds: [Histogram; 2],
    contracts: [Gauge; 2],
    code_bytes: Gauge,
    code_bytes_max: Gauge,
    retired_bytes: Gauge,
    known: Gauge,
    queued: Gauge,
    dropped: Counter,
    evicted_full: Counter,
    evicted_idle: Counter,
    simple: Counter,
    failures: [Counter; FailureKind::ALL.len()],
    machine_failures: Counter,
    refused: Gauge,
    quarantined: Gauge,
    enabled: Gauge,
}

impl std::fmt::Debug for JitMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JitMetrics").finish_non_exhaustive()
    }
}

impl JitMetrics {
    pub(super) fn new() -> Self {
        Self {
            hits: counter!("rapid_reth_jit_hits_total"),
            misses: counter!("rapid_reth_jit_misses_total"),
            entered: counter!("rapid_reth_jit_entered_total"),
            exits: ExitReason::ALL
                .map(|reason| counter!("rapid_reth_jit_side_exits_total", "reason" => reason.name())),
            compiled: TIERS.map(|tier| counter!("rapid_reth_jit_compiled_total", "tier" => tier_name(tier))),
            compile_seconds: TIERS
                .map(|tier| histogram!("rapid_reth_jit_compile_seconds", "tier" => tier_name(tier))),
            contracts: TIERS.map(|tier| gauge!("rapid_reth_jit_contracts", "tier" => tier_name(tier))),
            code_bytes: gauge!("rapid_reth_jit_code_bytes"),
            code_bytes_max: gauge!("rapid_reth_jit_code_bytes_max"),
            retired_bytes: gauge!("rapid_reth_jit_retired_bytes"),
            known: gauge!("rapid_reth_jit_known_contracts"),
            queued: gauge!("rapid_reth_jit_queue_contracts"),
            dropped: counter!("rapid_reth_jit_queue_dropped_total"),
            evicted_full: counter!("rapid_reth_jit_evicted_total", "cause" => "full"),
            evicted_idle: counter!("rapid_reth_jit_evicted_total", "cause" => "idle"),
            simple: counter!("rapid_reth_jit_simple_total"),
            failures: FailureKind::ALL
                .map(|kind| counter!("rapid_reth_jit_failures_total", "kind" => kind.name())),
            machine_failures: counter!("rapid_reth_jit_failures_total", "kind" => "machine"),
            refused: gauge!("rapid_reth_jit_refused_contracts"),
            quarantined: gauge!("rapid_reth_jit_quarantined_contracts"),
            enabled: gauge!("rapid_reth_jit_enabled"),
        }
    }

    pub(super) fn took(&self, tier: Tier, time: Duration) {
        let [fast, optimising] = &self.compile_seconds;
        match tier {
            Tier::Fast => fast.record(time),
            Tier::Optimising => optimising.record(time),
        }
    }

    pub(super) fn report(&self, totals: &Totals, status: &RuntimeStatus) {
        self.report_counts(totals);
        let [fast, optimising] = &self.contracts;
        fast.set(status.fast_contracts as f64);
        optimising.set(status.optimising_contracts as f64);
        self.code_bytes.set(status.resident_bytes as f64);
        self.code_bytes_max.set(status.resident_bytes_max as f64);
        self.retired_bytes.set(status.retired_bytes as f64);
        self.known.set(status.known_contracts as f64);
        self.queued.set(status.queue_len as f64);
        self.refused.set(status.refused as f64);
        self.quarantined.set(status.quarantined as f64);
        self.enabled.set(f64::from(u8::from(status.enabled)));
    }

    fn report_counts(&self, totals: &Totals) {
        let single = [
            (&self.hits, &totals.hits),
            (&self.misses, &totals.misses),
            (&self.entered, &totals.entered),
            (&self.dropped, &totals.dropped),
            (&self.evicted_full, &totals.evicted_full),
            (&self.evicted_idle, &totals.evicted_idle),
            (&self.simple, &totals.simple),
            (&self.machine_failures, &totals.machine_failures),
        ];
        for (counter, total) in single {
            counter.absolute(total.get());
        }
        for (counter, total) in self.exits.iter().zip(&totals.exits) {
            counter.absolute(total.get());
        }
        for (counter, total) in self.compiled.iter().zip(&totals.compiled) {
            counter.absolute(total.get());
        }
        for (counter, kind) in self.failures.iter().zip(FailureKind::ALL) {
            counter.absolute(totals.failures(kind));
        }
    }
}
