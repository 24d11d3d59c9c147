//! Integration tests of the pool.

mod admission;
mod consumer;
mod decoding;
mod lanes;
mod limits;
mod memory;
mod nonce_order;
mod sender_queue;
mod stress;
mod support;
