//! Changes that no transaction makes: block and ommer rewards, withdrawals, the DAO fork.

use std::{collections::BTreeMap, fmt::Debug};

use alloy_eips::eip4895::Withdrawal;
use alloy_evm::{
    block::state_changes::post_block_balance_increments,
    eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY},
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, Fate, Header, WriteState};

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
            changes.extend(self.credit(address, U256::from(wei))?);
        }
        self.apply(&changes)?;
        Ok(changes)
    }

    /// Moves the balances of the DAO's accounts to the refund contract at the fork block, before its transactions.
    pub(crate) fn apply_dao_fork(&mut self) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let activation = self.spec().ethereum_fork_activation(EthereumHardfork::Dao);
        if !activation.transitions_at_block(self.environment().number) {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        let mut drained = U256::ZERO;
        for address in DAO_HARDFORK_ACCOUNTS {
            let account = self.state().account(&address).map_err(ExecutionError::State)?;
            let Some(balance) = account
                .map(|account| account.balance)
                .filter(|balance| !balance.is_zero())
            else {
                continue;
            };
            drained += balance;
            changes.push(AccountChange {
                balance: Some(U256::ZERO),
                ..AccountChange::new(address)
            });
        }
        changes.extend(self.credit(DAO_HARDFORK_BENEFICIARY, drained)?);
        self.apply(&changes)?;
        Ok(changes)
    }

    /// The change that adds `wei` to a balance. Crediting nothing still touches the account, so an empty one goes
    /// (EIP-161).
    fn credit(&self, address: Address, wei: U256) -> Result<Option<AccountChange>, ExecutionError<S::Error>> {
        let account = self.state().account(&address).map_err(ExecutionError::State)?;
        if wei.is_zero() {
            let clears = self
                .spec()
                .is_spurious_dragon_active_at_block(self.environment().number);
            let empty = account.is_some_and(|account| account.is_empty());
            return Ok((clears && empty).then(|| AccountChange {
                fate: Fate::Removed,
                ..AccountChange::new(address)
            }));
        }
        let balance = account.unwrap_or_default().balance + wei;
        Ok(Some(AccountChange {
            balance: Some(balance),
            ..AccountChange::new(address)
        }))
    }
}
