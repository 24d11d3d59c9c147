//! What is measured: a state, and transactions on it.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use revm::{bytecode::Bytecode, database::InMemoryDB, state::AccountInfo};
use std::iter;

/// Sends every transaction, and creates the contracts.
pub(crate) const CALLER: Address = address!("00000000000000000000000000000000ca11e400");

/// Gas of a transaction that names none: enough for a call chain 1024 deep, each link keeping a 64th.
const GAS_DEFAULT: u64 = 1 << 40;

/// A state, transactions that complete it, and transactions to measure on it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// Unique.
    pub(crate) name: String,
    /// Accounts beside the caller.
    pub(crate) accounts: Vec<Account>,
    /// Run once, before everything.
    pub(crate) setup: Vec<Call>,
    /// One run. Every run begins on the state after `setup`.
    pub(crate) transactions: Vec<Call>,
}

/// An account that exists from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Where.
    pub(crate) address: Address,
    /// What it runs.
    pub(crate) code: Bytes,
    /// Its slots.
    pub(crate) storage: Vec<(U256, U256)>,
    /// In wei.
    pub(crate) balance: U256,
}

/// A transaction of [`CALLER`].
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Whom it calls, or that it creates.
    pub(crate) to: TxKind,
    /// Input.
    pub(crate) data: Bytes,
    /// In wei.
    pub(crate) value: U256,
    /// Gas limit.
    pub(crate) gas: u64,
}

impl Call {
    /// Calls a contract.
    pub(crate) const fn to(to: Address, data: Bytes) -> Self {
        Self {
            to: TxKind::Call(to),
            data,
            value: U256::ZERO,
            gas: GAS_DEFAULT,
        }
    }

    /// Creates a contract.
    pub(crate) const fn create(initcode: Bytes) -> Self {
        Self {
            to: TxKind::Create,
            data: initcode,
            value: U256::ZERO,
            gas: GAS_DEFAULT,
        }
    }

    /// The same with another gas limit.
    pub(crate) const fn with_gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// The same with wei.
    pub(crate) const fn with_value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }
}

impl Workload {
    /// Nothing yet.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            accounts: Vec::new(),
            setup: Vec::new(),
            transactions: Vec::new(),
        }
    }

    /// One contract that is called once.
    pub(crate) fn of_code(name: impl Into<String>, code: Bytes, data: Bytes) -> Self {
        let mut workload = Self::new(name);
        let contract = workload.place(code);
        workload.transactions.push(Call::to(contract, data));
        workload
    }

    /// The same transactions so many times over.
    pub(crate) fn repeated(mut self, times: usize) -> Self {
        let once = std::mem::take(&mut self.transactions);
        self.transactions = iter::repeat_n(once, times).flatten().collect();
        self
    }

    /// Puts code at an address of its own.
    pub(crate) fn place(&mut self, code: Bytes) -> Address {
        let number = self.accounts.len() as u64 + 1;
        let address = Address::from_word(B256::from(U256::from(0xc0de_0000_0000_u64 + number)));
        self.accounts.push(Account {
            address,
            code,
            ..Account::default()
        });
        address
    }

    /// Creates a contract in the setup, and says where.
    pub(crate) fn create(&mut self, initcode: Bytes) -> Address {
        let address = CALLER.create(self.setup.len() as u64);
        self.setup.push(Call::create(initcode));
        address
    }

    /// The accounts before the setup.
    pub(crate) fn genesis(&self) -> InMemoryDB {
        let mut db = InMemoryDB::default();
        let caller = AccountInfo::from_balance(U256::MAX >> 1);
        db.insert_account_info(CALLER, caller);
        for account in &self.accounts {
            let info = AccountInfo::from_bytecode(Bytecode::new_raw(account.code.clone()))
                .with_balance(account.balance);
            db.insert_account_info(account.address, info);
            for &(slot, value) in &account.storage {
                let Ok(()) = db.insert_account_storage(account.address, slot, value);
            }
        }
        db
    }
}
