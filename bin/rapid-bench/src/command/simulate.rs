//! `rapid-bench simulate`: parallel executors on more cores than there are.

use crate::{
    pipeline::JitSwitch,
    scenario::ScenarioKind,
    simulate::{
        self,
        plan::{Given, SimulatePlan},
        report::{Errors, SpeedUps},
    },
    table::{OutputArgs, markdown, plain, write},
};
use clap::{Args, ValueEnum};

/// Arguments of `simulate`.
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// Workloads to simulate [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    workloads: Vec<ScenarioKind>,
    /// Numbers of workers to simulate
    #[arg(long, value_delimiter = ',', default_value = "2,4,8,16,32,64,128")]
    workers: Vec<usize>,
    /// Numbers of workers to measure as well; 0 for none
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    measure_workers: Vec<usize>,
    /// Alternating rounds of the measurement
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Transactions of a block of short ones; swaps are a quarter of it, a mixed block half
    #[arg(long, default_value_t = 8_000)]
    count: usize,
    /// Decides accounts and draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whether our own executors compile contracts
    #[arg(long, value_enum, default_value = "off")]
    jit: JitSwitch,
    /// What production adds to each execution, in nanoseconds [default: measured]
    #[arg(long)]
    production_ns: Option<f64>,
    /// What the thread that hands out does for each transaction of production, in nanoseconds [default: measured]
    #[arg(long)]
    dispatch_ns: Option<f64>,
    /// What validation adds to each execution, in nanoseconds [default: measured]
    #[arg(long)]
    validation_ns: Option<f64>,
    /// What one thread does for each transaction of validation, in nanoseconds [default: measured]
    #[arg(long)]
    validation_serial_ns: Option<f64>,
    /// What waiting at a lane costs, in nanoseconds
    #[arg(long, default_value_t = 600.0)]
    park_ns: f64,
    /// What Block-STM adds to each execution, in nanoseconds
    #[arg(long, default_value_t = 2_500.0)]
    block_stm_ns: f64,
    #[command(flatten)]
    output: OutputArgs,
}

impl SimulateArgs {
    fn plan(&self) -> SimulatePlan {
        let mut measure_workers = self.measure_workers.clone();
        measure_workers.retain(|&workers| workers > 0);
        SimulatePlan {
            workloads: if self.workloads.is_empty() {
                ScenarioKind::value_variants().to_vec()
            } else {
                self.workloads.clone()
            },
            workers: self.workers.clone(),
            measure_workers,
            rounds: self.rounds,
            count: self.count,
            seed: self.seed,
            jit: self.jit,
            given: Given {
                production_ns: self.production_ns,
                dispatch_ns: self.dispatch_ns,
                validation_ns: self.validation_ns,
                validation_serial_ns: self.validation_serial_ns,
                park_ns: self.park_ns,
                block_stm_ns: self.block_stm_ns,
            },
        }
    }
}

/// Simulates the workloads and shows the tables.
///
/// # Errors
/// If a block cannot be executed.
pub(crate) fn run(args: &SimulateArgs) -> eyre::Result<()> {
    let plan = args.plan();
    plan.check()?;
    let report = simulate::run(&plan)?;
    let (speed_ups, errors) = (SpeedUps(&report), Errors(&report));
    let output = &args.output;
    if !output.takes_standard_output() {
        println!("{}\n{}", plain(&speed_ups), plain(&errors));
    }
    if let Some(path) = &output.json {
        write(path, &format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    if let Some(path) = &output.markdown {
        write(path, &[markdown(&speed_ups), markdown(&errors)].join("\n"))?;
    }
    Ok(())
}
