//! `rapid-bench` measures Ethereum JSON-RPC nodes from outside, rapid-reth side by side with anvil, and parts of
//! rapid-reth side by side with what else could do their work.
//!
//! In: the address of a running node, or the binaries of two nodes that it starts itself. Out: latency percentiles,
//! transactions included per second, the server's CPU time per transaction and memory, as a table, Markdown or JSON.
//! It owns the processes it starts and their scratch folders, and nothing else; a node under test gets real, signed
//! transactions from fresh accounts that the well-known development accounts fund.
//!
//! What always holds:
//!
//! * Inclusion is read from the chain's blocks, never from what the node acknowledged.
//! * In an open loop a latency counts from the time at which the transaction should have been sent.
//! * Nothing is signed, hex-encoded or serialised while the clock runs, and the generator's own CPU time is reported.

mod account;
mod chain;
mod clock;
mod command;
mod compare;
mod contracts;
mod jit;
mod load;
mod measure;
mod metrics_page;
mod mixed;
mod outbox;
mod parallel;
mod pipeline;
mod process;
mod report;
mod rpc;
mod scenario;
mod simulate;
mod state;
mod table;
mod transport;
mod workload;

use clap::{Parser, Subcommand};
use command::{
    blocks::BlocksArgs, compare::CompareArgs, jit::JitArgs, jitter::JitterArgs, load::LoadArgs,
    parallel::ParallelArgs, pipeline::PipelineArgs, simulate::SimulateArgs, state::StateArgs,
};

/// The node's allocator, so that the pipeline is measured as it runs in the node.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Load generator and side-by-side benchmarks for Ethereum JSON-RPC nodes.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends a pre-signed workload to an endpoint and reports latency, throughput and the server's cost
    Load(LoadArgs),
    /// Runs rapid-reth and anvil in alternating rounds and reports the ratios
    Compare(CompareArgs),
    /// Measures how late mini-blocks are cut under a constant load
    Jitter(JitterArgs),
    /// Measures the sequencer alone, in this process: no RPC, no signature recovery
    Pipeline(PipelineArgs),
    /// Writes a file of valid blocks full of transfers, and the genesis they begin on, for `import`
    Blocks(BlocksArgs),
    /// Measures the EVM compiler beside the interpreter: speed, compile time, size
    Jit(JitArgs),
    /// Measures parallel executors beside sequential ones and revm's: wall and CPU time of whole blocks
    Parallel(ParallelArgs),
    /// Simulates parallel executors on more cores than there are, from what is measured here
    Simulate(SimulateArgs),
    /// Measures the state and its roots beside MDBX, hash maps and other tries: speed and bytes
    State(StateArgs),
}

fn main() -> eyre::Result<()> {
    let cli = Cli::parse();
    // One thread: the generator shares its machine with the server, and a second thread would only move work between
    // cores that the server needs.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Load(args) => command::load::run(args).await,
            Command::Compare(args) => command::compare::run(args).await,
            Command::Jitter(args) => command::jitter::run(args).await,
            Command::Pipeline(args) => command::pipeline::run(&args),
            Command::Blocks(args) => command::blocks::run(&args),
            Command::Jit(args) => command::jit::run(&args),
            Command::Parallel(args) => command::parallel::run(&args),
            Command::Simulate(args) => command::simulate::run(&args),
            Command::State(args) => command::state::run(&args),
        }
    })
}
