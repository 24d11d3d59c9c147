//! What a body must satisfy under its header, before execution.

use alloy_consensus::{
    Transaction,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_primitives::{Block, BlockBody, Header};

use crate::{BodyError, Mismatch, TransactionRules, TransactionsDigester};

/// Most bytes of an encoded block from Osaka on: 10 MiB less 2 MiB for the beacon block (EIP-7934).
pub const MAX_BLOCK_RLP_BYTES: usize = 8 * 1024 * 1024;

/// Checks a body against its header: size (EIP-7934), each transaction by itself, ommers hash, transactions root,
/// withdrawals root (EIP-4895), and blob gas (EIP-4844).
///
/// The header must have passed [`verify_header`](crate::verify_header). Hashes the whole body once.
///
/// # Errors
/// The first rule that is broken; cheap rules come first.
pub fn verify_body(spec: &ChainSpec, header: &Header, body: &BlockBody) -> Result<(), BodyError> {
    if spec.is_osaka_active_at_timestamp(header.timestamp) {
        let (found, max) = (Block::rlp_length_for(header, body), MAX_BLOCK_RLP_BYTES);
        if found > max {
            return Err(BodyError::Size { found, max });
        }
    }
    let rules = TransactionRules::at(spec, header.number, header.timestamp);
    for (index, transaction) in body.transactions.iter().enumerate() {
        rules
            .verify(transaction)
            .map_err(|error| BodyError::Transaction { index, error })?;
    }
    if let Some(expected) = header.blob_gas_used {
        let sum = body
            .transactions
            .iter()
            .filter_map(Transaction::blob_gas_used)
            .sum();
        Mismatch::check(expected, sum).map_err(BodyError::BlobGasUsed)?;
    }
    Mismatch::check(header.ommers_hash, calculate_ommers_root(&body.ommers))
        .map_err(BodyError::OmmersHash)?;
    verify_withdrawals(header, body)?;
    Mismatch::check(
        header.transactions_root,
        TransactionsDigester::digest(&body.transactions),
    )
    .map_err(BodyError::TransactionsRoot)
}

fn verify_withdrawals(header: &Header, body: &BlockBody) -> Result<(), BodyError> {
    match (header.withdrawals_root, &body.withdrawals) {
        (Some(found), Some(withdrawals)) => Mismatch::check(found, calculate_withdrawals_root(withdrawals))
            .map_err(BodyError::WithdrawalsRoot),
        (None, None) => Ok(()),
        (Some(_), None) => Err(BodyError::WithdrawalsMissing),
        (None, Some(_)) => Err(BodyError::WithdrawalsUnexpected),
    }
}
