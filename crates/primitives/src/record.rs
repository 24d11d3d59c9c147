//! The record: the one encoding of a mini-block.
//!
//! `rlp([header, body])`; the hash is the Keccak-256 of `rlp(header)`, and the header holds the Keccak-256 of
//! `rlp(body)`, so the hash chain covers everything. An optional field is an empty or one-element list.

use alloy_primitives::{Address, B64, B256, Bytes, Log, U256, keccak256};
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader, RlpDecodable, RlpEncodable};

use crate::{
    AccessDeltaError, AmsterdamClose, AmsterdamDelta, BlockClose, BlockEnvironment, BlockPosition, Header,
    MiniBlock, MiniBlockBody, MiniBlockHeader, MiniBlockNumber, ProofOfWorkSeal, Receipt, Rewind,
    SealedMiniBlock, StateDiff, TransactionSigned,
};

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
        let body = alloy_rlp::encode(BodyRef::from(&self.body));
        self.header.body_hash = keccak256(&body);
        let header = alloy_rlp::encode(&self.header);
        let hash = keccak256(&header);
        let payload_length = header.len() + body.len();
        let mut bytes = Vec::with_capacity(payload_length + 9);
        RlpHeader {
            list: true,
            payload_length,
        }
        .encode(&mut bytes);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        let position_after = self.position_after();
        SealedMiniBlock {
            mini_block: self,
            hash,
            bytes: bytes.into(),
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
        let position_after = mini_block.position_after();
        Ok(Self {
            mini_block,
            hash,
            bytes,
            position_after,
        })
    }
}

/// An optional value as a list of zero or one elements.
#[derive(Debug)]
struct Opt<T>(Option<T>);

impl<T: Encodable> Encodable for Opt<T> {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = self.0.as_ref().map_or(0, Encodable::length);
        RlpHeader {
            list: true,
            payload_length,
        }
        .encode(out);
        if let Some(value) = &self.0 {
            value.encode(out);
        }
    }

    fn length(&self) -> usize {
        let payload_length = self.0.as_ref().map_or(0, Encodable::length);
        RlpHeader {
            list: true,
            payload_length,
        }
        .length()
            + payload_length
    }
}

impl<T: Decodable> Decodable for Opt<T> {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = RlpHeader::decode_bytes(buf, true)?;
        if payload.is_empty() {
            return Ok(Self(None));
        }
        let value = T::decode(&mut payload)?;
        if !payload.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(Self(Some(value)))
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct HeaderRlp {
    number: MiniBlockNumber,
    parent_hash: B256,
    time_us: u64,
    block: EnvironmentRlp,
    block_parent_hash: Opt<B256>,
    position: PositionRlp,
    close: Opt<CloseRlp>,
    rewind: Opt<RewindRlp>,
    body_hash: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct RewindRlp {
    number: u64,
    hash: B256,
}

/// The last field came with Amsterdam and is left out before it: records of earlier forks stay what they were.
#[derive(RlpEncodable, RlpDecodable)]
#[rlp(trailing(no_gaps))]
struct EnvironmentRlp {
    number: u64,
    timestamp: u64,
    beneficiary: Address,
    gas_limit: u64,
    base_fee_per_gas: Opt<u64>,
    difficulty: U256,
    prev_randao: B256,
    excess_blob_gas: Opt<u64>,
    parent_beacon_block_root: Opt<B256>,
    extra_data: Bytes,
    slot_number: Option<u64>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct PositionRlp {
    mini_block_index: u32,
    transaction_index: u64,
    log_index: u64,
    gas_used: u64,
    blob_gas_used: u64,
    transaction_bytes: u64,
}

/// As for the environment, the last field came with Amsterdam.
#[derive(RlpEncodable, RlpDecodable)]
#[rlp(trailing(no_gaps))]
struct CloseRlp {
    withdrawals: Opt<Vec<alloy_eips::eip4895::Withdrawal>>,
    requests: Opt<Vec<Bytes>>,
    proof_of_work: Opt<ProofOfWorkRlp>,
    amsterdam: Option<AmsterdamRlp>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct AmsterdamRlp {
    gas_used: u64,
    block_access_list_hash: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ProofOfWorkRlp {
    nonce: B64,
    ommers: Vec<Header>,
    receipts_root: B256,
}

impl Encodable for MiniBlockHeader {
    fn encode(&self, out: &mut dyn BufMut) {
        HeaderRlp::from(self).encode(out);
    }

    fn length(&self) -> usize {
        HeaderRlp::from(self).length()
    }
}

impl Decodable for MiniBlockHeader {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        HeaderRlp::decode(buf).map(Self::from)
    }
}

impl From<&MiniBlockHeader> for HeaderRlp {
    fn from(header: &MiniBlockHeader) -> Self {
        let environment = &header.environment;
        let position = &header.position;
        Self {
            number: header.number,
            parent_hash: header.parent_hash,
            time_us: header.time_us,
            block: EnvironmentRlp {
                number: environment.number,
                timestamp: environment.timestamp,
                beneficiary: environment.beneficiary,
                gas_limit: environment.gas_limit,
                base_fee_per_gas: Opt(environment.base_fee_per_gas),
                difficulty: environment.difficulty,
                prev_randao: environment.prev_randao,
                excess_blob_gas: Opt(environment.excess_blob_gas),
                parent_beacon_block_root: Opt(environment.parent_beacon_block_root),
                extra_data: environment.extra_data.clone(),
                slot_number: environment.slot_number,
            },
            block_parent_hash: Opt(header.block_parent_hash),
            position: PositionRlp {
                mini_block_index: position.mini_block_index,
                transaction_index: position.transaction_index,
                log_index: position.log_index,
                gas_used: position.gas_used,
                blob_gas_used: position.blob_gas_used,
                transaction_bytes: position.transaction_bytes,
            },
            close: Opt(header.close.as_ref().map(|close| CloseRlp {
                withdrawals: Opt(close.withdrawals.clone()),
                requests: Opt(close
                    .requests
                    .as_ref()
                    .map(|requests| requests.iter().cloned().collect())),
                proof_of_work: Opt(close.proof_of_work.as_ref().map(|seal| ProofOfWorkRlp {
                    nonce: seal.nonce,
                    ommers: seal.ommers.clone(),
                    receipts_root: seal.receipts_root,
                })),
                amsterdam: close.amsterdam.map(|amsterdam| AmsterdamRlp {
                    gas_used: amsterdam.gas_used,
                    block_access_list_hash: amsterdam.block_access_list_hash,
                }),
            })),
            rewind: Opt(header
                .rewind
                .map(|Rewind { number, hash }| RewindRlp { number, hash })),
            body_hash: header.body_hash,
        }
    }
}

impl From<HeaderRlp> for MiniBlockHeader {
    fn from(rlp: HeaderRlp) -> Self {
        Self {
            number: rlp.number,
            parent_hash: rlp.parent_hash,
            time_us: rlp.time_us,
            environment: BlockEnvironment {
                number: rlp.block.number,
                timestamp: rlp.block.timestamp,
                beneficiary: rlp.block.beneficiary,
                gas_limit: rlp.block.gas_limit,
                base_fee_per_gas: rlp.block.base_fee_per_gas.0,
                difficulty: rlp.block.difficulty,
                prev_randao: rlp.block.prev_randao,
                excess_blob_gas: rlp.block.excess_blob_gas.0,
                parent_beacon_block_root: rlp.block.parent_beacon_block_root.0,
                extra_data: rlp.block.extra_data,
                slot_number: rlp.block.slot_number,
            },
            block_parent_hash: rlp.block_parent_hash.0,
            position: BlockPosition {
                mini_block_index: rlp.position.mini_block_index,
                transaction_index: rlp.position.transaction_index,
                log_index: rlp.position.log_index,
                gas_used: rlp.position.gas_used,
                blob_gas_used: rlp.position.blob_gas_used,
                transaction_bytes: rlp.position.transaction_bytes,
            },
            close: rlp.close.0.map(|close| BlockClose {
                withdrawals: close.withdrawals.0,
                requests: close.requests.0.map(alloy_eips::eip7685::Requests::new),
                proof_of_work: close.proof_of_work.0.map(|seal| ProofOfWorkSeal {
                    nonce: seal.nonce,
                    ommers: seal.ommers,
                    receipts_root: seal.receipts_root,
                }),
                amsterdam: close.amsterdam.map(|amsterdam| AmsterdamClose {
                    gas_used: amsterdam.gas_used,
                    block_access_list_hash: amsterdam.block_access_list_hash,
                }),
            }),
            rewind: rlp
                .rewind
                .0
                .map(|RewindRlp { number, hash }| Rewind { number, hash }),
            body_hash: rlp.body_hash,
        }
    }
}

/// The body as it is encoded: receipts without their blooms.
struct BodyRef<'a>(&'a MiniBlockBody);

impl<'a> From<&'a MiniBlockBody> for BodyRef<'a> {
    fn from(body: &'a MiniBlockBody) -> Self {
        Self(body)
    }
}

impl BodyRef<'_> {
    fn payload_length(&self) -> usize {
        self.0.transactions.length()
            + self.0.senders.length()
            + alloy_rlp::list_length(&receipt_refs(&self.0.receipts))
            + self.0.diff.length()
            + self.0.amsterdam.as_ref().map_or(0, Encodable::length)
    }
}

impl Encodable for BodyRef<'_> {
    fn encode(&self, out: &mut dyn BufMut) {
        RlpHeader {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        self.0.transactions.encode(out);
        self.0.senders.encode(out);
        alloy_rlp::encode_list::<_, ReceiptRef<'_>>(&receipt_refs(&self.0.receipts), out);
        self.0.diff.encode(out);
        if let Some(amsterdam) = &self.0.amsterdam {
            amsterdam.encode(out);
        }
    }

    fn length(&self) -> usize {
        let payload_length = self.payload_length();
        RlpHeader {
            list: true,
            payload_length,
        }
        .length()
            + payload_length
    }
}

/// A receipt without its bloom: `[type, success, cumulative gas used, logs]`.
struct ReceiptRef<'a>(&'a Receipt);

fn receipt_refs(receipts: &[Receipt]) -> Vec<ReceiptRef<'_>> {
    receipts.iter().map(ReceiptRef).collect()
}

impl ReceiptRef<'_> {
    fn payload_length(&self) -> usize {
        u8::from(self.0.tx_type).length()
            + self.0.success.length()
            + self.0.cumulative_gas_used.length()
            + self.0.logs.length()
    }
}

impl Encodable for ReceiptRef<'_> {
    fn encode(&self, out: &mut dyn BufMut) {
        RlpHeader {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        u8::from(self.0.tx_type).encode(out);
        self.0.success.encode(out);
        self.0.cumulative_gas_used.encode(out);
        self.0.logs.encode(out);
    }

    fn length(&self) -> usize {
        let payload_length = self.payload_length();
        RlpHeader {
            list: true,
            payload_length,
        }
        .length()
            + payload_length
    }
}

#[derive(RlpDecodable)]
struct ReceiptOwned {
    tx_type: u8,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

impl TryFrom<ReceiptOwned> for Receipt {
    type Error = alloy_rlp::Error;

    fn try_from(receipt: ReceiptOwned) -> alloy_rlp::Result<Self> {
        Ok(Self {
            tx_type: receipt
                .tx_type
                .try_into()
                .map_err(|_| alloy_rlp::Error::Custom("unknown transaction type"))?,
            success: receipt.success,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs,
        })
    }
}

/// The last field came with Amsterdam, too.
#[derive(RlpDecodable)]
#[rlp(trailing(no_gaps))]
struct BodyOwned {
    transactions: Vec<TransactionSigned>,
    senders: Vec<Address>,
    receipts: Vec<ReceiptOwned>,
    diff: StateDiff,
    amsterdam: Option<AmsterdamDelta>,
}

impl TryFrom<BodyOwned> for MiniBlockBody {
    type Error = alloy_rlp::Error;

    fn try_from(body: BodyOwned) -> alloy_rlp::Result<Self> {
        let receipts = body
            .receipts
            .into_iter()
            .map(Receipt::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            transactions: body.transactions,
            senders: body.senders,
            receipts,
            diff: body.diff,
            amsterdam: body.amsterdam,
        })
    }
}
