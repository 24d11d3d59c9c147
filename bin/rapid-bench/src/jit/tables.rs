//! The report as tables: how fast, what it costs, what runs.

use super::{
    measure::WorkloadReport,
    stats::geometric_mean,
    verdict::{EXECUTIONS, TierReport, TierTimes, Verdict},
};
use crate::table::{Tabular, readable_time};
use serde::Serialize;

/// All workloads.
#[derive(Debug, Serialize)]
pub(crate) struct JitReport {
    /// The processor's name.
    pub(crate) processor: String,
    /// Alternating rounds.
    pub(crate) rounds: usize,
    /// Names of the tiers measured.
    pub(crate) tiers: Vec<&'static str>,
    /// One by one.
    pub(crate) workloads: Vec<WorkloadReport>,
    /// Geometric mean of the ratios per tier, a workload that is left to the interpreter counting as 1.
    pub(crate) geometric_means: Vec<GeometricMean>,
}

/// Of one tier.
#[derive(Debug, Serialize)]
pub(crate) struct GeometricMean {
    /// Which.
    pub(crate) tier: &'static str,
    /// Workloads in it.
    pub(crate) workloads: usize,
    /// Of the best ratios; none if nothing was measured.
    pub(crate) ratio: Option<f64>,
    /// For each count of executions, compilation included.
    pub(crate) gain_with_compilation: Vec<(u32, Option<f64>)>,
}

impl JitReport {
    /// Puts the means to the workloads.
    pub(crate) fn new(
        processor: String,
        rounds: usize,
        tiers: Vec<&'static str>,
        workloads: Vec<WorkloadReport>,
    ) -> Self {
        let geometric_means = (0..tiers.len())
            .map(|index| {
                GeometricMean::of(
                    tiers[index],
                    workloads.iter().map(|workload| &workload.tiers[index]),
                )
            })
            .collect();
        Self {
            processor,
            rounds,
            tiers,
            workloads,
            geometric_means,
        }
    }

    /// Names of workloads whose compiled code does something else than the interpreter.
    pub(crate) fn mismatches(&self) -> Vec<&str> {
        self.workloads
            .iter()
            .filter(|workload| {
                let mut tiers = workload.tiers.iter();
                tiers.any(|tier| matches!(tier.verdict, Verdict::Mismatch { .. }))
            })
            .map(|workload| workload.name.as_str())
            .collect()
    }
}

impl GeometricMean {
    fn of<'a>(tier: &'static str, reports: impl Iterator<Item = &'a TierReport> + Clone) -> Self {
        let counted =
            reports.filter(|report| matches!(report.verdict, Verdict::Measured(_) | Verdict::Interpreted));
        let mean = |read: &dyn Fn(&TierTimes) -> f64| {
            geometric_mean(counted.clone().map(|report| match &report.verdict {
                Verdict::Measured(times) => read(times),
                _ => 1.0,
            }))
        };
        Self {
            tier,
            workloads: counted.clone().count(),
            ratio: mean(&|times| times.ratio.best),
            gain_with_compilation: EXECUTIONS
                .iter()
                .map(|count| (*count, mean(&|times| times.gain_with_compilation[count])))
                .collect(),
        }
    }
}

/// How fast: the first table.
#[derive(Serialize)]
pub(crate) struct Speed<'a>(pub(crate) &'a JitReport);

impl Tabular for Speed<'_> {
    fn title(&self) -> String {
        format!(
            "Interpreter to compiled code, thread CPU time, best of {} rounds (lowest to highest ratio of a round); {}",
            self.0.rounds, self.0.processor
        )
    }

    fn heads(&self) -> Vec<String> {
        let fixed = ["workload", "gas", "interpreter", "spread", "ns/gas"];
        let mut heads: Vec<_> = fixed.iter().map(ToString::to_string).collect();
        heads.extend(self.0.tiers.iter().map(|tier| format!("{tier}: ratio")));
        heads
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<_> = self.0.workloads.iter().map(speed_row).collect();
        let mut mean = vec!["geometric mean".to_owned()];
        mean.resize(5, String::new());
        mean.extend(self.0.geometric_means.iter().map(|mean| match mean.ratio {
            Some(ratio) => format!("{ratio:.2} of {}", mean.workloads),
            None => String::new(),
        }));
        rows.push(mean);
        rows
    }
}

fn speed_row(workload: &WorkloadReport) -> Vec<String> {
    let times = &workload.interpreter;
    let spread = 100.0 * (times.cpu_ns_median / times.cpu_ns_min - 1.0);
    let mut row = vec![
        workload.name.clone(),
        workload.gas.to_string(),
        readable_time(times.cpu_ns_min),
        format!("+{spread:.0} %"),
        format!("{:.2}", workload.interpreter_ns_per_gas),
    ];
    row.extend(workload.tiers.iter().map(|tier| match &tier.verdict {
        Verdict::Measured(times) => {
            let ratio = times.ratio;
            format!("{:.2} ({:.2} to {:.2})", ratio.best, ratio.low, ratio.high)
        }
        other => settled(other),
    }));
    row
}

fn settled(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Measured(_) => String::new(),
        Verdict::Interpreted => "1 (interpreted)".to_owned(),
        Verdict::NotCompiled { .. } => "not compiled".to_owned(),
        Verdict::Mismatch { .. } => "MISMATCH".to_owned(),
    }
}

/// What compiling costs and when it has paid: the second table.
#[derive(Serialize)]
pub(crate) struct Cost<'a>(pub(crate) &'a JitReport);

impl Tabular for Cost<'_> {
    fn title(&self) -> String {
        "Compiling: thread CPU time, size, and how many times faster 1, 10, 100 and 1000 executions are with it".to_owned()
    }

    fn heads(&self) -> Vec<String> {
        let mut heads: Vec<_> = [
            "workload",
            "tier",
            "bytes",
            "compile",
            "us/byte",
            "code",
            "factor",
            "tables",
            "pays after",
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        heads.extend(EXECUTIONS.iter().map(|count| format!("x{count}")));
        heads
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for workload in &self.0.workloads {
            rows.extend(workload.tiers.iter().map(|tier| cost_row(workload, tier)));
        }
        for mean in &self.0.geometric_means {
            let mut row = vec!["geometric mean".to_owned(), mean.tier.to_owned()];
            row.resize(9, String::new());
            let gains = mean.gain_with_compilation.iter();
            row.extend(gains.map(|(_, gain)| gain.map_or_else(String::new, |gain| format!("{gain:.2}"))));
            rows.push(row);
        }
        rows
    }
}

fn cost_row(workload: &WorkloadReport, tier: &TierReport) -> Vec<String> {
    let mut row = vec![
        workload.name.clone(),
        tier.tier.to_owned(),
        workload.bytecode_bytes.to_string(),
    ];
    match &tier.verdict {
        Verdict::Measured(times) => {
            row.extend([
                readable_time(times.compile_us * 1e3),
                format!("{:.2}", times.compile_us_per_byte),
                times.code_bytes.to_string(),
                format!("{:.1}", times.code_factor),
                times.table_bytes.to_string(),
                times
                    .break_even_executions
                    .map_or_else(|| "never".to_owned(), |count| format!("{:.0}", count.ceil())),
            ]);
            row.extend(
                times
                    .gain_with_compilation
                    .values()
                    .map(|gain| format!("{gain:.2}")),
            );
        }
        other => {
            row.push(settled(other));
            row.resize(9 + EXECUTIONS.len(), String::new());
        }
    }
    row
}

/// What runs: the third table.
#[derive(Serialize)]
pub(crate) struct Profile<'a>(pub(crate) &'a JitReport);

impl Tabular for Profile<'_> {
    fn title(&self) -> String {
        "What a run consists of, and how often compiled code was entered and left".to_owned()
    }

    fn heads(&self) -> Vec<String> {
        let mut heads: Vec<_> = [
            "workload",
            "transactions",
            "frame runs",
            "instructions",
            "opcodes",
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        heads.extend(self.0.tiers.iter().map(|tier| format!("{tier}: entered, exits")));
        heads
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.workloads.iter().map(profile_row).collect()
    }
}

fn profile_row(workload: &WorkloadReport) -> Vec<String> {
    let opcodes: Vec<_> = workload
        .opcodes
        .iter()
        .map(|count| format!("{} {:.0} %", count.opcode, count.percent))
        .collect();
    let mut row = vec![
        workload.name.clone(),
        match workload.failed_transactions {
            0 => workload.transactions.to_string(),
            failed => format!("{} ({failed} fail)", workload.transactions),
        },
        workload.frame_runs.to_string(),
        workload.instructions.to_string(),
        opcodes.join(", "),
    ];
    row.extend(workload.tiers.iter().map(|tier| match &tier.verdict {
        Verdict::Measured(times) => {
            let exits: Vec<_> = times
                .exits
                .iter()
                .map(|(reason, count)| format!("{reason} {count}"))
                .collect();
            format!("{}, {}", times.entered, exits.join(" "))
        }
        Verdict::NotCompiled { reason } => reason.clone(),
        Verdict::Mismatch { difference } => difference.chars().take(60).collect(),
        Verdict::Interpreted => settled(&Verdict::Interpreted),
    }));
    row
}
