//! Runs test vectors that other people publish for Ethereum clients: blockchain, engine, state and transaction tests.
//!
//! ```text
//! conformance PATH.. [--sample N] [--seed S] [--only TEXT] [--failures N] [--jit off|always|exits]
//!                    [--executor sequential|validation|production|production-amsterdam]
//! ```
//!
//! A `PATH` is a `.tar.zst` archive, or a folder that is searched for archives and for `.json` files. The kind of a
//! file follows from the first folder on its path that names one (`state_tests`, `blockchain_tests`,
//! `TransactionTests`, ..). `--sample N` runs one case in N, chosen by the hash of its name and the seed; `--only`
//! runs the cases whose path or name contains the text.
//!
//! Each case goes through the code that the node itself uses: blocks through [`rapid_chain::Importer`] over a chain in
//! a directory of its own, payloads through [`rapid_engine::EngineHandle`] over one, transactions of state tests through [`rapid_evm::BlockExecutor`] over a
//! [`rapid_state::Draft`], bytes of transaction tests through the pool's decoder.
//!
//! With `--jit` contracts run as machine code from their first call on; a state test's transaction is then also executed
//! by the interpreter and by code of every tier, and whatever differs is a failure ([`compiled`]).
//!
//! With `--executor validation` each block is executed sequentially first, and then imported with the hint that gives: its
//! transactions run on several workers at once ([`executor`]).
//!
//! With `--executor production` each valid block is executed sequentially first, and then made again by production from the
//! state of its parent: one transaction after the other, which must come to what the header says; and all at once, by two to
//! four workers where there are several senders, which must come to what execution in the order chosen comes to. A state
//! test is a block of one transaction without beginning and end ([`production`]). A line at the end says how many blocks
//! were made, and how many the sequencer would not give to production and why.
//!
//! With `--executor production-amsterdam` what is made by production is made once more by the rules of Amsterdam, which brings
//! gas in two dimensions and access lists to what was written for older forks. What comes out of that no vector says: production
//! and one after the other have to agree, also on the list.
//!
//! Exits with 1 if a case failed that [`exceptions`] does not name, with 2 if there was nothing to run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod arguments;
mod blockchain;
mod compiled;
mod engine;
mod exceptions;
mod executor;
mod network;
mod report;
mod run;
mod state;
mod suite;
mod transaction;
mod vectors;

use std::process::ExitCode;

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match run::run(&arguments) {
        Ok(report) if report.is_empty() => {
            eprintln!("no case to run");
            ExitCode::from(2)
        }
        Ok(report) => {
            report.print(arguments.failures_shown);
            ExitCode::from(u8::from(report.has_failures()))
        }
        Err(error) => {
            eprintln!("cannot read the vectors: {error}");
            ExitCode::from(2)
        }
    }
}
