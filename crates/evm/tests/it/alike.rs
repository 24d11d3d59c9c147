//! revm's EVM as alloy-evm sets it up, and ours, side by side.

use alloy_evm::{EthEvmFactory, Evm, EvmEnv, EvmFactory};
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use rapid_evm::{Compiler, RapidEvmFactory};
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::result::{EVMError, ResultAndState},
    database::InMemoryDB,
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

/// Who calls.
pub(crate) const CALLER: Address = Address::repeat_byte(0xca);
/// The first contract; more of them follow.
pub(crate) const CONTRACT: Address = Address::repeat_byte(0xc0);
/// The second.
pub(crate) const OTHER: Address = Address::repeat_byte(0xc1);

/// What an execution gave.
pub(crate) type Outcome = Result<ResultAndState, EVMError<std::convert::Infallible>>;

/// A state with a caller who has funds, and contracts.
pub(crate) fn state(contracts: &[(Address, &[u8])]) -> InMemoryDB {
    let mut state = InMemoryDB::default();
    let funds = AccountInfo::from_balance(U256::from(10).pow(U256::from(18)));
    state.insert_account_info(CALLER, funds);
    for (address, code) in contracts {
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        let info = AccountInfo {
            balance: U256::from(1000),
            nonce: 1,
            code_hash: keccak256(code.original_bytes()),
            code: Some(code),
            ..AccountInfo::default()
        };
        state.insert_account_info(*address, info);
    }
    state
}

/// A call of the first contract.
pub(crate) fn call(gas_limit: u64, input: &[u8]) -> TxEnv {
    TxEnv {
        caller: CALLER,
        kind: TxKind::Call(CONTRACT),
        gas_limit,
        data: Bytes::copy_from_slice(input),
        chain_id: None,
        ..TxEnv::default()
    }
}

/// The environment of a fork.
pub(crate) fn environment(fork: SpecId) -> EvmEnv {
    EvmEnv::new(CfgEnv::new_with_spec(fork), BlockEnv::default())
}

/// What revm gives.
pub(crate) fn reference(fork: SpecId, state: &InMemoryDB, transaction: &TxEnv) -> Outcome {
    EthEvmFactory::default()
        .create_evm(state.clone(), environment(fork))
        .transact_raw(transaction.clone())
}

/// What ours gives with a compiler.
pub(crate) fn ours(fork: SpecId, state: &InMemoryDB, transaction: &TxEnv, compiler: &Compiler) -> Outcome {
    RapidEvmFactory::new(compiler.clone())
        .create_evm(state.clone(), environment(fork))
        .transact_raw(transaction.clone())
}

/// Fails unless both are alike in everything: result, gas, logs, halt reason, every change of state.
pub(crate) fn assert_alike(reference: &Outcome, ours: &Outcome, what: &str) {
    match (reference, ours) {
        (Ok(reference), Ok(ours)) => assert_eq!(reference, ours, "{what}"),
        (Err(reference), Err(ours)) => assert_eq!(reference.to_string(), ours.to_string(), "{what}"),
        (reference, ours) => panic!("{what}: {reference:?} and {ours:?}"),
    }
}
