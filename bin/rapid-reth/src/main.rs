//! The `rapid-reth` program: reth's command line over the node of [`rapid_node`].
//!
//! - **In:** arguments, `RUST_LOG`, `reth.toml`, signals.
//! - **Out:** log lines on stdout in reth's words, a log file, an exit code: 0 after an orderly stop, 1 after a failed
//!   start or a lost critical thread with `Error: …` on stderr, 2 for a command line that cannot be honoured.
//! - **Owns:** the allocator, the log, the tokio runtime and the mapping from flags to configuration; nothing of the chain.
//! - **Must hold:** every flag of reth is honoured, accepted with a warning, or refused with a reason, as
//!   `patches/reth-cli.toml` says.

mod args;
mod cli;
mod commands;
mod ledger;
mod logging;
mod panic_report;
mod version;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    panic_report::install();
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    match commands::run(parsed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("Error: {report:?}");
            ExitCode::FAILURE
        }
    }
}
