//! `rapid-bench blocks`: a file of valid blocks, and the genesis they begin on.

use crate::{
    account::Account,
    chain::{ChainTerms, Intent},
};
use alloy_consensus::proofs::calculate_transaction_root;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, U256};
use clap::Args;
use eyre::{WrapErr, ensure, eyre};
use rapid_chain::{Chain, ChainConfig, ImportError, Importer};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{
    BlockResult, NextBlockAttributes, PostExecutionError, ReceiptsDigest, assemble_header,
    next_block_environment,
};
use rapid_primitives::{Block, BlockBody, Header, TransactionSigned};
use rapid_stages::write_block;
use rayon::prelude::*;
use std::{fs::File, io::BufWriter, io::Write, path::PathBuf, sync::Arc};

/// Fee cap of the transactions in wei: far above what the base fee of full blocks reaches.
const MAX_FEE: u128 = 1_000_000_000_000;
/// Tip in wei.
const PRIORITY_FEE: u128 = 1_000_000;
/// Balance of each sender at genesis, in wei.
const SENDER_BALANCE: U256 = U256::from_limbs([0, 1 << 24, 0, 0]);
/// Seconds between blocks.
const BLOCK_SECONDS: u64 = 12;
/// What a header can differ in from what its block does: gas, receipts, bloom, blob gas, requests, state.
const CORRECTIONS_MAX: usize = 8;

/// Arguments of `blocks`.
#[derive(Args, Debug)]
pub(crate) struct BlocksArgs {
    /// Plain transfers in the file
    #[arg(long, default_value_t = 57_000)]
    transactions: usize,
    /// Blocks in the file
    #[arg(long, default_value_t = 15)]
    blocks: usize,
    /// Accounts that send them in turn
    #[arg(long, default_value_t = 1_000)]
    senders: usize,
    /// Decides the senders' keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File of blocks to write; the genesis goes beside it, with the ending `.genesis.json`
    path: PathBuf,
}

/// Writes the file and the genesis.
///
/// # Errors
/// If a block cannot be made or a file cannot be written.
pub(crate) fn run(args: &BlocksArgs) -> eyre::Result<()> {
    ensure!(
        args.blocks > 0 && args.senders > 0 && args.transactions >= args.blocks,
        "there must be senders, and transactions for every block"
    );
    let senders: Vec<_> = (0..args.senders as u64)
        .into_par_iter()
        .map(|index| Account::seeded(args.seed, index))
        .collect();
    let per_block = args.transactions.div_ceil(args.blocks);
    let spec = Arc::new(genesis(&senders, per_block)?);
    let genesis_path = args.path.with_extension("genesis.json");
    serde_json::to_writer_pretty(File::create(&genesis_path)?, spec.genesis())?;

    let scratch = tempfile::tempdir().wrap_err("scratch folder")?;
    let opened = Chain::open(Arc::clone(&spec), &ChainConfig::new(scratch.path().to_owned()))?;
    let mut importer = Importer::new(opened)?;
    let mut output = BufWriter::new(File::create(&args.path)?);
    for chunk in signed(&spec, &senders, args.transactions).chunks(per_block) {
        let block = make(&mut importer, chunk.to_vec())?;
        write_block(&mut output, &block)?;
    }
    output.flush()?;
    let head = importer.chain().view().head.clone();
    importer.finish()?;
    println!(
        "{} blocks to {} {}, genesis in {}",
        head.number(),
        args.path.display(),
        head.hash,
        genesis_path.display()
    );
    Ok(())
}

/// The real-time chain with rich senders and room for `per_block` transfers.
fn genesis(senders: &[Account], per_block: usize) -> eyre::Result<ChainSpec> {
    let mut genesis = ChainSpec::realtime().genesis().clone();
    for sender in senders {
        genesis.alloc.entry(sender.address()).or_default().balance = SENDER_BALANCE;
    }
    genesis.gas_limit = genesis.gas_limit.max(2 * per_block as u64 * Intent::PAYMENT_GAS);
    Ok(ChainSpec::from_genesis(genesis)?)
}

fn signed(spec: &ChainSpec, senders: &[Account], count: usize) -> Vec<TransactionSigned> {
    let terms = ChainTerms {
        chain_id: spec.chain_id(),
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: PRIORITY_FEE,
    };
    (0..count)
        .into_par_iter()
        .map(|index| {
            let to = senders[(index + 1) % senders.len()].address();
            let nonce = (index / senders.len()) as u64;
            let intent = Intent::payment(to, U256::from(1));
            let raw = senders[index % senders.len()]
                .sign(terms.transaction(intent, nonce))
                .raw;
            TransactionSigned::decode_2718(&mut raw.as_ref()).expect("it was encoded just now")
        })
        .collect()
}

/// Makes the next block: the importer says what its header has to say of its execution.
fn make(importer: &mut Importer, transactions: Vec<TransactionSigned>) -> eyre::Result<Block> {
    let mut block = draft(importer, transactions)?;
    for _ in 0..CORRECTIONS_MAX {
        match importer.import(block.clone()) {
            Ok(_) => return Ok(block),
            Err(ImportError::PostExecution { error, .. }) => correct(&mut block.header, error)?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(eyre!("block {} cannot be made", block.header.number))
}

fn draft(importer: &Importer, transactions: Vec<TransactionSigned>) -> eyre::Result<Block> {
    let parent = importer.chain().view().head.clone();
    let spec = importer.chain().spec();
    let attributes = NextBlockAttributes {
        timestamp: parent.header.timestamp + BLOCK_SECONDS,
        beneficiary: parent.header.beneficiary,
        prev_randao: B256::ZERO,
        parent_beacon_block_root: Some(B256::ZERO),
        gas_limit_target: parent.header.gas_limit,
        extra_data: Bytes::new(),
        slot_number: None,
    };
    let environment = next_block_environment(spec, &parent.header, attributes)?;
    let result = BlockResult {
        parent_hash: parent.hash,
        state_root: B256::ZERO,
        transactions_root: calculate_transaction_root(&transactions),
        receipts: ReceiptsDigest::of(&[]),
        gas_used: transactions.len() as u64 * Intent::PAYMENT_GAS,
        blob_gas_used: 0,
        withdrawals_root: None,
        requests_hash: None,
        block_access_list_hash: None,
    };
    let header = assemble_header(spec, &environment, &result);
    let withdrawals = header.withdrawals_root.map(|_| Default::default());
    Ok(Block {
        header,
        body: BlockBody {
            transactions,
            ommers: Vec::new(),
            withdrawals,
        },
    })
}

fn correct(header: &mut Header, error: PostExecutionError) -> eyre::Result<()> {
    match error {
        PostExecutionError::GasUsed(mismatch) => header.gas_used = mismatch.expected,
        PostExecutionError::ReceiptsRoot(mismatch) => header.receipts_root = mismatch.expected,
        PostExecutionError::LogsBloom(mismatch) => header.logs_bloom = mismatch.expected,
        PostExecutionError::StateRoot(mismatch) => header.state_root = mismatch.expected,
        other => return Err(other.into()),
    }
    Ok(())
}
