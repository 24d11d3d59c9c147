//! The block access list of Amsterdam (EIP-7928), and the gas that its header counts (EIP-8037).

use alloy_eip7928::{AccountChanges, BlockAccessIndex, validate_block_access_list};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::SYSTEM_ADDRESS, eip4895::Withdrawal,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_evm::block::system_calls::{
    BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS, BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, U256, hex};
use rapid_evm::{ExecutionError, InvalidBlock};

use crate::bed::{MapState, PRAGUE, amsterdam, call, executor};

const SENDER: Address = Address::with_last_byte(0x51);
const RECIPIENT: Address = Address::with_last_byte(0x52);
const CONTRACT: Address = Address::with_last_byte(0x53);
const WITHDRAWER: Address = Address::with_last_byte(0x54);

/// Stores 1 in slot 1, what is there already in slot 3, and reads slot 2.
const READ_AND_WRITE: &[u8] = &hex!("600160015560006003556002545000");
/// Stores its input in slot 0.
const STORE_INPUT: &[u8] = &hex!("5f355f5500");

fn state() -> MapState {
    MapState::default()
        .with_balance(SENDER, 1 << 60)
        .with_code(CONTRACT, READ_AND_WRITE)
        .with_code(HISTORY_STORAGE_ADDRESS, STORE_INPUT)
        .with_code(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &hex!("00"))
        .with_code(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &hex!("00"))
        .with_code(BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS, &hex!("00"))
        .with_code(BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS, &hex!("00"))
}

fn of(list: &[AccountChanges], address: Address) -> &AccountChanges {
    list.iter()
        .find(|account| account.address == address)
        .unwrap_or_else(|| panic!("{address} is not in the list"))
}

fn indices<'a>(changes: impl Iterator<Item = &'a BlockAccessIndex>) -> Vec<u64> {
    changes.map(|index| index.get()).collect()
}

#[test]
fn reads_and_writes_of_a_whole_block() {
    let mut block = executor(&amsterdam(), 1, state());
    block.begin().unwrap();
    block.store_parent_hash(B256::repeat_byte(7)).unwrap();
    block.execute(&call(0, RECIPIENT, 5), SENDER).unwrap();
    block.execute(&call(1, CONTRACT, 0), SENDER).unwrap();
    block
        .execute(&call(9, RECIPIENT, 0), SENDER)
        .expect_err("a nonce too far");
    let withdrawal = Withdrawal {
        address: WITHDRAWER,
        ..Withdrawal::default()
    };
    let end = block.finish(Some(&[withdrawal]), &[]).unwrap();
    let list = end.access_list.expect("Amsterdam has access lists");
    assert_eq!(validate_block_access_list(&list, 2), Ok(()));

    let sender = of(&list, SENDER);
    assert_eq!(
        indices(sender.nonce_changes.iter().map(|c| &c.block_access_index)),
        [1, 2]
    );
    let recipient = of(&list, RECIPIENT);
    assert_eq!(
        indices(recipient.balance_changes.iter().map(|c| &c.block_access_index)),
        [1]
    );
    assert_eq!(recipient.balance_changes[0].post_balance, U256::from(5));
    let contract = of(&list, CONTRACT);
    assert_eq!(contract.storage_changes.len(), 1);
    assert_eq!(contract.storage_changes[0].slot, U256::ONE);
    assert_eq!(
        contract.storage_reads,
        [U256::from(2), U256::from(3)],
        "writing the same value is a read"
    );
    let history = of(&list, HISTORY_STORAGE_ADDRESS);
    assert_eq!(history.storage_changes[0].changes[0].block_access_index.get(), 0);
    assert!(
        !of(&list, WITHDRAWER).has_changes(),
        "a withdrawal of nothing touches"
    );
    of(&list, BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS);
    assert!(
        list.iter().all(|account| account.address != SYSTEM_ADDRESS),
        "the system address is nobody"
    );
}

/// The header counts execution and growth of the state apart; the receipts add up what is paid.
#[test]
fn the_larger_of_two_gases_counts() {
    let mut block = executor(&amsterdam(), 1, state());
    let executed = block.execute(&call(0, CONTRACT, 0), SENDER).unwrap();
    assert_eq!(executed.receipt.cumulative_gas_used, executed.gas_used);
    assert!(
        block.gas_used() < executed.gas_used,
        "{} of {}, a new slot being state",
        block.gas_used(),
        executed.gas_used
    );
    let mut block = executor(PRAGUE, 1, state());
    let executed = block.execute(&call(0, CONTRACT, 0), SENDER).unwrap();
    assert_eq!(block.gas_used(), executed.gas_used);
    assert_eq!(block.finish(Some(&[]), &[]).unwrap().access_list, None);
}

/// EIP-8282: builders' deposits and exits are requests like the others.
#[test]
fn builder_contracts_must_have_code() {
    let mut state = state();
    state.accounts.remove(&BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS);
    let contract = BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS;
    let missing = InvalidBlock::RequestContractMissing { contract };
    match executor(&amsterdam(), 1, state.clone()).finish(Some(&[]), &[]) {
        Err(ExecutionError::InvalidBlock(invalid)) => assert_eq!(invalid, missing),
        other => panic!("{other:?}"),
    }
    executor(PRAGUE, 1, state)
        .finish(Some(&[]), &[])
        .expect("Prague has none");
}
