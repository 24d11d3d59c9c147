//! Calls of system contracts: what they get, and what happens where they are missing or fail.

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use rapid_evm::{CallFailure, ExecutionError, InvalidBlock};
use rapid_primitives::ReadState;

use crate::bed::{MapState, PRAGUE, executor};

/// Returns nothing.
const STOP: &[u8] = &hex!("00");
const REVERT: &[u8] = &hex!("5f5ffd");
const INVALID: &[u8] = &hex!("fe");
/// Returns the gas left after the first instruction, which costs 2.
const RETURN_GAS: &[u8] = &hex!("5a5f5260205ff3");
/// Stores its input in slot 0.
const STORE_INPUT: &[u8] = &hex!("5f355f5500");

/// A state in which the request contracts have this code.
fn with_request_contracts(withdrawals: &[u8], consolidations: &[u8]) -> MapState {
    MapState::default()
        .with_code(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, withdrawals)
        .with_code(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, consolidations)
}

fn refuse(state: MapState) -> InvalidBlock {
    match executor(PRAGUE, 1, state).finish(Some(&[]), &[]) {
        Err(ExecutionError::InvalidBlock(invalid)) => invalid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_contract_must_have_code() {
    let contract = WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
    assert_eq!(
        refuse(MapState::default()),
        InvalidBlock::RequestContractMissing { contract }
    );
    assert_eq!(
        refuse(MapState::default().with_balance(contract, 1)),
        InvalidBlock::RequestContractMissing { contract },
        "a balance is no code"
    );
    let contract = CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
    assert_eq!(
        refuse(MapState::default().with_code(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, STOP)),
        InvalidBlock::RequestContractMissing { contract }
    );
}

#[test]
fn the_call_of_a_request_contract_must_succeed() {
    let contract = CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
    let failure = CallFailure::Revert(Bytes::new());
    assert_eq!(
        refuse(with_request_contracts(STOP, REVERT)),
        InvalidBlock::RequestCallFailed { contract, failure }
    );
    let invalid = refuse(with_request_contracts(STOP, INVALID));
    assert!(
        matches!(
            invalid,
            InvalidBlock::RequestCallFailed {
                failure: CallFailure::Halt(_),
                ..
            }
        ),
        "{invalid}"
    );
}

/// EIP-7002, EIP-7251: 30 million gas, and what the contract returns is the request.
#[test]
fn a_system_call_has_its_own_gas() {
    let end = executor(PRAGUE, 1, with_request_contracts(STOP, RETURN_GAS))
        .finish(Some(&[]), &[])
        .expect("both contracts succeed");
    let requests = end.requests.expect("Prague has requests");
    assert_eq!(requests.len(), 1, "nothing returned is no request");
    assert_eq!(requests[0][0], 2);
    assert_eq!(U256::from_be_slice(&requests[0][1..]), U256::from(30_000_000 - 2));
}

#[test]
fn roots_are_stored_before_the_transactions() {
    let state = MapState::default()
        .with_code(BEACON_ROOTS_ADDRESS, STORE_INPUT)
        .with_code(HISTORY_STORAGE_ADDRESS, STORE_INPUT);
    let stored = |state: &MapState, contract: Address| state.storage(&contract, &U256::ZERO).unwrap();
    let parent = B256::repeat_byte(7);
    let mut block = executor(PRAGUE, 1, state.clone());
    block.begin().unwrap();
    block.store_parent_hash(parent).unwrap();
    let after = block.into_state();
    assert_eq!(
        stored(&after, BEACON_ROOTS_ADDRESS),
        U256::from_be_bytes([0xbe; 32])
    );
    assert_eq!(
        stored(&after, HISTORY_STORAGE_ADDRESS),
        U256::from_be_bytes(parent.0)
    );
    let mut genesis = executor(PRAGUE, 0, state);
    genesis.begin().unwrap();
    genesis.store_parent_hash(parent).unwrap();
    assert_eq!(stored(&genesis.into_state(), BEACON_ROOTS_ADDRESS), U256::ZERO);
}

/// EIP-4788, EIP-2935: neither a missing nor a failing contract makes the block invalid.
#[test]
fn a_root_that_cannot_be_stored_is_ignored() {
    let failing = MapState::default()
        .with_code(BEACON_ROOTS_ADDRESS, REVERT)
        .with_code(HISTORY_STORAGE_ADDRESS, INVALID);
    for state in [MapState::default(), failing] {
        let accounts = state.accounts.clone();
        let mut block = executor(PRAGUE, 1, state);
        assert!(block.begin().unwrap().is_empty());
        assert!(block.store_parent_hash(B256::ZERO).unwrap().is_empty());
        assert_eq!(block.into_state().accounts, accounts);
    }
}
