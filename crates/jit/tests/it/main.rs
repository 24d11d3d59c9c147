//! Compiled code is what the interpreter is.

mod differential;
mod kept_cases;
mod lies;
mod operands;
mod runtime;
