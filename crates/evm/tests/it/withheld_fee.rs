//! Transactions one at a time, with the beneficiary's fee credited and kept back.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Signature, U256};
use rapid_evm::{
    Compiler, ExecutionError, NoBlockHashes, Ran, StateDb, TransactionExecutor, account_changes,
};
use rapid_primitives::{BlockEnvironment, TransactionSigned};

use crate::bed::{MapState, PRAGUE, SENDER, amsterdam, chain};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const CONTRACT: Address = Address::repeat_byte(0xc0);

/// Stores the balance of the block's beneficiary.
const READS_BENEFICIARY: &[u8] = &[0x41, 0x31, 0x5f, 0x55];

/// Stores the number of the block.
const STORES: &[u8] = &[0x43, 0x5f, 0x55];

fn environment(number: u64) -> BlockEnvironment {
    BlockEnvironment {
        number,
        timestamp: number,
        beneficiary: BENEFICIARY,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(7),
        excess_blob_gas: Some(0),
        ..BlockEnvironment::default()
    }
}

fn call(to: Address) -> TransactionSigned {
    let call = TxEip1559 {
        chain_id: 9,
        gas_limit: 1_000_000,
        max_fee_per_gas: 20,
        max_priority_fee_per_gas: 5,
        to: to.into(),
        value: U256::from(3),
        ..TxEip1559::default()
    };
    call.into_signed(Signature::new(U256::ONE, U256::ONE, false))
        .into()
}

fn executor(config: &str, code: &[u8]) -> TransactionExecutor<StateDb<MapState, NoBlockHashes>> {
    let state = MapState::default()
        .with_balance(SENDER, 1 << 40)
        .with_balance(BENEFICIARY, 11)
        .with_code(CONTRACT, code);
    let database = StateDb::new(state, NoBlockHashes);
    TransactionExecutor::new(&chain(config), &environment(1), database, &Compiler::none())
}

#[test]
fn the_fee_is_what_the_beneficiary_would_have_got() {
    for config in [PRAGUE, &amsterdam()] {
        for to in [CONTRACT, Address::with_last_byte(9)] {
            let mut executor = executor(config, STORES);
            let Ran { result, journal, .. } = executor.run(&call(to), SENDER).unwrap();
            executor.database_mut().withhold_from(BENEFICIARY);
            let withheld = executor.run_withholding_fee(&call(to), SENDER).unwrap();
            assert_eq!(withheld.result, result);
            assert_eq!(withheld.withheld_fee, U256::from(5 * result.tx_gas_used()));
            let mut changes = account_changes(&withheld.journal, executor.fork());
            assert!(changes.iter().all(|change| change.address != BENEFICIARY));
            let credited = account_changes(&journal, executor.fork());
            let credit = credited.iter().find(|change| change.address == BENEFICIARY);
            let credit = credit.cloned().unwrap();
            assert_eq!(credit.balance, Some(U256::from(11) + withheld.withheld_fee));
            changes.push(credit);
            changes.sort_by_key(|change| change.address);
            assert_eq!(changes, credited);
        }
    }
}

#[test]
fn who_looks_at_the_beneficiary_is_stopped_while_fees_are_withheld() {
    let mut executor = executor(PRAGUE, READS_BENEFICIARY);
    executor.run(&call(CONTRACT), SENDER).unwrap();
    executor.database_mut().withhold_from(BENEFICIARY);
    for to in [CONTRACT, BENEFICIARY] {
        let stopped = executor.run_withholding_fee(&call(to), SENDER);
        assert!(
            matches!(stopped, Err(ExecutionError::BeneficiaryRead)),
            "{stopped:?}"
        );
    }
    executor.run_withholding_fee(&call(SENDER), SENDER).unwrap();
}

#[test]
fn another_block_has_its_own_environment_and_fork() {
    let config = format!(r#"{PRAGUE},"osakaTime":5"#);
    let spec = chain(&config);
    let mut executor = executor(&config, STORES);
    for number in [2, 7] {
        executor.enter_block(&spec, &environment(number));
        let ran = executor.run(&call(CONTRACT), SENDER).unwrap();
        let changes = ran.into_changes(executor.fork());
        let stored = changes.iter().find(|change| change.address == CONTRACT).unwrap();
        assert_eq!(stored.storage, [(U256::ZERO, U256::from(number))]);
    }
    assert!(executor.fork() >= revm::primitives::hardfork::SpecId::OSAKA);
}
