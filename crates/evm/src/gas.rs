//! The gas of a block in execution.

use revm::context_interface::result::ResultGas;

/// What the transactions of a block have used so far.
///
/// Until Amsterdam a block has used what its transactions paid for. From then on it counts execution and the growth of
/// the state apart, both before refunds, and has used the larger of the two (EIP-8037, EIP-7778); receipts still add
/// up what is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockGas {
    two_dimensional: bool,
    paid: u64,
    execution: u64,
    state: u64,
}

impl BlockGas {
    /// The gas of a block without transactions.
    pub(crate) fn new(amsterdam: bool) -> Self {
        Self {
            two_dimensional: amsterdam,
            ..Self::default()
        }
    }

    /// Adds a transaction.
    pub(crate) const fn add(&mut self, gas: &ResultGas) {
        self.paid += gas.tx_gas_used();
        self.execution += gas.block_regular_gas_used();
        self.state += gas.block_state_gas_used();
    }

    /// Takes up a block before Amsterdam whose transactions have paid for this much.
    pub(crate) const fn resume(&mut self, paid: u64) {
        self.paid = paid;
    }

    /// What the transactions paid for: the cumulative gas of receipts.
    pub(crate) const fn paid(&self) -> u64 {
        self.paid
    }

    /// What the block has used: the gas of its header.
    pub(crate) const fn used(&self) -> u64 {
        if !self.two_dimensional {
            self.paid
        } else if self.execution > self.state {
            self.execution
        } else {
            self.state
        }
    }

    /// Whether a transaction of this gas limit fits a block: what it asks for and what is left for it if it does not.
    /// At most `cap` of the limit can go into execution.
    pub(crate) fn check_fits(&self, gas_limit: u64, cap: u64, block: u64) -> Result<(), (u64, u64)> {
        let counted = if self.two_dimensional {
            self.execution
        } else {
            self.paid
        };
        let (execution, available) = (gas_limit.min(cap), block.saturating_sub(counted));
        if execution > available {
            return Err((execution, available));
        }
        let available = block.saturating_sub(self.state);
        if self.two_dimensional && gas_limit > available {
            return Err((gas_limit, available));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 spent, 30 of it on state, 10 refunded.
    fn transaction() -> ResultGas {
        ResultGas::default()
            .with_total_gas_spent(100)
            .with_state_gas_spent(30)
            .with_refunded(10)
    }

    #[test]
    fn one_dimension_counts_what_is_paid() {
        let mut gas = BlockGas::new(false);
        gas.add(&transaction());
        assert_eq!((gas.paid(), gas.used()), (90, 90));
        assert_eq!(gas.check_fits(10, u64::MAX, 100), Ok(()));
        assert_eq!(gas.check_fits(11, u64::MAX, 100), Err((11, 10)));
    }

    #[test]
    fn two_dimensions_count_the_larger_before_refunds() {
        let mut gas = BlockGas::new(true);
        gas.add(&transaction());
        assert_eq!((gas.paid(), gas.used()), (90, 70));
        assert_eq!(
            gas.check_fits(70, 30, 100),
            Ok(()),
            "30 of execution, 70 of state"
        );
        assert_eq!(gas.check_fits(31, u64::MAX, 100), Err((31, 30)), "execution");
        assert_eq!(gas.check_fits(71, 30, 100), Err((71, 70)), "state");
    }
}
