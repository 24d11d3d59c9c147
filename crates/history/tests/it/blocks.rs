//! Random blocks of every kind of transaction.

use std::{path::Path, sync::Arc};

use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    TxType,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::{Withdrawal, Withdrawals},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, TxKind, U256};
use proptest::prelude::*;
use rapid_history::{BlockRecord, ChainIdentity, History, HistoryConfig};
use rapid_primitives::{Block, BlockBody, Header, MiniBlockNumber, Receipt, SealedBlock, TransactionSigned};

/// What a random transaction is made of.
#[derive(Clone, Debug)]
pub(crate) struct TransactionSeed {
    kind: u8,
    word: u64,
    input: usize,
    creates: bool,
    success: bool,
    logs: Vec<(u8, usize)>,
    gas: u32,
}

/// What a random block is made of.
#[derive(Clone, Debug)]
pub(crate) struct BlockSeed {
    transactions: Vec<TransactionSeed>,
    ommers: usize,
    withdrawals: Option<usize>,
    salt: u64,
}

impl BlockSeed {
    /// A block of plain transfers.
    pub(crate) fn transfers(count: usize, salt: u64) -> Self {
        let transaction = |word| TransactionSeed {
            kind: 2,
            word,
            input: 0,
            creates: false,
            success: true,
            logs: Vec::new(),
            gas: 21_000,
        };
        let transactions = (0..count as u64)
            .map(|index| transaction(salt << 32 | index))
            .collect();
        Self {
            transactions,
            ommers: 0,
            withdrawals: Some(0),
            salt,
        }
    }
}

pub(crate) fn block_seed() -> impl Strategy<Value = BlockSeed> {
    let logs = prop::collection::vec((0u8..5, 0usize..100), 0..4);
    // Inputs larger than a page go to pages of their own.
    let input = prop_oneof![8 => 0usize..200, 1 => 3_000usize..20_000];
    let transaction = (
        0u8..5,
        any::<u64>(),
        input,
        any::<bool>(),
        any::<bool>(),
        logs,
        any::<u32>(),
    )
        .prop_map(
            |(kind, word, input, creates, success, logs, gas)| TransactionSeed {
                kind,
                word,
                input,
                creates,
                success,
                logs,
                gas,
            },
        );
    let transactions = prop::collection::vec(transaction, 0..12);
    (transactions, 0usize..3, prop::option::of(0usize..4), any::<u64>()).prop_map(
        |(transactions, ommers, withdrawals, salt)| BlockSeed {
            transactions,
            ommers,
            withdrawals,
            salt,
        },
    )
}

/// A chain of blocks from genesis.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) records: Vec<BlockRecord>,
    transactions: u64,
}

impl Chain {
    /// Genesis alone.
    pub(crate) fn new() -> Self {
        let mut chain = Self {
            records: Vec::new(),
            transactions: 0,
        };
        chain.grow(&BlockSeed {
            transactions: Vec::new(),
            ommers: 0,
            withdrawals: None,
            salt: 0,
        });
        chain
    }

    pub(crate) fn of(seeds: &[BlockSeed]) -> Self {
        let mut chain = Self::new();
        seeds.iter().for_each(|seed| chain.grow(seed));
        chain
    }

    pub(crate) fn grow(&mut self, seed: &BlockSeed) {
        let number = self.records.len() as u64;
        let header = Header {
            number,
            parent_hash: self.records.last().map_or(B256::ZERO, |record| record.block.hash),
            timestamp: seed.salt,
            base_fee_per_gas: seed.withdrawals.map(|_| 7),
            extra_data: Bytes::from(vec![1; seed.ommers]),
            ..Header::default()
        };
        let mut cumulative_gas_used = 0;
        let mut body = BlockBody::default();
        let (mut senders, mut receipts) = (Vec::new(), Vec::new());
        for seed in &seed.transactions {
            // The nonce counts over the chain, so that no two transactions are the same.
            self.transactions += 1;
            let transaction = transaction(seed, self.transactions);
            cumulative_gas_used += u64::from(seed.gas);
            receipts.push(receipt(seed, &transaction, cumulative_gas_used));
            senders.push(Address::left_padding_from(&seed.word.to_be_bytes()));
            body.transactions.push(transaction);
        }
        body.ommers = (0..seed.ommers)
            .map(|index| Header {
                nonce: [index as u8; 8].into(),
                ..Header::default()
            })
            .collect();
        body.withdrawals = seed.withdrawals.map(|count| {
            let withdrawal = |index| Withdrawal {
                index,
                validator_index: 3,
                address: Address::ZERO,
                amount: index,
            };
            Withdrawals::new((0..count as u64).map(withdrawal).collect())
        });
        let block = SealedBlock::seal(Block { header, body }, senders, receipts);
        self.records.push(BlockRecord {
            block: Arc::new(block),
            last_mini_block: MiniBlockNumber(number * 100),
            reverts: Arc::default(),
            codes: Vec::new(),
        });
    }

    pub(crate) fn identity(&self) -> ChainIdentity {
        ChainIdentity {
            chain_id: 1337,
            genesis_hash: self.records[0].block.hash,
        }
    }

    /// A small database, so that many tests fit into the address space.
    pub(crate) fn config(&self) -> HistoryConfig {
        HistoryConfig {
            max_bytes: 1 << 30,
            growth_bytes: 1 << 20,
            ..HistoryConfig::new(self.identity())
        }
    }

    pub(crate) fn open(&self, dir: &Path) -> History {
        History::open(dir, &self.config()).unwrap()
    }
}

fn transaction(seed: &TransactionSeed, nonce: u64) -> TransactionSigned {
    let to = Address::left_padding_from(&seed.word.to_le_bytes());
    let kind = if seed.creates {
        TxKind::Create
    } else {
        TxKind::Call(to)
    };
    let input = Bytes::from(vec![seed.word as u8; seed.input]);
    let value = U256::from(seed.word);
    let storage_keys = vec![B256::left_padding_from(&seed.word.to_be_bytes())];
    let access_list = AccessList(vec![AccessListItem {
        address: to,
        storage_keys,
    }]);
    match seed.kind {
        0 => EthereumTxEnvelope::Legacy(sign(TxLegacy {
            chain_id: seed.success.then_some(1337),
            nonce,
            to: kind,
            value,
            input,
            ..TxLegacy::default()
        })),
        1 => EthereumTxEnvelope::Eip2930(sign(TxEip2930 {
            nonce,
            to: kind,
            value,
            access_list,
            input,
            ..TxEip2930::default()
        })),
        2 => EthereumTxEnvelope::Eip1559(sign(TxEip1559 {
            nonce,
            to: kind,
            value,
            access_list,
            input,
            ..TxEip1559::default()
        })),
        3 => EthereumTxEnvelope::Eip4844(sign(TxEip4844 {
            nonce,
            to,
            value,
            input,
            blob_versioned_hashes: vec![B256::repeat_byte(1); 2],
            ..TxEip4844::default()
        })),
        _ => EthereumTxEnvelope::Eip7702(sign(TxEip7702 {
            nonce,
            to,
            value,
            input,
            authorization_list: vec![SignedAuthorization::new_unchecked(
                Authorization {
                    chain_id: U256::from(1),
                    address: to,
                    nonce,
                },
                1,
                U256::from(5),
                U256::from(6),
            )],
            ..TxEip7702::default()
        })),
    }
}

/// Nothing here looks at signatures.
fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Signed<T> {
    transaction.into_signed(Signature::new(U256::from(3), U256::from(4), true))
}

fn receipt(seed: &TransactionSeed, transaction: &TransactionSigned, cumulative_gas_used: u64) -> Receipt {
    let log = |(topics, bytes): &(u8, usize)| Log {
        address: Address::repeat_byte(*topics),
        data: LogData::new_unchecked(
            (0..*topics).map(B256::repeat_byte).collect(),
            Bytes::from(vec![*topics; *bytes]),
        ),
    };
    Receipt {
        tx_type: TxType::try_from(transaction.tx_type() as u8).unwrap(),
        success: seed.success,
        cumulative_gas_used,
        logs: seed.logs.iter().map(log).collect(),
    }
}
