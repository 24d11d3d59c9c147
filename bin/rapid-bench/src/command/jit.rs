//! `rapid-bench jit`: the EVM compiler beside the interpreter.

use crate::{
    jit::{
        catalog, fixture,
        instructions::{self, CountPlan},
        measure::{Plan, measure, tier_name},
        solo::{self, SoloSide},
        tables::{Cost, JitReport, Profile, Speed},
        workload::Workload,
    },
    mixed,
    table::{OutputArgs, markdown, plain, write},
};
use clap::{Args, ValueEnum};
use eyre::{WrapErr, bail, ensure};
use rapid_jit::Tier;
use std::{fs, path::PathBuf, time::Duration};

/// Arguments of `jit`.
#[derive(Args, Debug)]
pub(crate) struct JitArgs {
    /// Workloads to run, a `*` at the end standing for the rest of the name [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Alternating rounds
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long one side runs in a round, at least
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5ms")]
    sample: Duration,
    /// Tiers to measure
    #[arg(long, value_enum, default_value = "both")]
    tier: TierChoice,
    /// Prints the names of the workloads and ends
    #[arg(long)]
    list: bool,
    /// Workloads from the JSON files of this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Runs one side of the workloads alone, for a profiler or an instruction counter
    #[arg(long, value_enum, value_name = "SIDE")]
    solo: Option<SoloSide>,
    /// Runs whole blocks of mixed transactions through the sequential executor instead, with a compiler that knows
    /// nothing yet and without one
    #[arg(long, conflicts_with_all = ["only", "fixtures", "solo", "count", "list"])]
    mixed: bool,
    /// How many blocks in a row, with --mixed
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [10, 100])]
    blocks: Vec<u64>,
    /// Counts machine instructions with valgrind's callgrind instead of taking time
    #[arg(long, conflicts_with = "solo")]
    count: bool,
    /// How often it runs with --solo
    #[arg(long, default_value_t = 1)]
    runs: u32,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TierChoice {
    /// The first tier
    Fast,
    /// The second tier
    Optimising,
    /// Both
    Both,
    /// None: the interpreter alone
    None,
}

impl TierChoice {
    fn tiers(self) -> Vec<Tier> {
        match self {
            Self::Fast => vec![Tier::Fast],
            Self::Optimising => vec![Tier::Optimising],
            Self::Both => vec![Tier::Fast, Tier::Optimising],
            Self::None => Vec::new(),
        }
    }

    fn sides(self) -> Vec<SoloSide> {
        let tiers = self.tiers();
        let tiers = tiers.into_iter().map(|tier| match tier {
            Tier::Fast => SoloSide::Fast,
            Tier::Optimising => SoloSide::Optimising,
        });
        [SoloSide::Interpreter].into_iter().chain(tiers).collect()
    }
}

/// Measures the workloads and shows the tables.
///
/// # Errors
/// If a workload cannot be run, or compiled code does something else than the interpreter. The tables are shown first.
pub(crate) fn run(args: &JitArgs) -> eyre::Result<()> {
    ensure!(args.rounds > 0, "at least one round");
    ensure!(!args.sample.is_zero(), "a sample takes time");
    if args.mixed {
        return args.output.show(&mixed::run(&args.blocks, args.rounds)?);
    }
    let workloads = chosen(args)?;
    if args.list {
        workloads
            .iter()
            .for_each(|workload| println!("{}", workload.name));
        return Ok(());
    }
    if let Some(side) = args.solo {
        return workloads
            .iter()
            .try_for_each(|workload| solo::run(workload, side, args.runs));
    }
    if args.count {
        let plan = CountPlan {
            sides: args.tier.sides(),
            fixtures: args.fixtures.clone(),
        };
        return args.output.show(&instructions::count(&workloads, &plan)?);
    }
    let plan = Plan {
        rounds: args.rounds,
        sample_time: args.sample,
        tiers: args.tier.tiers(),
    };
    let mut reports = Vec::with_capacity(workloads.len());
    for (index, workload) in workloads.iter().enumerate() {
        eprintln!("{} of {}: {}", index + 1, workloads.len(), workload.name);
        reports.push(measure(workload, &plan).wrap_err_with(|| workload.name.clone())?);
    }
    let tiers = plan.tiers.iter().map(|&tier| tier_name(tier)).collect();
    show(
        &args.output,
        &JitReport::new(processor(), plan.rounds, tiers, reports),
    )
}

fn chosen(args: &JitArgs) -> eyre::Result<Vec<Workload>> {
    let mut workloads = match &args.fixtures {
        Some(folder) => fixture::read_folder(folder)?,
        None => catalog::all()?,
    };
    for pattern in &args.only {
        let known = workloads.iter().any(|workload| matches(pattern, &workload.name));
        ensure!(known, "no workload {pattern}");
    }
    workloads.retain(|workload| {
        args.only.is_empty() || args.only.iter().any(|pattern| matches(pattern, &workload.name))
    });
    Ok(workloads)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |start| name.starts_with(start))
}

fn show(output: &OutputArgs, report: &JitReport) -> eyre::Result<()> {
    let (speed, cost, profile) = (Speed(report), Cost(report), Profile(report));
    if !output.takes_standard_output() {
        println!("{}\n{}\n{}", plain(&speed), plain(&cost), plain(&profile));
    }
    if let Some(path) = &output.json {
        write(path, &format!("{}\n", serde_json::to_string_pretty(report)?))?;
    }
    if let Some(path) = &output.markdown {
        let tables = [markdown(&speed), markdown(&cost), markdown(&profile)];
        write(path, &tables.join("\n"))?;
    }
    let mismatches = report.mismatches();
    if !mismatches.is_empty() {
        bail!(
            "compiled code differs from the interpreter in {}",
            mismatches.join(", ")
        );
    }
    Ok(())
}

/// The processor's name as the system tells it.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(':').nth(1));
    name.map_or("unknown processor", str::trim).to_owned()
}
