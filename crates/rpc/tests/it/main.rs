//! The servers over real sockets, and the methods over a real chain and pool.

#![allow(clippy::unwrap_used, missing_docs)]

mod engine;
mod http;
mod node;
mod producer;
mod servers;
