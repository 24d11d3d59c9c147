//! A state in a map, and executors over it.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
};

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::{BlockExecutor, Compiler, NoBlockHashes, StateDb};
use rapid_primitives::{
    Account, AccountChange, BlockEnvironment, CodeChange, Fate, ReadState, TransactionSigned, WriteState,
};
use revm::bytecode::Bytecode;

/// Every fork up to Prague from genesis on, to be continued.
pub(crate) const PRAGUE: &str = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"byzantiumBlock":0,
    "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
    "shanghaiTime":0,"cancunTime":0,"pragueTime":0"#;

/// The same up to Amsterdam.
pub(crate) fn amsterdam() -> String {
    format!(r#"{PRAGUE},"osakaTime":0,"amsterdamTime":0"#)
}

/// A chain with this configuration.
pub(crate) fn chain(config: &str) -> ChainSpec {
    ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,{config}}},"gasLimit":"0x1c9c380"}}"#
    ))
    .expect("a well-formed test chain")
}

/// Accounts, storage and code.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapState {
    pub(crate) accounts: BTreeMap<Address, Account>,
    storage: HashMap<(Address, U256), U256>,
    code: HashMap<B256, Bytecode>,
}

impl MapState {
    /// With an account of this balance.
    pub(crate) fn with_balance(mut self, address: Address, balance: u64) -> Self {
        let change = AccountChange {
            balance: Some(U256::from(balance)),
            ..AccountChange::new(address)
        };
        self.change(&change);
        self
    }

    /// With a contract.
    pub(crate) fn with_code(mut self, address: Address, code: &[u8]) -> Self {
        let change = AccountChange {
            nonce: Some(1),
            code: Some(CodeChange::new(Bytes::copy_from_slice(code))),
            ..AccountChange::new(address)
        };
        self.change(&change);
        self
    }

    /// With an empty account, as only forks before Spurious Dragon make them.
    pub(crate) fn with_empty(mut self, address: Address) -> Self {
        self.change(&AccountChange {
            fate: Fate::CreatedEmpty,
            ..AccountChange::new(address)
        });
        self
    }

    fn change(&mut self, change: &AccountChange) {
        let before = self.accounts.remove(&change.address);
        if change.clears_storage() {
            self.storage.retain(|(address, _), _| *address != change.address);
        }
        if let Some(code) = &change.code {
            self.code.insert(code.hash, Bytecode::new_raw(code.code.clone()));
        }
        for (slot, value) in &change.storage {
            self.storage.insert((change.address, *slot), *value);
        }
        if let Some(after) = change.apply_to(before) {
            self.accounts.insert(change.address, after);
        }
    }
}

impl ReadState for MapState {
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Infallible> {
        Ok(self.storage.get(&(*address, *slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Infallible> {
        Ok(self.code.get(hash).cloned())
    }
}

impl WriteState for MapState {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), Infallible> {
        changes.iter().for_each(|change| self.change(change));
        Ok(())
    }
}

/// Who sends where a test does not say.
pub(crate) const SENDER: Address = Address::repeat_byte(0x5e);

/// An executor of block `number` of a chain with this configuration, which interprets everything.
pub(crate) fn executor(config: &str, number: u64, state: MapState) -> BlockExecutor<MapState, NoBlockHashes> {
    executor_with(config, number, state, &Compiler::none())
}

/// The same with a compiler.
pub(crate) fn executor_with(
    config: &str,
    number: u64,
    state: MapState,
    compiler: &Compiler,
) -> BlockExecutor<MapState, NoBlockHashes> {
    let spec = chain(config);
    let cancun = spec.is_cancun_active_at_timestamp(number);
    let environment = BlockEnvironment {
        number,
        timestamp: number,
        gas_limit: 30_000_000,
        base_fee_per_gas: spec.is_london_active_at_block(number).then_some(0),
        excess_blob_gas: cancun.then_some(0),
        parent_beacon_block_root: cancun.then_some(B256::repeat_byte(0xbe)),
        slot_number: spec.is_amsterdam_active_at_timestamp(number).then_some(77),
        ..BlockEnvironment::default()
    };
    let database = StateDb::new(state, NoBlockHashes);
    BlockExecutor::new(Arc::new(spec), environment, database, compiler)
}

/// A call with value. Nobody looks at the signature.
pub(crate) fn call(nonce: u64, to: Address, value: u64) -> TransactionSigned {
    let transaction = TxLegacy {
        nonce,
        gas_limit: 1_000_000,
        to: to.into(),
        value: U256::from(value),
        ..TxLegacy::default()
    };
    transaction
        .into_signed(Signature::new(U256::ONE, U256::ONE, false))
        .into()
}
