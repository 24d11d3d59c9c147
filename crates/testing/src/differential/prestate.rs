//! The state and environment that a case's transactions start from.

use std::{collections::HashMap, convert::Infallible};

use revm::{
    Context, DatabaseRef, MainContext,
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
    context_interface::block::BlobExcessGasAndPrice,
    database::WrapDatabaseRef,
    database_interface::DBErrorMarker,
    handler::EthPrecompiles,
    primitives::{Address, B256, Bytes, TxKind, U256, hardfork::SpecId, keccak256},
    state::AccountInfo,
};

use crate::differential::{Call, Case, Target, TracedEvm};

/// The accounts of a case. Every transaction starts from it; none changes it.
#[derive(Debug)]
pub struct Prestate<'c> {
    case: &'c Case,
    accounts: HashMap<Address, AccountInfo>,
    storage: HashMap<(Address, U256), U256>,
}

/// The context of a transaction on a prestate.
pub(crate) type CaseContext<'p> =
    Context<BlockEnv, TxEnv, CfgEnv, CaseDatabase<'p>, Journal<CaseDatabase<'p>>, ()>;
type CaseDatabase<'p> = WrapDatabaseRef<&'p Prestate<'p>>;

/// The EVM of a case, its frames run by `R`.
pub type MainnetEvm<'p, R> = TracedEvm<CaseContext<'p>, EthPrecompiles, R>;

/// Wei the sender has.
const SENDER_BALANCE: u128 = 1 << 120;
const GAS_PRICE: u64 = 7;

impl<'c> Prestate<'c> {
    /// The accounts of a case.
    #[must_use]
    pub fn new(case: &'c Case) -> Self {
        let mut accounts = HashMap::new();
        let mut storage = HashMap::new();
        accounts.insert(
            Case::sender(),
            AccountInfo::from_balance(U256::from(SENDER_BALANCE)),
        );
        for (index, contract) in case.contracts.iter().enumerate() {
            let address = Case::address(index);
            let code = Bytes::copy_from_slice(&contract.code);
            // A delegation (EIP-7702) that is not one is plain code.
            let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
            let info = AccountInfo::from_bytecode(code)
                .with_nonce(1)
                .with_balance(U256::from(contract.balance));
            accounts.insert(address, info);
            storage.extend(
                contract
                    .storage
                    .iter()
                    .map(|(key, value)| ((address, *key), *value)),
            );
        }
        Self {
            case,
            accounts,
            storage,
        }
    }

    /// An EVM on these accounts.
    pub fn evm<R>(&self, runner: R) -> MainnetEvm<'_, R> {
        let spec = self.case.spec;
        let cap = self
            .case
            .gas_cap
            .filter(|_| spec.is_enabled_in(SpecId::AMSTERDAM));
        let context = Context::mainnet()
            .with_db(WrapDatabaseRef(self))
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(spec);
                cfg.set_gas_params(self.case.prices.gas_params(spec));
                cfg.memory_limit = self.case.memory_limit.unwrap_or(cfg.memory_limit);
                cfg.tx_gas_limit_cap = cap.or(Some(u64::MAX));
                cfg.disable_block_gas_limit = true;
            })
            .modify_block_chained(set_block);
        let mut evm = TracedEvm::ethereum(context, spec, runner);
        *evm.inner.instruction.gas_table_mut() = self.case.prices.gas_table(spec);
        evm
    }

    /// A call as a transaction.
    #[must_use]
    pub fn transaction(&self, call: &Call, gas_limit: u64) -> TxEnv {
        let (kind, data) = match call.target {
            Target::Contract => (TxKind::Call(Case::address(0)), call.data.clone()),
            Target::Create => {
                let code = self.case.contracts.first().map_or(&[][..], |first| &first.code);
                (TxKind::Create, [code, &call.data].concat())
            }
        };
        TxEnv {
            caller: Case::sender(),
            gas_limit,
            gas_price: GAS_PRICE.into(),
            kind,
            value: U256::from(call.value),
            data: data.into(),
            chain_id: None,
            ..TxEnv::default()
        }
    }
}

fn set_block(block: &mut BlockEnv) {
    block.number = U256::from(0x10_0000);
    block.beneficiary = Address::with_last_byte(0xbe);
    block.timestamp = U256::from(0x6543_2100);
    block.gas_limit = 30_000_000;
    block.basefee = GAS_PRICE;
    block.difficulty = U256::from(0x2_0000);
    block.prevrandao = Some(B256::repeat_byte(0x5a));
    block.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice {
        excess_blob_gas: 0,
        blob_gasprice: 3,
    });
    block.slot_num = 99;
}

/// A prestate has everything.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoError(Infallible);

impl DBErrorMarker for NoError {}

impl DatabaseRef for &Prestate<'_> {
    type Error = NoError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, NoError> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, NoError> {
        let account = self.accounts.values().find(|account| account.code_hash == hash);
        Ok(account
            .and_then(|account| account.code.clone())
            .unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, key: U256) -> Result<U256, NoError> {
        Ok(self.storage.get(&(address, key)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, NoError> {
        Ok(keccak256(number.to_be_bytes()))
    }
}
