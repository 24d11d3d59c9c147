//! Comparing what compiled code did with what the interpreter does.

use std::fmt;

use alloy_primitives::B256;
use metrics::counter;
use revm::context_interface::result::{EVMError, ResultAndState};

/// Executions of one transaction, or why there is none.
pub(crate) type Outcome<E> = Result<ResultAndState, EVMError<E>>;

/// What a comparison says about compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did what the interpreter does.
    Equal,
    /// It did not.
    Differs,
    /// The state could not be read: it was there for one execution and not for the other, or for neither.
    Unknown,
}

/// Compares result, gas, logs, output, halt reason and every change of state.
pub(crate) fn compare<E: fmt::Display>(compiled: &Outcome<E>, interpreted: &Outcome<E>) -> Verdict {
    let equal = match (compiled, interpreted) {
        (Err(EVMError::Database(_)), _) | (_, Err(EVMError::Database(_))) => return Verdict::Unknown,
        (Ok(compiled), Ok(interpreted)) => compiled == interpreted,
        (Err(compiled), Err(interpreted)) => compiled.to_string() == interpreted.to_string(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    if equal { Verdict::Equal } else { Verdict::Differs }
}

/// Publishes the counts before there is anything to count: an alarm looks for a series that grows.
pub(crate) fn announce() {
    counter!("rapid_reth_jit_shadow_transactions_total").increment(0);
    counter!("rapid_reth_jit_shadow_mismatches_total").increment(0);
}

/// Counts a comparison, and raises the alarm if it calls for one.
pub(crate) fn report(verdict: Verdict, suspects: &[B256]) {
    counter!("rapid_reth_jit_shadow_transactions_total").increment(1);
    if verdict == Verdict::Differs {
        counter!("rapid_reth_jit_shadow_mismatches_total").increment(1);
        tracing::error!(
            target: "reth::jit",
            codes = ?suspects,
            "Compiled code and the interpreter disagree about a transaction: the interpreter's result stands, and this \
             code is interpreted from now on. Please report it with the code hashes"
        );
    }
}
