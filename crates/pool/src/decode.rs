//! From raw bytes to a transaction with a sender.

use alloy_consensus::{Transaction, transaction::SignerRecoverable};
use alloy_eips::eip2718::{Decodable2718, EIP4844_TX_TYPE_ID};
use alloy_primitives::{Bytes, keccak256};
use rapid_primitives::{Recovered, TransactionSigned};

use crate::{PoolError, PooledTransaction};

/// What bytes must fit to be decoded at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Chain id that the transaction must be signed for (a legacy transaction may name none).
    pub chain_id: u64,
    /// Most bytes of one encoded transaction.
    pub bytes_max: usize,
}

/// Decodes one canonical EIP-2718 transaction and recovers its sender, on the calling thread.
///
/// The length is checked before anything is allocated, the chain id before the signature, which costs most.
///
/// # Errors
/// [`PoolError::Empty`], [`PoolError::TypeNotSupported`] for blob transactions, [`PoolError::Oversized`],
/// [`PoolError::Undecodable`], [`PoolError::InvalidChainId`], [`PoolError::InvalidSignature`].
pub fn decode_and_recover(raw: &[u8], limits: &DecodeLimits) -> Result<PooledTransaction, PoolError> {
    check_bounds(raw, limits)?;
    decode_bytes_and_recover(Bytes::copy_from_slice(raw), limits)
}

/// [`decode_and_recover`] for bytes that are already shared: they are kept and not copied.
///
/// # Errors
/// As [`decode_and_recover`].
pub fn decode_bytes_and_recover(raw: Bytes, limits: &DecodeLimits) -> Result<PooledTransaction, PoolError> {
    check_bounds(&raw, limits)?;
    let transaction = TransactionSigned::decode_2718_exact(&raw).map_err(|_| PoolError::Undecodable)?;
    // The bytes are logged and streamed as they are, so they must be the very encoding that the hash stands for.
    if keccak256(&raw) != *transaction.tx_hash() {
        return Err(PoolError::Undecodable);
    }
    if transaction.chain_id().is_some_and(|id| id != limits.chain_id) {
        return Err(PoolError::InvalidChainId);
    }
    // Refuses an upper-half `s` (EIP-2).
    let sender = transaction
        .recover_signer()
        .map_err(|_| PoolError::InvalidSignature)?;
    Ok(PooledTransaction::new(
        Recovered::new_unchecked(transaction, sender),
        raw,
    ))
}

fn check_bounds(raw: &[u8], limits: &DecodeLimits) -> Result<(), PoolError> {
    match raw.first() {
        None => return Err(PoolError::Empty),
        Some(&EIP4844_TX_TYPE_ID) => return Err(PoolError::TypeNotSupported),
        Some(_) => {}
    }
    if raw.len() > limits.bytes_max {
        return Err(PoolError::Oversized {
            size: raw.len(),
            limit: limits.bytes_max,
        });
    }
    Ok(())
}
