//! The block access list (EIP-7928): what a block read and wrote, found by executing it.

use alloy_eip7928::{BlockAccessIndex, BlockAccessList};
use alloy_primitives::{Address, U256};
use revm::state::{EvmState, bal::Bal};

/// Gathers the accesses of a block in execution.
///
/// Indices do not decrease from call to call: 0 before the transactions, `1..=n` the transactions, `n + 1` after them.
#[derive(Debug, Default)]
pub(crate) struct BlockAccesses {
    list: Bal,
}

impl BlockAccesses {
    /// Adds everything a transaction or system call loaded, whether it changed it or not.
    pub(crate) fn record(&mut self, index: u64, journal: &EvmState) {
        for (address, account) in journal {
            self.list
                .update_account(BlockAccessIndex::new(index), *address, account);
        }
    }

    /// Adds an account that was credited outside of the EVM, be it with nothing.
    pub(crate) fn credit(&mut self, index: u64, address: Address, before: U256, after: U256) {
        let account = self.list.accounts.entry(address).or_default();
        account
            .account_info
            .balance_update(BlockAccessIndex::new(index), &before, after);
    }

    /// The list, sorted as EIP-7928 asks.
    pub(crate) fn finish(self) -> BlockAccessList {
        self.list.into_alloy_bal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_count_from_the_value_before() {
        let (credited, touched) = (Address::with_last_byte(2), Address::with_last_byte(1));
        let mut accesses = BlockAccesses::default();
        accesses.credit(1, credited, U256::from(3), U256::from(5));
        accesses.credit(1, touched, U256::from(3), U256::from(3));
        let list = accesses.finish();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].address, list[1].address), (touched, credited), "sorted");
        assert!(list[0].balance_changes.is_empty(), "nothing changed");
        assert_eq!(list[1].balance_changes[0].post_balance, U256::from(5));
    }
}
