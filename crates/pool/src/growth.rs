//! What is refused while memory is short. Every transaction in the pool takes memory, and executing it may take more for
//! good.

use alloy_consensus::Transaction;
use rapid_primitives::MemoryPressure;

use crate::{Lane, PoolError, PooledTransaction};

/// Refuses everything above the hard mark: nothing is executed then, so nothing leaves the pool either.
pub(crate) const fn check_writable(pressure: MemoryPressure) -> Result<(), PoolError> {
    match pressure {
        MemoryPressure::None | MemoryPressure::Soft => Ok(()),
        MemoryPressure::Hard => Err(PoolError::ReadOnly),
    }
}

/// Refuses above the soft mark what may wait, and what makes the state larger whatever it does: creations. What a call
/// stores is known only once it is executed; that production is slower then bounds it.
pub(crate) fn check_growth(
    pressure: MemoryPressure,
    transaction: &PooledTransaction,
) -> Result<(), PoolError> {
    if pressure == MemoryPressure::None {
        return Ok(());
    }
    let may_wait = match transaction.lane() {
        Lane::System | Lane::Critical => false,
        Lane::Paid | Lane::Normal => transaction.transaction().is_create(),
        Lane::Bulk => true,
    };
    if may_wait {
        Err(PoolError::MemoryLow)
    } else {
        Ok(())
    }
}
