//! Accounts, tokens and pools of a scenario, as a genesis allocation.

use crate::{
    contracts,
    jit::{prepared::Prepared, workload::Workload},
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use eyre::{OptionExt, ensure};
use std::collections::BTreeMap;

/// Slot of `Token.balanceOf` and of `Token.allowance`.
const BALANCES_SLOT: u64 = 2;
const ALLOWANCES_SLOT: u64 = 3;

/// Tokens that whoever has any gets, in the smallest unit.
pub(super) const TOKENS: u128 = 1_000_000_000_000_000_000_000_000;
/// What a pool has of each token.
const RESERVE: u128 = 1_000_000_000_000_000_000_000_000_000;

/// Stand for a pair's tokens in its code, until they are known.
const TOKEN_MARKS: [Address; 2] = [Address::repeat_byte(0xa7), Address::repeat_byte(0xb8)];

/// A pool and its tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) pair: Address,
    pub(super) tokens: [Address; 2],
}

/// The accounts of a scenario.
#[derive(Debug)]
pub(super) struct World {
    accounts: BTreeMap<Address, GenesisAccount>,
    token_code: Bytes,
    pair_code: Bytes,
    /// Addresses given out.
    placed: u64,
}

impl World {
    /// Nobody yet.
    ///
    /// # Errors
    /// If a committed contract is not what its compiler writes.
    pub(super) fn new() -> eyre::Result<Self> {
        let mut deployment = Workload::new("deployment");
        let token = deployment.create(contracts::token_creation("Bench", "B")?);
        let pair = deployment.create(contracts::pair_creation(TOKEN_MARKS[0], TOKEN_MARKS[1])?);
        let (token_code, pair_code) = (code_of(&deployment, token)?, code_of(&deployment, pair)?);
        for mark in TOKEN_MARKS {
            ensure!(
                pair_code.windows(20).any(|bytes| bytes == mark.as_slice()),
                "a pair without its tokens in the code"
            );
        }
        Ok(Self {
            accounts: BTreeMap::new(),
            token_code,
            pair_code,
            placed: 0,
        })
    }

    /// An address that nobody has.
    pub(super) fn address(&mut self) -> Address {
        self.placed += 1;
        let word = keccak256([b"rapid-bench place".as_slice(), &self.placed.to_be_bytes()].concat());
        Address::from_word(word)
    }

    /// Gives wei.
    pub(super) fn fund(&mut self, address: Address, wei: U256) {
        self.accounts.entry(address).or_default().balance = wei;
    }

    /// An account that has one wei.
    pub(super) fn bystander(&mut self) -> Address {
        let address = self.address();
        self.fund(address, U256::ONE);
        address
    }

    /// Places code.
    pub(super) fn place(&mut self, code: Bytes) -> Address {
        let address = self.address();
        let account = self.accounts.entry(address).or_default();
        account.code = Some(code);
        account.nonce = Some(1);
        address
    }

    /// A token that nobody has any of.
    pub(super) fn token(&mut self) -> Address {
        self.place(self.token_code.clone())
    }

    /// Gives so much of a token.
    pub(super) fn mint(&mut self, token: Address, holder: Address, amount: u128) {
        let slot = slot_of(word(holder), B256::from(U256::from(BALANCES_SLOT)));
        self.store(token, slot, U256::from(amount));
    }

    /// A pool of two tokens of its own.
    pub(super) fn pool(&mut self) -> Pool {
        let tokens = [self.token(), self.token()];
        let mut code = self.pair_code.to_vec();
        for (mark, token) in TOKEN_MARKS.iter().zip(tokens) {
            replace_all(&mut code, mark.as_slice(), token.as_slice());
        }
        let pair = self.place(code.into());
        for token in tokens {
            self.mint(token, pair, RESERVE);
        }
        // Both reserves of 112 bits are in the first slot.
        let reserve = U256::from(RESERVE);
        self.store(pair, B256::ZERO, reserve | (reserve << 112));
        Pool { pair, tokens }
    }

    /// Lets somebody trade in a pool.
    pub(super) fn admit(&mut self, trader: Address, pool: &Pool) {
        for token in pool.tokens {
            self.mint(token, trader, TOKENS);
            let of_trader = slot_of(word(trader), B256::from(U256::from(ALLOWANCES_SLOT)));
            self.store(token, slot_of(word(pool.pair), of_trader), U256::MAX);
        }
    }

    pub(super) fn into_allocation(self) -> BTreeMap<Address, GenesisAccount> {
        self.accounts
    }

    fn store(&mut self, address: Address, slot: B256, value: U256) {
        let account = self.accounts.entry(address).or_default();
        let storage = account.storage.get_or_insert_default();
        storage.insert(slot, value.into());
    }
}

/// Where the compiler puts the value of a key of the mapping at `slot`.
fn slot_of(key: B256, slot: B256) -> B256 {
    keccak256([key.0, slot.0].concat())
}

fn word(address: Address) -> B256 {
    address.into_word()
}

fn replace_all(code: &mut [u8], mark: &[u8], bytes: &[u8]) {
    let mut at = 0;
    while at + mark.len() <= code.len() {
        if &code[at..at + mark.len()] == mark {
            code[at..at + mark.len()].copy_from_slice(bytes);
            at += mark.len();
        } else {
            at += 1;
        }
    }
}

/// The code that a deployment left.
pub(super) fn code_of(deployment: &Workload, contract: Address) -> eyre::Result<Bytes> {
    let state = Prepared::of(deployment)?.state;
    let account = state
        .cache
        .accounts
        .get(&contract)
        .ok_or_eyre("nothing was deployed")?;
    let code = state
        .cache
        .contracts
        .get(&account.info.code_hash)
        .ok_or_eyre("no code was deployed")?;
    Ok(code.original_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_replaced() {
        let mut code = [1, 7, 7, 7, 2, 7, 7].to_vec();
        replace_all(&mut code, &[7, 7], &[8, 9]);
        assert_eq!(code, [1, 8, 9, 7, 2, 8, 9]);
    }

    #[test]
    fn mapping_slots_are_where_solidity_puts_them() {
        // keccak256(uint256(1) . uint256(0)), as in Solidity's documentation of mappings.
        let one = B256::from(U256::ONE);
        assert_eq!(
            slot_of(one, B256::ZERO),
            keccak256([[0; 31].as_slice(), &[1], &[0; 32]].concat())
        );
    }
}
