//! How values are encoded.

use alloy_primitives::{B256, KECCAK256_EMPTY, Log, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use rapid_primitives::{Account, Receipt};

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

/// Appends `[nonce, balance, code hash]`, the hash only where there is code; nothing for an account that did not exist.
pub(crate) fn encode_account(out: &mut Vec<u8>, account: Option<&Account>) {
    let Some(account) = account else { return };
    let code_hash = (account.code_hash != KECCAK256_EMPTY).then_some(account.code_hash);
    AccountRlp {
        nonce: account.nonce,
        balance: account.balance,
        code_hash,
    }
    .encode(out);
}

pub(crate) fn decode_account(bytes: &[u8]) -> Option<Option<Account>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let rlp: AccountRlp = decode_rlp(bytes)?;
    Some(Some(Account {
        nonce: rlp.nonce,
        balance: rlp.balance,
        code_hash: rlp.code_hash.unwrap_or(KECCAK256_EMPTY),
    }))
}

#[derive(RlpDecodable, RlpEncodable)]
#[rlp(trailing)]
struct AccountRlp {
    nonce: u64,
    balance: U256,
    code_hash: Option<B256>,
}

/// Appends the big-endian bytes of a word without leading zeros; nothing for zero.
pub(crate) fn encode_word(out: &mut Vec<u8>, word: &U256) {
    let bytes = word.to_be_bytes::<32>();
    out.extend_from_slice(&bytes[word.leading_zeros() / 8..]);
}

pub(crate) fn decode_word(bytes: &[u8]) -> Option<U256> {
    if bytes.first() == Some(&0) {
        return None;
    }
    U256::try_from_be_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account() -> impl Strategy<Value = Option<Account>> {
        let hash = prop_oneof![Just(KECCAK256_EMPTY), any::<[u8; 32]>().prop_map(B256::from)];
        prop::option::of(
            (any::<u64>(), word(), hash).prop_map(|(nonce, balance, code_hash)| Account {
                nonce,
                balance,
                code_hash,
            }),
        )
    }

    fn word() -> impl Strategy<Value = U256> {
        (any::<[u8; 32]>(), 0usize..=256).prop_map(|(bytes, shift)| U256::from_be_bytes(bytes) >> shift)
    }

    proptest! {
        #[test]
        fn accounts_come_back(account in account()) {
            let mut bytes = Vec::new();
            encode_account(&mut bytes, account.as_ref());
            prop_assert_eq!(decode_account(&bytes), Some(account));
        }

        #[test]
        fn words_come_back(word in word()) {
            let mut bytes = Vec::new();
            encode_word(&mut bytes, &word);
            prop_assert_eq!(decode_word(&bytes), Some(word));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (decode_account(&bytes), decode_word(&bytes));
        }
    }
}
