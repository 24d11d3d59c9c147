//! Makes valid blocks, on any block made before.

use std::sync::{Arc, LazyLock};

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope, proofs};
use alloy_eips::{
    eip2718::Decodable2718, eip2718::Encodable2718, eip4895::Withdrawals, eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types_engine::ExecutionPayloadV3;
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use rapid_chain::{BlockHint, Chain, ChainConfig, ExecutionMode, ImportError, Importer};
use rapid_chainspec::{ChainSpec, DEV_CHAIN_ID, DEV_MNEMONIC, EthereumHardforks};
use rapid_consensus::PostExecutionError;
use rapid_engine::NewPayload;
use rapid_primitives::{Block, BlockBody, TransactionSigned};

/// The first funded account of the dev chain.
static KEY: LazyLock<PrivateKeySigner> = LazyLock::new(|| {
    MnemonicBuilder::<English>::default()
        .phrase(DEV_MNEMONIC)
        .build()
        .unwrap()
});

/// Who sends every [`transfer`].
pub(crate) fn sender() -> Address {
    KEY.address()
}

/// A signed transfer of one wei.
pub(crate) fn transfer(nonce: u64) -> TransactionSigned {
    let transaction = TxEip1559 {
        chain_id: DEV_CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0xaa)),
        value: U256::ONE,
        ..TxEip1559::default()
    };
    let signature = KEY.sign_hash_sync(&transaction.signature_hash()).unwrap();
    let encoded = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    TransactionSigned::decode_2718_exact(&encoded).unwrap()
}

/// A chain of its own, on which blocks are tried until their headers say what their execution gives.
pub(crate) struct Maker {
    importer: Importer,
    _directory: tempfile::TempDir,
}

/// Opens a chain in a new directory.
pub(crate) fn open(
    spec: Arc<ChainSpec>,
    execution: ExecutionMode,
) -> (rapid_chain::Opened, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = ChainConfig {
        log: rapid_log::LogConfig {
            durability: rapid_log::Durability::Async(std::time::Duration::from_secs(1)),
            first_segment_bytes: 64 << 10,
            min_free_bytes: 0,
            ..rapid_log::LogConfig::default()
        },
        execution,
        ..ChainConfig::new(directory.path().to_owned())
    };
    (Chain::open(spec, &config).unwrap(), directory)
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(ChainSpec::dev()))
    }

    pub(crate) fn on(spec: Arc<ChainSpec>) -> Self {
        let (opened, directory) = open(spec, ExecutionMode::Sequential);
        Self {
            importer: Importer::new(opened).unwrap(),
            _directory: directory,
        }
    }

    pub(crate) fn genesis(&self) -> Header {
        self.importer.chain().spec().genesis_header().inner().clone()
    }

    /// A valid block; `salt` makes siblings differ.
    pub(crate) fn block(
        &mut self,
        parent: &Header,
        transactions: Vec<TransactionSigned>,
        salt: &'static str,
    ) -> Block {
        let mut block = self.untried(parent, transactions, salt);
        loop {
            let error = match self.importer.insert(block.clone()) {
                Ok(_) => return block,
                Err(ImportError::PostExecution { error, .. }) => error,
                Err(other) => panic!("{other}"),
            };
            let header = &mut block.header;
            match error {
                PostExecutionError::GasUsed(mismatch) => header.gas_used = mismatch.expected,
                PostExecutionError::ReceiptsRoot(mismatch) => header.receipts_root = mismatch.expected,
                PostExecutionError::LogsBloom(mismatch) => header.logs_bloom = mismatch.expected,
                PostExecutionError::StateRoot(mismatch) => header.state_root = mismatch.expected,
                PostExecutionError::BlockAccessListHash { expected, .. } => {
                    header.block_access_list_hash = expected;
                }
                other => panic!("{other}"),
            }
        }
    }

    /// What a block on a block made before is truly said to write.
    pub(crate) fn hint_of(&mut self, block: &Block) -> BlockHint {
        self.importer.hint_of(block).unwrap()
    }

    /// A block with all that can be said of it without executing it.
    pub(crate) fn untried(
        &self,
        parent: &Header,
        transactions: Vec<TransactionSigned>,
        salt: &'static str,
    ) -> Block {
        let spec = self.importer.chain().spec();
        let timestamp = parent.timestamp + 12;
        let amsterdam = spec.is_amsterdam_active_at_timestamp(timestamp);
        let header = Header {
            parent_hash: parent.hash_slow(),
            number: parent.number + 1,
            timestamp,
            gas_limit: parent.gas_limit,
            base_fee_per_gas: spec.next_base_fee(parent, timestamp),
            transactions_root: proofs::calculate_transaction_root(&transactions),
            withdrawals_root: Some(proofs::calculate_withdrawals_root(&[])),
            blob_gas_used: Some(0),
            excess_blob_gas: spec.next_excess_blob_gas(parent, timestamp),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            block_access_list_hash: amsterdam.then_some(B256::ZERO),
            slot_number: amsterdam.then_some(parent.number + 1),
            extra_data: Bytes::from_static(salt.as_bytes()),
            ..Header::default()
        };
        let body = BlockBody {
            transactions,
            ommers: Vec::new(),
            withdrawals: Some(Withdrawals::default()),
        };
        Block { header, body }
    }

    /// Empty blocks, each on the one before.
    pub(crate) fn chain(&mut self, parent: &Header, len: usize, salt: &'static str) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..len {
            let parent = blocks.last().map_or(parent, |block| &block.header).clone();
            let block = self.block(&parent, Vec::new(), salt);
            blocks.push(block);
        }
        blocks
    }
}

pub(crate) fn hash(block: &Block) -> B256 {
    block.header.hash_slow()
}

/// A block as a payload.
pub(crate) fn payload_of(block: &Block) -> ExecutionPayloadV3 {
    ExecutionPayloadV3::from_block_unchecked(hash(block), block)
}

/// A block as `engine_newPayloadV4` carries it.
pub(crate) fn new_payload(block: &Block) -> NewPayload {
    NewPayload::v4(payload_of(block), Vec::new(), B256::ZERO, Vec::new())
}
