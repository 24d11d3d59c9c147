//! Compiled code against the interpreter.
//!
//! ```text
//!  seed or bytes --[Choices]--> grammar --> Case --[Check]--> Finding --[shrink]--> smaller Case --> *.case file
//! ```
//!
//! A [`Case`] is a few contracts and calls of the first of them. A [`Check`] runs every call as a transaction in each
//! [`Mode`], first with the call's gas, then with gas limits chosen around the points where that run could have run out.
//! The reference is revm's interpreter. Compared are the result, the whole journal state (values, statuses, warm sets)
//! and, at each place where a frame ends or calls, gas, memory, stack and inputs ([`Trace`]).
//!
//! Every choice comes from the case and its seed, so what was found once is found again.

mod case;
mod case_text;
mod check;
mod choices;
mod code_cache;
mod evm;
mod grammar;
mod observation;
mod operands;
mod panics;
mod prestate;
mod prices;
mod program;
mod shrink;
mod sweep;
mod trace;

pub use case::{Call, Case, Contract, Target};
pub use case_text::CaseTextError;
pub use check::{Check, Finding, Mode, Tally};
pub use choices::Choices;
pub use code_cache::{CodeCache, CodeKey};
pub use evm::{Compiled, Interpreted, RunFrame, TracedEvm};
pub use grammar::{Dimensions, generate};
pub use observation::{Aspect, Mismatch, Observation, mismatches};
pub use operands::{OperandSource, operand_cases};
pub use panics::keep_panics_quiet;
pub use prestate::{MainnetEvm, Prestate};
pub use prices::Prices;
pub use program::disassemble;
pub use shrink::shrink;
pub use sweep::Sweep;
pub use trace::{FrameAction, FrameEvent, Trace};
