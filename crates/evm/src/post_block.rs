//! Changes that no transaction makes: block and ommer rewards, withdrawals, the DAO fork.

use std::{collections::BTreeMap, fmt::Debug};

use alloy_eips::eip4895::Withdrawal;
use alloy_evm::{
    block::state_changes::post_block_balance_increments,
    eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY},
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::{Address, U256};
use rapid_primitives::{Account, AccountChange, Fate, Header, WriteState};

use crate::{BlockExecutor, BlockHashes, ExecutionError, evm_environment};

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// Credits the rewards of proof-of-work blocks (yellow paper 11.3) and the withdrawals of EIP-4895.
    pub(crate) fn credit_rewards_and_withdrawals(
        &mut self,
        withdrawals: Option<&[Withdrawal]>,
        ommers: &[Header],
    ) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let block = evm_environment(self.spec(), self.environment()).block_env;
        let credits: BTreeMap<Address, u128> =
            post_block_balance_increments(self.spec(), &block, ommers, withdrawals)
                .into_iter()
                .collect();
        let mut changes = Vec::with_capacity(credits.len());
        for (address, wei) in credits {
            let account = self.state().account(&address).map_err(ExecutionError::State)?;
            let before = account.unwrap_or_default().balance;
            let after = before + U256::from(wei);
            let index = self.index_after_transactions();
            if let Some(accesses) = self.accesses_mut() {
                accesses.credit(index, address, before, after);
            }
            changes.extend(self.credit(address, account, after));
        }
        self.apply(&changes)?;
        Ok(changes)
    }

    /// Moves the balances of the DAO's accounts to the refund contract at the fork block, before its transactions
    /// (EIP-779).
    pub(crate) fn apply_dao_fork(&mut self) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let activation = self.spec().ethereum_fork_activation(EthereumHardfork::Dao);
        if !activation.transitions_at_block(self.environment().number) {
            return Ok(Vec::new());
        }
        let mut changes = Vec::with_capacity(DAO_HARDFORK_ACCOUNTS.len() + 1);
        let mut drained = U256::ZERO;
        for address in DAO_HARDFORK_ACCOUNTS {
            let account = self.state().account(&address).map_err(ExecutionError::State)?;
            drained += account.unwrap_or_default().balance;
            changes.push(self.balance_change(address, account, U256::ZERO));
        }
        let refund = DAO_HARDFORK_BENEFICIARY;
        let account = self.state().account(&refund).map_err(ExecutionError::State)?;
        let balance = account.unwrap_or_default().balance + drained;
        changes.push(self.balance_change(refund, account, balance));
        self.apply(&changes)?;
        Ok(changes)
    }

    /// Sets a balance. Until empty accounts are cleared (EIP-161), one that was set exists, even if it is empty.
    fn balance_change(&self, address: Address, account: Option<Account>, balance: U256) -> AccountChange {
        let after = Account {
            balance,
            ..account.unwrap_or_default()
        };
        let fate = if after.is_empty() && !self.clears_empty_accounts() {
            Fate::CreatedEmpty
        } else {
            Fate::Kept
        };
        AccountChange {
            balance: Some(balance),
            fate,
            ..AccountChange::new(address)
        }
    }

    fn clears_empty_accounts(&self) -> bool {
        self.spec()
            .is_spurious_dragon_active_at_block(self.environment().number)
    }

    /// The change that raises a balance. Crediting nothing still touches the account, so an empty one goes (EIP-161).
    fn credit(&self, address: Address, account: Option<Account>, balance: U256) -> Option<AccountChange> {
        if balance != account.unwrap_or_default().balance {
            return Some(self.balance_change(address, account, balance));
        }
        let empty = account.is_some_and(|account| account.is_empty());
        (empty && self.clears_empty_accounts()).then(|| AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(address)
        })
    }
}
