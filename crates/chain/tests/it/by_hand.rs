//! Chains to import into, and blocks that are made without executing them.

use std::{path::Path, sync::Arc, time::Duration};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, SignableTransaction, TxLegacy, proofs};
use alloy_primitives::{Address, Bytes, Signature, U256};
use rapid_chain::{Chain, ChainConfig, ImportError, Importer};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{PostExecutionError, next_difficulty};
use rapid_log::{Durability, LogConfig};
use rapid_primitives::{Block, BlockBody, Header, TransactionSigned};

/// A transfer of 5 wei. Its signature is made up, so it decides who the sender is.
pub(crate) fn transfer() -> TransactionSigned {
    let transaction = TxLegacy {
        gas_limit: 21_000,
        to: Address::with_last_byte(5).into(),
        value: U256::from(5),
        ..TxLegacy::default()
    };
    transaction
        .into_signed(Signature::new(U256::ONE, U256::from(7), false))
        .into()
}

/// Homestead at genesis and nothing after it; the sender of [`transfer`] is rich.
pub(crate) fn homestead() -> Arc<ChainSpec> {
    let sender = transfer().recover_signer().expect("a canonical signature");
    let spec = ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0}},"gasLimit":"0x1c9c380","difficulty":"0x40000",
        "alloc":{{"{sender}":{{"balance":"0xde0b6b3a7640000"}}}}}}"#
    ));
    Arc::new(spec.expect("a well-formed test chain"))
}

/// How chains are kept in these tests.
pub(crate) fn config(dir: &Path) -> ChainConfig {
    ChainConfig {
        log: LogConfig {
            durability: Durability::Async(Duration::from_secs(1)),
            first_segment_bytes: 64 << 10,
            min_free_bytes: 0,
            ..LogConfig::default()
        },
        ..ChainConfig::new(dir.to_owned())
    }
}

/// Opens a chain in a directory.
pub(crate) fn open(spec: Arc<ChainSpec>, dir: &Path) -> Importer {
    open_with(spec, &config(dir))
}

/// Opens a chain that is kept in another way.
pub(crate) fn open_with(spec: Arc<ChainSpec>, config: &ChainConfig) -> Importer {
    let opened = Chain::open(spec, config).expect("the chain opens");
    Importer::new(opened).expect("no block is open")
}

/// A block of the chain of [`homestead`] on `parent` with all that can be said of it without executing it.
pub(crate) fn block(parent: &Header, transactions: Vec<TransactionSigned>, ommers: Vec<Header>) -> Block {
    let timestamp = parent.timestamp + 10;
    let header = Header {
        parent_hash: parent.hash_slow(),
        number: parent.number + 1,
        timestamp,
        gas_limit: parent.gas_limit,
        difficulty: next_difficulty(&homestead(), parent, timestamp),
        ommers_hash: if ommers.is_empty() {
            EMPTY_OMMER_ROOT_HASH
        } else {
            proofs::calculate_ommers_root(&ommers)
        },
        transactions_root: proofs::calculate_transaction_root(&transactions),
        ..Header::default()
    };
    let body = BlockBody {
        transactions,
        ommers,
        withdrawals: None,
    };
    Block { header, body }
}

/// A header beside the child of `parent`.
pub(crate) fn sibling(parent: &Header, extra_data: &'static [u8]) -> Header {
    Header {
        extra_data: Bytes::from_static(extra_data),
        ..block(parent, Vec::new(), Vec::new()).header
    }
}

/// Imports a block whose header says nothing of its execution: what the importer expects is filled in, field by field.
pub(crate) fn import(importer: &mut Importer, block: Block) -> Block {
    complete(block, |block| importer.import(block).map(drop))
}

/// Inserts such a block without making it the head.
pub(crate) fn insert(importer: &mut Importer, block: Block) -> Block {
    complete(block, |block| importer.insert(block).map(drop))
}

fn complete(mut block: Block, mut take: impl FnMut(Block) -> Result<(), ImportError>) -> Block {
    loop {
        let error = match take(block.clone()) {
            Ok(()) => return block,
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
