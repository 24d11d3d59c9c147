//! Rewards, withdrawals and the DAO fork.

use alloy_eips::eip4895::Withdrawal;
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Address, U256};
use rapid_primitives::{Account, Header};

use crate::bed::{MapState, executor};

const HOMESTEAD: &str = r#""homesteadBlock":0"#;
const SHANGHAI: &str = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"byzantiumBlock":0,
    "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
    "shanghaiTime":0"#;

fn withdrawal(address: Address, amount: u64) -> Withdrawal {
    Withdrawal {
        address,
        amount,
        ..Withdrawal::default()
    }
}

/// EIP-4895: Gwei, several to one account add up; nothing creates nothing, but clears an empty account (EIP-161).
#[test]
fn withdrawals_credit_gwei() {
    let (paid, absent, empty) = (
        Address::with_last_byte(1),
        Address::with_last_byte(2),
        Address::with_last_byte(3),
    );
    let state = MapState::default().with_balance(paid, 5).with_empty(empty);
    let mut block = executor(SHANGHAI, 1, state);
    let withdrawals = [
        withdrawal(paid, 1),
        withdrawal(absent, 0),
        withdrawal(empty, 0),
        withdrawal(paid, 2),
    ];
    block.finish(Some(&withdrawals), &[]).unwrap();
    let after = block.into_state();
    assert_eq!(after.accounts.len(), 1);
    assert_eq!(after.accounts[&paid].balance, U256::from(3_000_000_005_u64));
}

/// Yellow paper, 11.3: 5 ether, a 32nd of it more per ommer, seven eighths to the miner of one of the last generation.
#[test]
fn rewards_of_block_and_ommer() {
    let ommer_miner = Address::with_last_byte(9);
    let ommer = Header {
        number: 6,
        beneficiary: ommer_miner,
        ..Header::default()
    };
    let mut block = executor(HOMESTEAD, 7, MapState::default());
    block.finish(None, &[ommer]).unwrap();
    let after = block.into_state();
    let ether = U256::from(10).pow(U256::from(18));
    let reward = U256::from(5) * ether;
    assert_eq!(
        after.accounts[&Address::ZERO].balance,
        reward + reward / U256::from(32)
    );
    assert_eq!(
        after.accounts[&ommer_miner].balance,
        reward * U256::from(7) / U256::from(8)
    );
}

/// EIP-779: all of the DAO's accounts are emptied, and exist afterwards like everything touched before EIP-161.
#[test]
fn dao_accounts_are_drained_in_the_fork_block_alone() {
    let config = r#""homesteadBlock":0,"daoForkBlock":20,"daoForkSupport":true"#;
    let state = MapState::default()
        .with_balance(DAO_HARDFORK_ACCOUNTS[0], 3)
        .with_balance(DAO_HARDFORK_ACCOUNTS[115], 4)
        .with_balance(DAO_HARDFORK_BENEFICIARY, 5);
    for number in [19, 21] {
        let mut block = executor(config, number, state.clone());
        assert!(block.begin().unwrap().is_empty(), "block {number}");
    }
    let mut block = executor(config, 20, state);
    block.begin().unwrap();
    let after = block.into_state();
    assert_eq!(after.accounts[&DAO_HARDFORK_BENEFICIARY].balance, U256::from(12));
    for address in DAO_HARDFORK_ACCOUNTS {
        assert_eq!(after.accounts[&address], Account::default(), "{address}");
    }
}
