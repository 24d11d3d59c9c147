//! The record: the one encoding of a mini-block.
//!
//! `rlp([header, body])`; the hash is the Keccak-256 of `rlp(header)`, and the header holds the Keccak-256 of
//! `rlp(body)`, so the hash chain covers everything. An optional field is an empty or one-element list.

mod backwards;
mod body;
mod header;

use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Header as RlpHeader};

use self::{backwards::BackwardsRlp, body::BodyOwned};
use crate::{AccessDeltaError, MiniBlock, MiniBlockHeader, SealedMiniBlock};

/// Upper bound of one encoded record. A mini-block holds at most one EVM block, whose transactions are bounded by
/// EIP-7934 (8 MiB) and whose receipts and diff by its gas; a length above this in a file or frame is corruption.
pub const MAX_RECORD_BYTES: usize = 1 << 30;

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not RLP of the right shape.
    #[error("record does not decode: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// Bytes follow the record.
    #[error("{0} bytes follow the record")]
    TrailingBytes(usize),
    /// The body is not the one the header names.
    #[error("body hash {found} differs from the header's {expected}")]
    BodyHash {
        /// Named by the header.
        expected: B256,
        /// Of the bytes.
        found: B256,
    },
    /// Senders or receipts do not match the transactions one to one.
    #[error("{transactions} transactions with {senders} senders and {receipts} receipts")]
    Counts {
        /// Number of transactions.
        transactions: usize,
        /// Number of senders.
        senders: usize,
        /// Number of receipts.
        receipts: usize,
    },
    /// What it says of accesses does not go with its diff.
    #[error("accesses: {0}")]
    Accesses(#[from] AccessDeltaError),
}

impl MiniBlock {
    /// Encodes the mini-block and computes its hashes.
    ///
    /// # Panics
    /// If senders or receipts do not match the transactions one to one.
    #[must_use]
    pub fn seal(mut self) -> SealedMiniBlock {
        assert_eq!(
            self.body.transactions.len(),
            self.body.senders.len(),
            "one sender per transaction"
        );
        assert_eq!(
            self.body.transactions.len(),
            self.body.receipts.len(),
            "one receipt per transaction"
        );
        let mut rlp = BackwardsRlp::new();
        let mut transaction_bytes = 0;
        let mut hash = B256::ZERO;
        rlp.list(|rlp| {
            transaction_bytes = body::write(&self.body, rlp);
            self.header.body_hash = keccak256(rlp.bytes());
            let header = alloy_rlp::encode(&self.header);
            hash = keccak256(&header);
            rlp.raw(&header);
        });
        let position_after = self.position_after(transaction_bytes);
        SealedMiniBlock {
            mini_block: self,
            hash,
            bytes: Bytes::copy_from_slice(rlp.bytes()),
            position_after,
        }
    }
}

impl SealedMiniBlock {
    /// Decodes a record and checks that header and body belong together.
    ///
    /// # Errors
    /// [`RecordError`]; the input is then not a record this node or another wrote.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let mut buf = bytes.as_ref();
        let outer = RlpHeader::decode(&mut buf)?;
        if !outer.list {
            return Err(alloy_rlp::Error::UnexpectedString.into());
        }
        if outer.payload_length != buf.len() {
            return Err(RecordError::TrailingBytes(buf.len() - outer.payload_length));
        }
        let at_header = buf;
        let header = MiniBlockHeader::decode(&mut buf)?;
        let hash = keccak256(&at_header[..at_header.len() - buf.len()]);
        let found = keccak256(buf);
        if found != header.body_hash {
            return Err(RecordError::BodyHash {
                expected: header.body_hash,
                found,
            });
        }
        let body = BodyOwned::decode(&mut buf)?;
        if !buf.is_empty() {
            return Err(RecordError::TrailingBytes(buf.len()));
        }
        let (transactions, senders, receipts) =
            (body.transactions.len(), body.senders.len(), body.receipts.len());
        if transactions != senders || transactions != receipts {
            return Err(RecordError::Counts {
                transactions,
                senders,
                receipts,
            });
        }
        if let Some(amsterdam) = &body.amsterdam {
            amsterdam.accesses.verify(&body.diff)?;
        }
        let mini_block = MiniBlock {
            header,
            body: body.try_into()?,
        };
        let transactions = mini_block.body.transactions.iter();
        let transaction_bytes = transactions.map(Encodable2718::encode_2718_len).sum();
        let position_after = mini_block.position_after(transaction_bytes);
        Ok(Self {
            mini_block,
            hash,
            bytes,
            position_after,
        })
    }
}
