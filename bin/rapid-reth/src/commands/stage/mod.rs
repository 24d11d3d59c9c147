//! `stage`: one stage at a time, over blocks that are there already.

mod run;
mod unwind;

use clap::{Args, Subcommand};

use run::RunCommand;
use unwind::UnwindCommand;

/// Works on single stages.
#[derive(Args, Debug)]
pub(crate) struct StageCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Do a stage again over a range of blocks and compare with what is stored
    Run(RunCommand),
    /// Take blocks back from the head
    Unwind(UnwindCommand),
}

impl StageCommand {
    /// Runs the action.
    pub(crate) fn run(self) -> eyre::Result<()> {
        match self.action {
            Action::Run(command) => command.run(),
            Action::Unwind(command) => command.run(),
        }
    }
}
