//! The header of a record.

use alloy_primitives::{Address, B64, B256, Bytes, U256};
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader, RlpDecodable, RlpEncodable};

use crate::{
    AmsterdamClose, BlockClose, BlockEnvironment, BlockPosition, Header, MiniBlockHeader, MiniBlockNumber,
    ProofOfWorkSeal, Rewind,
};

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
