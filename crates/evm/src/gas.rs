//! The gas of a block in execution.

use alloy_consensus::Transaction;
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_hardforks::EthereumHardforks;
use rapid_chainspec::ChainSpec;
use rapid_primitives::TransactionSigned;
use revm::context_interface::result::ResultGas;

use crate::access_budget::most_accesses;

/// What transactions that are not in the block yet may take of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promised {
    /// Gas; from Amsterdam on what goes into execution.
    pub gas: u64,
    /// Gas for the growth of the state (EIP-8037); zero before Amsterdam.
    pub state_gas: u64,
    /// Blob gas.
    pub blob_gas: u64,
    /// Addresses and slots in the access list (EIP-7928); zero before Amsterdam.
    pub accesses: u64,
}

impl Promised {
    /// Both together.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            gas: self.gas.saturating_add(more.gas),
            state_gas: self.state_gas.saturating_add(more.state_gas),
            blob_gas: self.blob_gas + more.blob_gas,
            accesses: self.accesses + more.accesses,
        }
    }

    /// Without something that is part of it.
    #[must_use]
    pub const fn minus(self, less: Self) -> Self {
        Self {
            gas: self.gas - less.gas,
            state_gas: self.state_gas - less.state_gas,
            blob_gas: self.blob_gas - less.blob_gas,
            accesses: self.accesses - less.accesses,
        }
    }
}

/// How transactions count in what a block has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRules {
    /// By what they pay for.
    Paid,
    /// Execution, growth of the state and what is touched, each by itself, from Amsterdam on (EIP-8037, EIP-7928).
    Amsterdam,
}

impl BlockRules {
    /// The rules of a block.
    #[must_use]
    pub fn at(spec: &ChainSpec, timestamp: u64) -> Self {
        match spec.is_amsterdam_active_at_timestamp(timestamp) {
            true => Self::Amsterdam,
            false => Self::Paid,
        }
    }

    /// The most that a transaction may take.
    #[must_use]
    pub fn most(self, transaction: &TransactionSigned) -> Promised {
        let gas_limit = transaction.gas_limit();
        let blob_gas = transaction.blob_gas_used().unwrap_or_default();
        match self {
            Self::Paid => Promised {
                gas: gas_limit,
                blob_gas,
                ..Promised::default()
            },
            Self::Amsterdam => {
                let gas = gas_limit.min(MAX_TX_GAS_LIMIT_OSAKA);
                Promised {
                    gas,
                    state_gas: gas_limit,
                    blob_gas,
                    accesses: most_accesses(gas),
                }
            }
        }
    }

    /// What a transaction took that touched so much.
    #[must_use]
    pub fn taken(self, transaction: &TransactionSigned, gas: &ResultGas, accesses: usize) -> Promised {
        let blob_gas = transaction.blob_gas_used().unwrap_or_default();
        match self {
            Self::Paid => Promised {
                gas: gas.tx_gas_used(),
                blob_gas,
                ..Promised::default()
            },
            Self::Amsterdam => Promised {
                gas: gas.block_regular_gas_used(),
                state_gas: gas.block_state_gas_used(),
                blob_gas,
                accesses: accesses as u64,
            },
        }
    }
}

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

    /// Takes up a block whose transactions have paid for this much.
    pub(crate) const fn resume_paid(&mut self, paid: u64) {
        self.paid = paid;
    }

    /// Takes up transactions from Amsterdam on that have used this much besides those taken up before.
    pub(crate) const fn resume_used(&mut self, execution: u64, state: u64) {
        self.execution = self.execution.saturating_add(execution);
        self.state = self.state.saturating_add(state);
    }

    /// What went into execution and into the growth of the state.
    pub(crate) const fn dimensions(&self) -> (u64, u64) {
        (self.execution, self.state)
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

    /// Whether a transaction of this gas limit fits a block of gas limit `block` besides what is promised to others: what it
    /// asks for and what is left for it if it does not. At most `cap` of the limit can go into execution.
    pub(crate) fn check_fits(
        &self,
        gas_limit: u64,
        cap: u64,
        block: u64,
        promised: Promised,
    ) -> Result<(), (u64, u64)> {
        let counted = if self.two_dimensional {
            self.execution
        } else {
            self.paid
        };
        let (execution, available) = (
            gas_limit.min(cap),
            block.saturating_sub(counted).saturating_sub(promised.gas),
        );
        if execution > available {
            return Err((execution, available));
        }
        let available = block
            .saturating_sub(self.state)
            .saturating_sub(promised.state_gas);
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
        let fits = |gas_limit| gas.check_fits(gas_limit, u64::MAX, 100, Promised::default());
        assert_eq!((fits(10), fits(11)), (Ok(()), Err((11, 10))));
    }

    #[test]
    fn two_dimensions_count_the_larger_before_refunds() {
        let mut gas = BlockGas::new(true);
        gas.add(&transaction());
        assert_eq!((gas.paid(), gas.used()), (90, 70));
        assert_eq!(gas.dimensions(), (70, 30));
        let fits = |gas_limit, cap| gas.check_fits(gas_limit, cap, 100, Promised::default());
        assert_eq!(fits(70, 30), Ok(()), "30 of execution, 70 of state");
        assert_eq!(fits(31, u64::MAX), Err((31, 30)), "execution");
        assert_eq!(fits(71, 30), Err((71, 70)), "state");
        let others = Promised {
            gas: 5,
            state_gas: 20,
            ..Promised::default()
        };
        let beside = |gas_limit, cap| gas.check_fits(gas_limit, cap, 100, others);
        assert_eq!(beside(50, 25), Ok(()), "25 of execution, 50 of state");
        assert_eq!(beside(50, 26), Err((26, 25)));
        assert_eq!(beside(51, 25), Err((51, 50)));
    }
}
