//! What a block keeps of the result of a transaction.

use alloy_primitives::Log;
use revm::context_interface::result::{ExecutionResult, ResultGas};

/// A receipt, but for what depends on the transactions before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptParts {
    /// Gas, by what it was used for.
    pub gas: ResultGas,
    /// Whether the transaction neither reverted nor halted.
    pub success: bool,
    /// Its logs, in order.
    pub logs: Vec<Log>,
}

impl From<ExecutionResult> for ReceiptParts {
    fn from(result: ExecutionResult) -> Self {
        Self {
            gas: *result.gas(),
            success: result.is_success(),
            logs: result.into_logs(),
        }
    }
}
