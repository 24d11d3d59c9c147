//! What a transaction must satisfy in a block of a given fork, whatever the state is.

use alloy_consensus::{Transaction, Typed2718, transaction::SignerRecoverable};
use alloy_eips::{
    eip2718::{
        EIP1559_TX_TYPE_ID, EIP2930_TX_TYPE_ID, EIP4844_TX_TYPE_ID, EIP7702_TX_TYPE_ID, LEGACY_TX_TYPE_ID,
    },
    eip4844::VERSIONED_HASH_VERSION_KZG,
    eip7825::MAX_TX_GAS_LIMIT_OSAKA,
    eip7840::BlobParams,
};
use alloy_primitives::{Address, B256};
use rapid_chainspec::{ChainSpec, EthereumHardfork as Fork, EthereumHardforks};
use rapid_primitives::TransactionSigned;

use crate::TransactionError;

/// The rules for single transactions at one block, looked up once and then applied to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionRules {
    /// Newest known transaction type.
    newest_type: u8,
    /// Whether legacy transactions may name their chain (EIP-155).
    chain_id_allowed: bool,
    /// Whether a signature's `s` may be in the upper half of the curve's order (forbidden by EIP-2).
    high_s_allowed: bool,
    /// Most gas of one transaction (EIP-7825).
    gas_limit_max: Option<u64>,
    /// Blob parameters; `None` before Cancun.
    blobs: Option<BlobParams>,
}

impl TransactionRules {
    /// The rules in a block of this number and timestamp.
    #[must_use]
    pub fn at(spec: &ChainSpec, number: u64, timestamp: u64) -> Self {
        let newest_type = if spec.is_prague_active_at_timestamp(timestamp) {
            EIP7702_TX_TYPE_ID
        } else if spec.is_cancun_active_at_timestamp(timestamp) {
            EIP4844_TX_TYPE_ID
        } else if spec.is_london_active_at_block(number) {
            EIP1559_TX_TYPE_ID
        } else if spec.is_berlin_active_at_block(number) {
            EIP2930_TX_TYPE_ID
        } else {
            LEGACY_TX_TYPE_ID
        };
        // From Amsterdam on, gas above the cap is a reservoir for state gas (EIP-8037).
        let capped =
            spec.is_osaka_active_at_timestamp(timestamp) && !spec.is_amsterdam_active_at_timestamp(timestamp);
        Self {
            newest_type,
            chain_id_allowed: spec.is_spurious_dragon_active_at_block(number),
            high_s_allowed: !spec.is_homestead_active_at_block(number),
            gas_limit_max: capped.then_some(MAX_TX_GAS_LIMIT_OSAKA),
            blobs: spec.blob_params_at_timestamp(timestamp),
        }
    }

    /// Recovers the sender.
    ///
    /// # Errors
    /// [`TransactionError::Signature`] if the signature is of no account, or not in the canonical form that EIP-2 asks
    /// for from Homestead on.
    pub fn recover_sender(&self, transaction: &TransactionSigned) -> Result<Address, TransactionError> {
        let recovered = if self.high_s_allowed {
            transaction.recover_signer_unchecked()
        } else {
            transaction.recover_signer()
        };
        recovered.map_err(|_| TransactionError::Signature {
            found: Box::new(*transaction.signature()),
        })
    }

    /// Checks type, replay protection (EIP-155), gas cap (EIP-7825), blobs (EIP-4844, EIP-7594) and authorisations
    /// (EIP-7702). The signature is for [`recover_sender`](Self::recover_sender); what needs the state or the EVM's
    /// costs is for execution: fees, nonce (EIP-2681), balance, intrinsic and floor gas (EIP-7623), size of initcode
    /// (EIP-3860), code of the sender (EIP-3607).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, transaction: &TransactionSigned) -> Result<(), TransactionError> {
        let found = transaction.ty();
        if found > self.newest_type {
            return Err(TransactionError::Type {
                found,
                fork: introduced_by(found),
            });
        }
        if let Some(found) = transaction
            .chain_id()
            .filter(|_| transaction.is_legacy() && !self.chain_id_allowed)
        {
            let fork = Fork::SpuriousDragon;
            return Err(TransactionError::ChainId { found, fork });
        }
        if let Some(max) = self.gas_limit_max.filter(|max| transaction.gas_limit() > *max) {
            return Err(TransactionError::GasLimit {
                found: transaction.gas_limit(),
                max,
            });
        }
        if transaction
            .authorization_list()
            .is_some_and(|list| list.is_empty())
        {
            return Err(TransactionError::AuthorizationsMissing);
        }
        match (transaction.blob_versioned_hashes(), &self.blobs) {
            (Some(hashes), Some(params)) => verify_blobs(hashes, params.max_blobs_per_tx),
            _ => Ok(()),
        }
    }
}

fn verify_blobs(hashes: &[B256], max: u64) -> Result<(), TransactionError> {
    let found = hashes.len() as u64;
    if found == 0 {
        return Err(TransactionError::BlobsMissing);
    }
    if found > max {
        return Err(TransactionError::BlobCount { found, max });
    }
    match hashes.iter().find(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
        Some(found) => Err(TransactionError::BlobVersion { found: *found }),
        None => Ok(()),
    }
}

const fn introduced_by(transaction_type: u8) -> Fork {
    match transaction_type {
        EIP2930_TX_TYPE_ID => Fork::Berlin,
        EIP1559_TX_TYPE_ID => Fork::London,
        EIP4844_TX_TYPE_ID => Fork::Cancun,
        _ => Fork::Prague,
    }
}
