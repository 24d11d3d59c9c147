//! EVM bytecode to machine code, exactly equal to revm's interpreter.
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
pub use frame::Frame;
pub use keccak_memo::keccak_memo;
pub use rules::Rules;
pub use run::{ForcedExits, Machine, RunCounts};
pub use runtime::{
    Compiled, Found, Heat, HeatSource, Runtime, RuntimeConfig, RuntimeError, RuntimeStatus, Session, Switch,
};
