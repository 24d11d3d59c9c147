//! The servers over real sockets, and the methods over a real chain and pool.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compiler;
mod engine;
mod http;
mod node;
mod producer;
mod servers;
