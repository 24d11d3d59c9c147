//! EVM bytecode to machine code, exactly equal to revm's interpreter.
//!
//! - **In:** bytecode, and the [`Rules`] it runs under: fork, gas table, parameters of dynamic gas.
//! - **Out:** [`CompiledCode`], which runs an interpreter's frame in its place ([`CompiledCode::run`]): the same result, gas,
//!   halt reason, memory, and calls of the host in the same order.
//! - **Owns:** executable memory, one mapping per contract, never writable and executable at once; the [`Runtime`]'s worker
//!   threads (`jit-worker-N`), its tables of what is hot, compiled and refused, and the profile file. The workers alone have
//!   a clock: CPU time for their budget, real time for what has long not been used.
//! - **Must hold:** compiled code never decides how a frame fails. Where anything is out of the ordinary (gas, stack bounds,
//!   memory that cannot grow, a bad jump, an opcode the fork does not have) it leaves, with the state of some instruction in
//!   memory, and the interpreter goes on from there; it comes back at the next entry. Whatever is not compiled is run by the
//!   EVM's own instruction table. So no fork has code of its own here but for which opcodes there are.
//!
//! ```text
//!  bytecode --analysis--> traces of statements over values --template--> machine code --arena--> CompiledCode
//!
//!  frame --Session::find--> none: interpreted, its gas makes the contract hotter --queue--> worker: compile
//!                      \--> CompiledCode::run: enter -> leave at a row of the exit table -> interpreter -> enter -> ..
//! ```
//!
//! The two tiers differ in how much code is copied so that it runs straight on with what is known about it; one pass over the
//! traces makes the code of both. A generator with a global register allocator took a hundred times as long, and its code
//! was five times as large and slower. On other processors than x86-64 everything is interpreted.

mod analysis;
mod arena;
mod arithmetic;
mod code;
mod compile;
mod emitted;
mod exit;
mod frame;
mod keccak_memo;
mod rules;
mod run;
pub mod runtime;
#[cfg(target_arch = "x86_64")]
mod template;

pub use arena::NoExecutableMemory;
pub use code::CompiledCode;
pub use compile::{
    CompileError, CompileOptions, EndedStack, ForcedExitPoints, Limits, SimpleCode, Tier, compile,
};
pub use exit::{ExitReason, ExitRow};
pub use keccak_memo::keccak_memo;
pub use rules::Rules;
pub use run::{ForcedExits, Machine, RunCounts};
pub use runtime::{
    Compiled, Found, Heat, HeatSource, Runtime, RuntimeConfig, RuntimeError, RuntimeStatus, Session, Switch,
};
