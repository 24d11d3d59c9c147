//! Test support that more than one crate uses.
//!
//! [`differential`] makes random EVM programs and compares compiled code with the interpreter. It takes a seed or bytes
//! and returns what differs; it owns nothing. Other crates depend on this one in their tests only.

pub mod differential;
