//! From the rule a transaction broke at execution to what the pool does with it.

use rapid_evm::ExecutionError;
use rapid_pool::DiscardReason;
use revm::context_interface::result::InvalidTransaction;

pub(crate) fn discard_reason<E>(error: &ExecutionError<E>) -> DiscardReason {
    match error {
        // How much a block may touch follows from its gas limit.
        ExecutionError::BlockGasExhausted { .. }
        | ExecutionError::BlobGasExhausted { .. }
        | ExecutionError::AccessesExhausted { .. } => DiscardReason::ExceedsBlockGasLimit,
        ExecutionError::InvalidTransaction(invalid) => match invalid {
            InvalidTransaction::NonceTooLow { state, .. } => DiscardReason::NonceTooLow { next: *state },
            InvalidTransaction::NonceTooHigh { .. } => DiscardReason::NonceTooHigh,
            InvalidTransaction::GasPriceLessThanBasefee => DiscardReason::FeeCapBelowBaseFee,
            InvalidTransaction::LackOfFundForMaxFee { .. } => DiscardReason::InsufficientFunds,
            InvalidTransaction::CallerGasLimitMoreThanBlock => DiscardReason::ExceedsBlockGasLimit,
            _ => DiscardReason::Invalid,
        },
        _ => DiscardReason::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_become_valid_is_kept() {
        let of = |invalid| {
            discard_reason::<std::convert::Infallible>(&ExecutionError::InvalidTransaction(invalid))
        };
        assert_eq!(
            of(InvalidTransaction::NonceTooHigh { tx: 2, state: 1 }),
            DiscardReason::NonceTooHigh
        );
        assert_eq!(
            of(InvalidTransaction::NonceTooLow { tx: 1, state: 2 }),
            DiscardReason::NonceTooLow { next: 2 }
        );
        assert_eq!(
            of(InvalidTransaction::GasPriceLessThanBasefee),
            DiscardReason::FeeCapBelowBaseFee
        );
        assert_eq!(of(InvalidTransaction::InvalidChainId), DiscardReason::Invalid);
    }
}
