//! Tests that no single crate can hold: the shape of the workspace, and the built binary from outside.
//!
//! The second kind starts real `rapid-reth` processes on unused ports of 127.0.0.1 with data directories of their own,
//! talks JSON-RPC to them, kills them and looks at what is left. `RAPID_RETH_BIN` names the binary; without it, it is
//! built first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_requests;
mod bad_transactions;
mod damaged_log;
mod execution_apis;
mod export_import;
mod http;
mod import;
mod io_case;
mod kill9;
mod layering;
mod manifests;
mod process;
mod rpc;
mod slow_clients;
mod wallet;
mod workspace;
mod ws;
