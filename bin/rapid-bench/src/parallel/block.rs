//! A scenario as a block that executors take, and what executing it must come to.

use crate::{
    chain::ChainTerms,
    scenario::{Scenario, ScenarioKind},
};
use alloy_consensus::SignableTransaction;
use alloy_eip7928::BlockAccessList;
use alloy_evm::block::system_calls::{
    BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS, BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use clap::ValueEnum;
use eyre::{OptionExt, ensure, eyre};
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockExecutor, Compiler, NoBlockHashes, StateDb};
use rapid_primitives::{
    AccountChange, BlockEnvironment, CodeChange, DiffBuilder, ReadState, Receipt, StateDiff,
    TransactionSigned, WriteState,
};
use rapid_state::{ReadSet, State, StateConfig};
use revm::bytecode::opcode;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// Fee cap of the transactions, tip, and base fee of the block, in wei.
const MAX_FEE: u128 = 10_000_000_000;
const PRIORITY_FEE: u128 = 1_000_000_000;
const BASE_FEE: u64 = 1_000_000;
/// More gas than any block here takes.
const GAS_LIMIT: u64 = 1 << 50;
/// After the genesis of the chain.
const TIMESTAMP: u64 = 1_800_000_000;
/// Hash of the block before.
pub(crate) const PARENT_HASH: B256 = B256::repeat_byte(0xaa);
/// Receiver of the fees.
const BENEFICIARY: Address = Address::repeat_byte(0xfe);

/// Rules that blocks are executed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fork {
    /// Headers commit to no access list; validation is given the state diff
    Osaka,
    /// Headers commit to the block access list (EIP-7928), which validation is given and has to prove
    Amsterdam,
}

impl Fork {
    fn chain(self) -> eyre::Result<ChainSpec> {
        let realtime = ChainSpec::realtime();
        Ok(match self {
            Self::Osaka => realtime,
            Self::Amsterdam => {
                let mut genesis = realtime.genesis().clone();
                genesis.config.amsterdam_time = Some(0);
                // Contracts that the end of a block calls; nobody asks them for anything here.
                for predeploy in [
                    BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS,
                    BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS,
                ] {
                    let account = genesis.alloc.entry(predeploy).or_default();
                    account.code = Some(Bytes::from_static(&[opcode::STOP]));
                }
                ChainSpec::from_genesis(genesis)?
            }
        })
    }

    fn environment(self) -> BlockEnvironment {
        BlockEnvironment {
            number: 1,
            timestamp: TIMESTAMP,
            beneficiary: BENEFICIARY,
            gas_limit: GAS_LIMIT,
            base_fee_per_gas: Some(BASE_FEE),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::repeat_byte(0xbe)),
            slot_number: (self == Self::Amsterdam).then_some(1),
            ..BlockEnvironment::default()
        }
    }
}

/// A block to be executed.
#[derive(Debug)]
pub(crate) struct Block {
    /// What it was drawn as.
    pub(crate) kind: ScenarioKind,
    /// Its rules.
    pub(crate) fork: Fork,
    /// The chain.
    pub(crate) spec: Arc<ChainSpec>,
    /// Its environment.
    pub(crate) environment: BlockEnvironment,
    /// Its transactions, whose signatures nobody looks at.
    pub(crate) transactions: Vec<TransactionSigned>,
    /// Their senders.
    pub(crate) senders: Vec<Address>,
    /// The state before it.
    before: Vec<AccountChange>,
}

/// What a block comes to if it is executed in some order.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// In that order.
    pub(crate) receipts: Vec<Receipt>,
    /// Everything that transactions changed, with the values after them.
    pub(crate) changes: Vec<AccountChange>,
    /// What changed when, also before and after the transactions.
    pub(crate) diff: StateDiff,
    /// The block access list; none before Amsterdam.
    pub(crate) access_list: Option<BlockAccessList>,
}

impl Block {
    /// Draws a block.
    ///
    /// # Errors
    /// If the scenario cannot be drawn.
    pub(crate) fn draw(kind: ScenarioKind, count: usize, seed: u64, fork: Fork) -> eyre::Result<Self> {
        let scenario = Scenario::draw(kind, count, seed)?;
        let spec = Arc::new(fork.chain()?);
        let terms = ChainTerms {
            chain_id: spec.chain_id(),
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: PRIORITY_FEE,
        };
        let transactions = scenario.transactions.iter().map(|planned| {
            let unsigned = terms.transaction(planned.intent.clone(), planned.nonce);
            unsigned
                .into_signed(Signature::new(U256::ONE, U256::ONE, false))
                .into()
        });
        let senders = scenario
            .transactions
            .iter()
            .map(|planned| scenario.senders[planned.sender].address());
        Ok(Self {
            kind,
            fork,
            environment: fork.environment(),
            transactions: transactions.collect(),
            senders: senders.collect(),
            before: allocation(&spec.genesis().alloc)
                .chain(allocation(&scenario.allocation))
                .collect(),
            spec,
        })
    }

    /// The first so many transactions on the same state.
    pub(crate) fn shortened(&self, count: usize) -> Self {
        Self {
            kind: self.kind,
            fork: self.fork,
            spec: Arc::clone(&self.spec),
            environment: self.environment.clone(),
            transactions: self.transactions.iter().take(count).cloned().collect(),
            senders: self.senders.iter().take(count).copied().collect(),
            before: self.before.clone(),
        }
    }

    /// How many transactions it has.
    pub(crate) const fn len(&self) -> usize {
        self.transactions.len()
    }

    /// The state before it, that nobody else has: a version that is published.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn state(&self) -> eyre::Result<State> {
        let state = State::new(StateConfig::default())?;
        let version = state.commit(&ReadSet::new(), &self.before)?;
        state.publish(version);
        Ok(state)
    }

    /// The sequential executor at the block's first transaction, and what preceded that.
    ///
    /// # Errors
    /// If what precedes it fails.
    pub(crate) fn begin<S: WriteState + Debug>(
        &self,
        state: S,
        compiler: &Compiler,
    ) -> eyre::Result<(BlockExecutor<S, NoBlockHashes>, Vec<AccountChange>)> {
        let database = StateDb::new(state, NoBlockHashes);
        let (spec, environment) = (Arc::clone(&self.spec), self.environment.clone());
        let mut executor = BlockExecutor::new(spec, environment, database, compiler);
        let mut changes = executor.begin().map_err(|error| eyre!("begin: {error}"))?;
        let stored = executor.store_parent_hash(PARENT_HASH);
        changes.extend(stored.map_err(|error| eyre!("parent hash: {error}"))?);
        Ok((executor, changes))
    }

    /// Executes it in its own order.
    ///
    /// # Errors
    /// If a transaction is refused or does not succeed.
    pub(crate) fn expected(&self) -> eyre::Result<Expected> {
        let order: Vec<_> = (0..self.len()).collect();
        self.expected_in(&order)
    }

    /// Executes its transactions in another order, one by one.
    ///
    /// # Errors
    /// If `order` is none, or a transaction is refused in it or does not succeed.
    pub(crate) fn expected_in(&self, order: &[usize]) -> eyre::Result<Expected> {
        let mut seen = vec![false; self.len()];
        for &index in order {
            let first = seen.get_mut(index).ok_or_eyre("no such transaction")?;
            ensure!(
                !std::mem::replace(first, true),
                "transaction {index} is there twice"
            );
        }
        ensure!(order.len() == self.len(), "transactions are missing");
        let (mut executor, before) = self.begin(self.state()?.newest(), &Compiler::none())?;
        let (mut whole, mut transactions) = (DiffBuilder::new(), DiffBuilder::new());
        whole.push(0, &before);
        let mut receipts = Vec::with_capacity(order.len());
        for (position, &index) in (1..).zip(order) {
            let executed = executor
                .execute(&self.transactions[index], self.senders[index])
                .map_err(|error| eyre!("transaction {index}: {error}"))?;
            ensure!(executed.receipt.success, "transaction {index} failed");
            whole.push(position, &executed.changes);
            transactions.push(position, &executed.changes);
            receipts.push(executed.receipt);
        }
        let end = executor
            .finish(None, &[])
            .map_err(|error| eyre!("end: {error}"))?;
        whole.push(u32::try_from(order.len())? + 1, &end.changes);
        Ok(Expected {
            receipts,
            changes: transactions.finish().collapse(),
            diff: whole.finish(),
            access_list: end.access_list,
        })
    }
}

impl Expected {
    /// Gas of the whole block.
    pub(crate) fn gas(&self) -> u64 {
        self.receipts
            .last()
            .map_or(0, |receipt| receipt.cumulative_gas_used)
    }

    /// Whether an executor came to the same.
    ///
    /// # Errors
    /// If it did not.
    pub(crate) fn check(&self, receipts: &[Receipt], after: &impl ReadState) -> eyre::Result<()> {
        ensure!(receipts.len() == self.receipts.len(), "receipts are missing");
        for (index, (got, expected)) in receipts.iter().zip(&self.receipts).enumerate() {
            ensure!(
                got == expected,
                "receipt {index} differs: {got:?}, not {expected:?}"
            );
        }
        self.check_values(after)
    }

    /// Whether a state has the values after the block.
    ///
    /// # Errors
    /// If it has others.
    pub(crate) fn check_values(&self, after: &impl ReadState) -> eyre::Result<()> {
        for change in &self.changes {
            let address = change.address;
            let account = after.account(&address)?.unwrap_or_default();
            ensure!(
                change.nonce.is_none_or(|nonce| nonce == account.nonce),
                "nonce of {address} differs"
            );
            ensure!(
                change.balance.is_none_or(|balance| balance == account.balance),
                "balance of {address} differs"
            );
            ensure!(
                change
                    .code
                    .as_ref()
                    .is_none_or(|code| code.hash == account.code_hash),
                "code of {address} differs"
            );
            for (slot, value) in &change.storage {
                let got = after.storage(&address, slot)?;
                ensure!(got == *value, "slot {slot} of {address} is {got}, not {value}");
            }
        }
        Ok(())
    }
}

fn allocation(accounts: &BTreeMap<Address, GenesisAccount>) -> impl Iterator<Item = AccountChange> {
    accounts.iter().map(|(address, account)| AccountChange {
        nonce: account.nonce,
        balance: Some(account.balance),
        code: account
            .code
            .as_ref()
            .filter(|code: &&Bytes| !code.is_empty())
            .map(|code| CodeChange::new(code.clone())),
        storage: account
            .storage
            .iter()
            .flatten()
            .map(|(slot, value)| (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0)))
            .collect(),
        ..AccountChange::new(*address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each kind a block is executed, in its own order and in another one that keeps each sender's.
    #[test]
    fn every_transaction_of_every_kind_succeeds() {
        let kinds = ScenarioKind::value_variants().iter().copied();
        let forks = Fork::value_variants();
        for (kind, &fork) in kinds.flat_map(|kind| forks.iter().map(move |fork| (kind, fork))) {
            let block = Block::draw(kind, kind.count(240), 7, fork).unwrap();
            let expected = block.expected().unwrap();
            assert_eq!(expected.access_list.is_some(), fork == Fork::Amsterdam);
            assert_eq!(expected.receipts.len(), kind.count(240), "{kind:?}");
            assert!(!expected.changes.is_empty());
            let state = block.state().unwrap().newest();
            assert!(
                expected.check_values(&state).is_err(),
                "{kind:?}: nothing was changed"
            );
            let mut order: Vec<_> = (0..block.len()).collect();
            order.sort_by_key(|&index| block.senders[index]);
            block.expected_in(&order).unwrap();
        }
    }

    #[test]
    fn orders_have_every_transaction_once() {
        let block = Block::draw(ScenarioKind::Transfers, 3, 1, Fork::Osaka).unwrap();
        assert!(block.expected_in(&[2, 0, 1]).is_ok());
        for order in [[0, 0, 1].as_slice(), &[0, 1], &[0, 1, 3]] {
            assert!(block.expected_in(order).is_err(), "{order:?}");
        }
    }
}
