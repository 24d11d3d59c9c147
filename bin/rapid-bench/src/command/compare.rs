//! `rapid-bench compare`: rapid-reth and anvil in alternating rounds.

use crate::{
    compare::{self, Anvil, BestMode, ComparePlan, Durability, RapidReth},
    load::Submit,
    table::OutputArgs,
};
use clap::Args;
use eyre::{OptionExt, WrapErr, bail, ensure};
use std::{env, path::PathBuf, process::Command, time::Duration};

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// The rapid-reth binary [default: beside this one]
    #[arg(long, value_name = "FILE")]
    rapid_reth: Option<PathBuf>,
    /// The anvil binary [default: the pinned npm release, installed on first use]
    #[arg(long, value_name = "FILE")]
    anvil: Option<PathBuf>,
    /// `--durability` of rapid-reth [default: that of --dev]
    #[arg(long)]
    durability: Option<Durability>,
    /// Alternating rounds
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Submissions per latency measurement
    #[arg(long, default_value_t = 500)]
    latency_count: usize,
    /// Pause between two of them
    #[arg(long, value_parser = humantime::parse_duration, default_value = "3ms")]
    latency_pause: Duration,
    /// How long a throughput measurement submits
    #[arg(long, value_parser = humantime::parse_duration, default_value = "8s")]
    throughput_duration: Duration,
    /// Most transactions of a throughput measurement
    #[arg(long, default_value_t = 300_000)]
    throughput_count: usize,
    /// Transactions per batch
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Batches outstanding at rapid-reth in the throughput measurement
    #[arg(long, default_value_t = 8)]
    rapid_reth_in_flight: usize,
    /// Submitting method at rapid-reth in the throughput measurement
    #[arg(long, value_enum, default_value = "send")]
    rapid_reth_mode: Submit,
    /// Batches outstanding at anvil in the throughput measurement
    #[arg(long, default_value_t = 4)]
    anvil_in_flight: usize,
    /// Decides the senders' keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs all rounds and shows the comparison.
///
/// # Errors
/// If a binary is missing, a node fails, or a measurement has errors.
pub(crate) async fn run(args: CompareArgs) -> eyre::Result<()> {
    ensure!(args.rounds > 0, "at least one round");
    let rapid_reth = RapidReth {
        binary: rapid_reth_binary(args.rapid_reth)?,
        durability: args.durability,
        interval: None,
        metrics_port: None,
        best_mode: BestMode {
            submit: args.rapid_reth_mode,
            in_flight: args.rapid_reth_in_flight,
        },
    };
    let anvil = Anvil {
        binary: anvil_binary(args.anvil)?,
        best_mode: BestMode {
            submit: Submit::Send,
            in_flight: args.anvil_in_flight,
        },
    };
    let plan = ComparePlan {
        rounds: args.rounds,
        latency_count: args.latency_count,
        latency_pause: args.latency_pause,
        throughput_duration: args.throughput_duration,
        throughput_count: args.throughput_count,
        batch: args.batch,
        seed: args.seed,
    };
    let comparison = compare::run(plan, &rapid_reth, &anvil).await?;
    args.output.show(&comparison)
}

/// The given binary, or the one beside this program.
///
/// # Errors
/// If there is none.
pub(crate) fn rapid_reth_binary(given: Option<PathBuf>) -> eyre::Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => env::current_exe()?.with_file_name("rapid-reth"),
    };
    ensure!(
        path.is_file(),
        "no rapid-reth at {}: build it, or name it with --rapid-reth",
        path.display()
    );
    Ok(path)
}

fn anvil_binary(given: Option<PathBuf>) -> eyre::Result<PathBuf> {
    if let Some(path) = given {
        ensure!(path.is_file(), "no anvil at {}", path.display());
        return Ok(path);
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("anvil/install.sh");
    let output = Command::new(&script)
        .output()
        .wrap_err_with(|| format!("running {}", script.display()))?;
    if !output.status.success() {
        bail!(
            "installing anvil failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .lines()
        .last()
        .ok_or_eyre("the install script printed no path")?
        .into())
}
