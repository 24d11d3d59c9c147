//! Signed transactions, a state to read, and mini-blocks to publish.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip7702, TxLegacy};
use alloy_eips::{eip2718::Encodable2718, eip7702::Authorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use rapid_pool::{
    HeadInfo, Origin, Pool, PoolConfig, PoolError, PooledTransaction, ReadyQueue, decode_and_recover,
};
use rapid_primitives::{
    Account, AccountChange, DiffBuilder, MiniBlock, MiniBlockBody, ReadState, Receipt, SealedMiniBlock,
    TransactionSigned,
};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};

pub(crate) const CHAIN_ID: u64 = 1337;
pub(crate) const GWEI: u128 = 1_000_000_000;
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;
/// What a transfer of [`Spec::default`] may cost at most.
pub(crate) const TRANSFER_COST: u128 = 21_000 * 100 * GWEI;

pub(crate) fn head() -> HeadInfo {
    HeadInfo {
        number: 1,
        timestamp: 1,
        base_fee: 7,
        gas_limit: 30_000_000,
        spec: SpecId::PRAGUE,
    }
}

pub(crate) fn config() -> PoolConfig {
    PoolConfig::new(CHAIN_ID)
}

/// The n-th key; derived once.
pub(crate) fn key(index: usize) -> &'static PrivateKeySigner {
    static KEYS: OnceLock<Vec<PrivateKeySigner>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        (1u64..=16)
            .map(|n| {
                PrivateKeySigner::from_bytes(&B256::from(U256::from(n * 7919)))
                    .expect("a small scalar is a key")
            })
            .collect()
    });
    &keys[index]
}

pub(crate) fn address(index: usize) -> Address {
    key(index).address()
}

/// What a test says of a dynamic-fee transaction; the rest is a plain transfer.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) nonce: u64,
    pub(crate) tip: u128,
    pub(crate) fee_cap: u128,
    pub(crate) gas: u64,
    pub(crate) to: TxKind,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) chain_id: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            nonce: 0,
            tip: GWEI,
            fee_cap: 100 * GWEI,
            gas: 21_000,
            to: TxKind::Call(Address::repeat_byte(0xaa)),
            value: U256::ZERO,
            input: Bytes::new(),
            chain_id: CHAIN_ID,
        }
    }
}

impl Spec {
    pub(crate) fn nonce(nonce: u64) -> Self {
        Self {
            nonce,
            ..Self::default()
        }
    }

    pub(crate) fn sign(&self, key: &PrivateKeySigner) -> Bytes {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fee_cap,
            max_priority_fee_per_gas: self.tip,
            to: self.to,
            value: self.value,
            access_list: Default::default(),
            input: self.input.clone(),
        };
        sign(transaction, key)
    }

    pub(crate) fn by(&self, index: usize) -> PooledTransaction {
        decode(&self.sign(key(index)))
    }
}

pub(crate) fn sign<T>(transaction: T, key: &PrivateKeySigner) -> Bytes
where
    T: SignableTransaction<alloy_primitives::Signature>,
    TransactionSigned: From<alloy_consensus::Signed<T>>,
{
    let signature = key
        .sign_hash_sync(&transaction.signature_hash())
        .expect("local keys sign");
    TransactionSigned::from(transaction.into_signed(signature))
        .encoded_2718()
        .into()
}

pub(crate) fn legacy(nonce: u64, gas_price: u128, chain_id: Option<u64>) -> TxLegacy {
    TxLegacy {
        chain_id,
        nonce,
        gas_price,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(0xaa)),
        value: U256::ZERO,
        input: Bytes::new(),
    }
}

/// A type 4 transaction of `sender` with an authorisation of each of `authorities`.
pub(crate) fn delegation(nonce: u64, sender: usize, authorities: &[usize]) -> PooledTransaction {
    let authorization_list = authorities
        .iter()
        .map(|index| {
            let authorization = Authorization {
                chain_id: U256::from(CHAIN_ID),
                address: Address::repeat_byte(0xcc),
                nonce: 0,
            };
            let signature = key(*index)
                .sign_hash_sync(&authorization.signature_hash())
                .expect("local keys sign");
            authorization.into_signed(signature)
        })
        .collect();
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 100 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: Address::repeat_byte(0xaa),
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list,
        input: Bytes::new(),
    };
    decode(&sign(transaction, key(sender)))
}

pub(crate) fn decode(raw: &[u8]) -> PooledTransaction {
    decode_and_recover(raw, &config().decode_limits()).expect("a good transaction")
}

/// Accounts by address; those not named have one ether-thousand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) accounts: HashMap<Address, Account>,
    pub(crate) codes: HashMap<B256, Bytecode>,
}

impl Accounts {
    pub(crate) fn with(index: usize, nonce: u64, balance: u128) -> Self {
        let mut accounts = Self::default();
        accounts.set(index, nonce, balance);
        accounts
    }

    pub(crate) fn set(&mut self, index: usize, nonce: u64, balance: u128) {
        self.accounts.insert(
            address(index),
            Account {
                nonce,
                balance: U256::from(balance),
                ..Account::default()
            },
        );
    }
}

impl ReadState for Accounts {
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        let rich = Account {
            balance: U256::from(1_000 * ETHER),
            ..Account::default()
        };
        Ok(Some(self.accounts.get(address).copied().unwrap_or(rich)))
    }

    fn storage(&self, _: &Address, _: &U256) -> Result<U256, Infallible> {
        Ok(U256::ZERO)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Infallible> {
        Ok(self.codes.get(hash).cloned())
    }
}

/// A published mini-block with these transactions; each sender's nonce goes one past the last, and its balance to what
/// `balances` says.
pub(crate) fn mini_block(
    transactions: &[Arc<PooledTransaction>],
    balances: impl Fn(&Address) -> Option<U256>,
) -> SealedMiniBlock {
    let mut nonces: BTreeMap<Address, u64> = BTreeMap::new();
    for transaction in transactions {
        let next = nonces.entry(transaction.sender()).or_default();
        *next = (*next).max(transaction.nonce() + 1);
    }
    let changes: Vec<AccountChange> = nonces
        .into_iter()
        .map(|(address, nonce)| AccountChange {
            nonce: Some(nonce),
            balance: balances(&address),
            ..AccountChange::new(address)
        })
        .collect();
    mini_block_of(transactions, &changes)
}

pub(crate) fn mini_block_of(
    transactions: &[Arc<PooledTransaction>],
    changes: &[AccountChange],
) -> SealedMiniBlock {
    let mut diff = DiffBuilder::new();
    diff.push(1, changes);
    let receipt = Receipt {
        tx_type: Default::default(),
        success: true,
        cumulative_gas_used: 0,
        logs: Vec::new(),
    };
    let body = MiniBlockBody {
        transactions: transactions
            .iter()
            .map(|transaction| transaction.transaction().clone())
            .collect(),
        senders: transactions
            .iter()
            .map(|transaction| transaction.sender())
            .collect(),
        receipts: vec![receipt; transactions.len()],
        diff: diff.finish(),
        amsterdam: None,
    };
    MiniBlock {
        body,
        ..MiniBlock::default()
    }
    .seal()
}

/// A pool with its consumer.
pub(crate) struct Bench {
    pub(crate) pool: Pool,
    pub(crate) ready: ReadyQueue,
    pub(crate) accounts: Accounts,
}

impl Bench {
    pub(crate) fn new(config: PoolConfig) -> Self {
        let pool = Pool::new(config, &head());
        let ready = pool.ready_queue().expect("the first consumer");
        Self {
            pool,
            ready,
            accounts: Accounts::default(),
        }
    }

    pub(crate) fn submit(&self, transaction: PooledTransaction) -> Result<B256, PoolError> {
        self.pool
            .submit(Origin::External, transaction, &self.accounts, &head())
    }

    pub(crate) fn submit_local(&self, transaction: PooledTransaction) -> Result<B256, PoolError> {
        self.pool
            .submit(Origin::Local, transaction, &self.accounts, &head())
    }

    /// Pops everything: sender index by address order of keys, and nonce.
    pub(crate) fn drain(&mut self) -> Vec<Arc<PooledTransaction>> {
        std::iter::from_fn(|| self.ready.pop()).collect()
    }

    pub(crate) fn drain_nonces(&mut self) -> Vec<u64> {
        self.drain()
            .iter()
            .map(|transaction| transaction.nonce())
            .collect()
    }

    pub(crate) fn publish(&self, transactions: &[Arc<PooledTransaction>]) {
        self.pool.on_mini_block(&mini_block(transactions, |_| None));
    }
}
