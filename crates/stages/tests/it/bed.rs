//! A chain to import into, blocks for it, and ways to hand them over.

use std::{path::Path, sync::Arc, time::Duration};

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, SignableTransaction, TxLegacy, proofs, transaction::SignerRecoverable,
};
use alloy_primitives::{Address, Signature, U256};
use rapid_chain::{Chain, ChainConfig, ImportError, Importer};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{PostExecutionError, next_difficulty};
use rapid_log::{Durability, LogConfig};
use rapid_primitives::{Block, BlockBody, Header, TransactionSigned};
use rapid_stages::{BlockReader, Pipeline, PipelineConfig, StageError, StageId, write_block};

/// Rich accounts of the chain.
pub(crate) const SENDERS: usize = 24;

/// The first transaction of a rich account: its signature is made up, so it decides who that is.
fn signed(salt: u64) -> TransactionSigned {
    let transaction = TxLegacy {
        gas_limit: 21_000,
        to: Address::with_last_byte(5).into(),
        value: U256::from(5),
        ..TxLegacy::default()
    };
    transaction
        .into_signed(Signature::new(U256::from(salt), U256::from(7), false))
        .into()
}

/// One transfer of each rich account; about every second made-up signature is of somebody.
pub(crate) fn transfers() -> Vec<TransactionSigned> {
    let valid = |transaction: &TransactionSigned| transaction.recover_signer().is_ok();
    (1..).map(signed).filter(valid).take(SENDERS).collect()
}

/// A transaction whose signature is of nobody.
pub(crate) fn forged() -> TransactionSigned {
    let invalid = |transaction: &TransactionSigned| transaction.recover_signer().is_err();
    (1..).map(signed).find(invalid).unwrap()
}

/// Homestead at genesis and nothing after it.
pub(crate) fn spec() -> Arc<ChainSpec> {
    let accounts: Vec<_> = transfers()
        .iter()
        .map(|transaction| {
            let sender = transaction.recover_signer().unwrap();
            format!(r#""{sender}":{{"balance":"0xde0b6b3a7640000"}}"#)
        })
        .collect();
    let genesis = format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0}},"gasLimit":"0x1c9c380","difficulty":"0x40000",
        "alloc":{{{}}}}}"#,
        accounts.join(",")
    );
    Arc::new(ChainSpec::parse(&genesis).unwrap())
}

/// Opens the chain in a directory.
pub(crate) fn open(dir: &Path) -> Importer {
    let config = ChainConfig {
        log: LogConfig {
            durability: Durability::Async(Duration::from_secs(1)),
            first_segment_bytes: 64 << 10,
            min_free_bytes: 0,
            ..LogConfig::default()
        },
        ..ChainConfig::new(dir.to_owned())
    };
    Importer::new(Chain::open(spec(), &config).unwrap()).unwrap()
}

/// A block on `parent` with all that can be said of it without executing it.
pub(crate) fn block_on(parent: &Header, transactions: Vec<TransactionSigned>) -> Block {
    let timestamp = parent.timestamp + 10;
    let header = Header {
        parent_hash: parent.hash_slow(),
        number: parent.number + 1,
        timestamp,
        gas_limit: parent.gas_limit,
        difficulty: next_difficulty(&spec(), parent, timestamp),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: proofs::calculate_transaction_root(&transactions),
        ..Header::default()
    };
    let body = BlockBody {
        transactions,
        ommers: Vec::new(),
        withdrawals: None,
    };
    Block { header, body }
}

/// `count` valid blocks; every second one has a transfer as long as there are rich accounts.
pub(crate) fn blocks(count: u64) -> Vec<Block> {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(dir.path());
    let mut transfers = transfers().into_iter();
    let blocks = (1..=count)
        .map(|number| {
            let parent = importer.chain().view().head.header.clone();
            let transactions = if number % 2 == 0 { transfers.next() } else { None };
            completed(
                &mut importer,
                block_on(&parent, transactions.into_iter().collect()),
            )
        })
        .collect();
    importer.finish().unwrap();
    blocks
}

/// Imports a block whose header says nothing of its execution: the importer says what is missing.
fn completed(importer: &mut Importer, mut block: Block) -> Block {
    loop {
        let error = match importer.import(block.clone()) {
            Ok(_) => return block,
            Err(ImportError::PostExecution { error, .. }) => error,
            Err(other) => panic!("{other}"),
        };
        let header = &mut block.header;
        match error {
            PostExecutionError::GasUsed(mismatch) => header.gas_used = mismatch.expected,
            PostExecutionError::ReceiptsRoot(mismatch) => header.receipts_root = mismatch.expected,
            PostExecutionError::StateRoot(mismatch) => header.state_root = mismatch.expected,
            other => panic!("{other}"),
        }
    }
}

/// The file with these blocks.
pub(crate) fn file<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Vec<u8> {
    let mut file = Vec::new();
    for block in blocks {
        write_block(&mut file, block).unwrap();
    }
    file
}

/// Runs a pipeline over a file in memory.
pub(crate) fn run(importer: &mut Importer, file: &[u8]) -> (Pipeline, Result<(), StageError>) {
    run_with(importer, file, PipelineConfig::default())
}

/// [`run`] with a configuration.
pub(crate) fn run_with(
    importer: &mut Importer,
    file: &[u8],
    config: PipelineConfig,
) -> (Pipeline, Result<(), StageError>) {
    let mut pipeline = Pipeline::new(config);
    let ran = pipeline.run(importer, BlockReader::new("file", file), None);
    (pipeline, ran)
}

/// The head is this block, and every checkpoint says so.
pub(crate) fn assert_at(importer: &Importer, block: &Block) {
    let head = importer.chain().view().head.clone();
    assert_eq!(
        (head.number(), head.hash),
        (block.header.number, block.header.hash_slow())
    );
    let checkpoints = rapid_stages::Checkpoints::load(importer.chain().history()).unwrap();
    for id in StageId::ALL {
        assert_eq!(checkpoints.get(id), head.number(), "{id}");
    }
}
