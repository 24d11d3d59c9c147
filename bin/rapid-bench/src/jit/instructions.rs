//! Machine instructions of a run, counted by callgrind: exact where time is noisy, and where the processor's own
//! counters are out of reach, as in most virtual machines.

use super::{solo::SoloSide, workload::Workload};
use crate::table::Tabular;
use clap::ValueEnum;
use eyre::{OptionExt, WrapErr, ensure};
use serde::Serialize;
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// What is counted.
#[derive(Clone, Debug)]
pub(crate) struct CountPlan {
    /// Which sides, the interpreter first.
    pub(crate) sides: Vec<SoloSide>,
    /// Where the workloads come from, if they are not built in.
    pub(crate) fixtures: Option<PathBuf>,
}

/// Machine instructions of all workloads.
#[derive(Debug, Serialize)]
pub(crate) struct InstructionReport {
    sides: Vec<String>,
    workloads: Vec<WorkloadInstructions>,
}

#[derive(Debug, Serialize)]
struct WorkloadInstructions {
    name: String,
    /// One per side; none if the side does not run it.
    machine_instructions: Vec<Option<u64>>,
}

/// Counts all workloads, each in a process of its own.
///
/// # Errors
/// If `valgrind` is missing or fails.
pub(crate) fn count(workloads: &[Workload], plan: &CountPlan) -> eyre::Result<InstructionReport> {
    let scratch = tempfile::tempdir().wrap_err("scratch folder")?;
    let mut counted = Vec::with_capacity(workloads.len());
    for workload in workloads {
        eprintln!("counting {}", workload.name);
        let sides = plan.sides.iter();
        counted.push(WorkloadInstructions {
            name: workload.name.clone(),
            machine_instructions: sides
                .map(|&side| count_one(&workload.name, side, plan, scratch.path()))
                .collect::<eyre::Result<_>>()?,
        });
    }
    Ok(InstructionReport {
        sides: plan.sides.iter().map(|&side| side_name(side)).collect(),
        workloads: counted,
    })
}

fn side_name(side: SoloSide) -> String {
    side.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

fn count_one(name: &str, side: SoloSide, plan: &CountPlan, scratch: &Path) -> eyre::Result<Option<u64>> {
    // The words before the first flag name the subcommand that this process was started with.
    let subcommand = env::args_os()
        .skip(1)
        .take_while(|word| !word.to_string_lossy().starts_with('-'));
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--toggle-collect=*counted_runs*"])
        .arg(format!(
            "--callgrind-out-file={}",
            scratch.join("callgrind").display()
        ))
        .arg(env::current_exe()?)
        .args(subcommand)
        .args(["--only", name, "--runs", "1", "--solo", &side_name(side)]);
    if let Some(folder) = &plan.fixtures {
        command.args([OsString::from("--fixtures"), folder.into()]);
    }
    let output = command.output().wrap_err("valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // The interpreter always runs; a tier may have no code for the workload.
        ensure!(side != SoloSide::Interpreter, "{name} under valgrind: {text}");
        return Ok(None);
    }
    collected(&text).map(Some)
}

/// The count in callgrind's closing words.
fn collected(text: &str) -> eyre::Result<u64> {
    text.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_eyre("callgrind did not say what it collected")
}

impl Tabular for InstructionReport {
    fn title(&self) -> String {
        "Machine instructions of a run, counted by callgrind; in brackets the interpreter's for one of them"
            .to_owned()
    }

    fn heads(&self) -> Vec<String> {
        let mut heads = vec!["workload".to_owned()];
        heads.extend(self.sides.iter().cloned());
        heads
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.workloads.iter().map(WorkloadInstructions::row).collect()
    }
}

impl WorkloadInstructions {
    fn row(&self) -> Vec<String> {
        let interpreter = self.machine_instructions.first().copied().flatten();
        let mut row = vec![self.name.clone()];
        row.extend(
            self.machine_instructions
                .iter()
                .enumerate()
                .map(|(index, &count)| match (count, interpreter) {
                    (None, _) => "not compiled".to_owned(),
                    (Some(count), Some(interpreter)) if index > 0 => {
                        format!("{count} ({:.2})", interpreter as f64 / count as f64)
                    }
                    (Some(count), _) => count.to_string(),
                }),
        );
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_count() {
        let text = "==1== Events    : Ir\n==1== Collected : 4589406\n==1==\n";
        assert_eq!(collected(text).unwrap(), 4_589_406);
        assert!(collected("==1== Events : Ir").is_err());
    }
}
