//! How values are encoded.

use alloy_primitives::Log;
use alloy_rlp::{Decodable, Encodable, RlpDecodable};
use rapid_primitives::Receipt;

use crate::StoredReceipt;

/// Which transactions a block has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyIndices {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl BodyIndices {
    pub(crate) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.first.to_be_bytes());
        bytes[8..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, count) = bytes.split_first_chunk()?;
        let indices = Self {
            first: u64::from_be_bytes(*first),
            count: u64::from_be_bytes(count.try_into().ok()?),
        };
        indices.first.checked_add(indices.count).map(|_| indices)
    }

    /// Number after the last transaction.
    pub(crate) const fn end(self) -> u64 {
        self.first + self.count
    }
}

pub(crate) fn decode_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// A whole value of RLP with nothing behind it.
pub(crate) fn decode_rlp<T: Decodable>(mut bytes: &[u8]) -> Option<T> {
    let value = T::decode(&mut bytes).ok()?;
    bytes.is_empty().then_some(value)
}

/// Appends `[type, success, cumulative gas, gas used, index of the first log, logs]`.
pub(crate) fn encode_receipt(out: &mut Vec<u8>, receipt: &Receipt, gas_used: u64, first_log_index: u64) {
    let tx_type = u8::from(receipt.tx_type);
    let payload_length = tx_type.length()
        + receipt.success.length()
        + receipt.cumulative_gas_used.length()
        + gas_used.length()
        + first_log_index.length()
        + receipt.logs.length();
    alloy_rlp::Header {
        list: true,
        payload_length,
    }
    .encode(out);
    tx_type.encode(out);
    receipt.success.encode(out);
    receipt.cumulative_gas_used.encode(out);
    gas_used.encode(out);
    first_log_index.encode(out);
    receipt.logs.encode(out);
}

pub(crate) fn decode_receipt(bytes: &[u8]) -> Option<StoredReceipt> {
    let rlp: ReceiptRlp = decode_rlp(bytes)?;
    Some(StoredReceipt {
        receipt: Receipt {
            tx_type: rlp.tx_type.try_into().ok()?,
            success: rlp.success,
            cumulative_gas_used: rlp.cumulative_gas_used,
            logs: rlp.logs,
        },
        gas_used: rlp.gas_used,
        first_log_index: rlp.first_log_index,
    })
}

#[derive(RlpDecodable)]
struct ReceiptRlp {
    tx_type: u8,
    success: bool,
    cumulative_gas_used: u64,
    gas_used: u64,
    first_log_index: u64,
    logs: Vec<Log>,
}
