//! The command line: one module per subcommand.

pub(crate) mod blocks;
pub(crate) mod compare;
pub(crate) mod jit;
pub(crate) mod jitter;
pub(crate) mod load;
pub(crate) mod parallel;
pub(crate) mod pipeline;
pub(crate) mod simulate;
pub(crate) mod state;
