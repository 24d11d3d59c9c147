//! Deposits, which the deposit contract logs (EIP-6110).

use alloy_primitives::{B256, Log, U256, b256};

/// First topic of a deposit log: the hash of `DepositEvent(bytes,bytes,bytes,bytes,bytes)`. Whatever else the contract
/// logs is no deposit.
const DEPOSIT_EVENT: B256 = b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// Bytes of a deposit log's data.
const DEPOSIT_LOG_BYTES: usize = 576;

/// Where the length of each field stands in the data, and the field's only valid length: public key, withdrawal
/// credentials, amount, signature, index. The data begins with the five positions.
const FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// Bytes of one word of ABI encoding.
const WORD: usize = 32;

/// A log of the deposit contract is not laid out as EIP-6110 demands, which makes its block invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DepositLogError {
    /// Too much or too little data.
    #[error("deposit log has {found} bytes, expected {expected}")]
    Length {
        /// Bytes of data.
        found: usize,
        /// The only valid length.
        expected: usize,
    },
    /// A field's position or length is not the one it must have.
    #[error("deposit log says {found} at byte {at}, expected {expected}")]
    Layout {
        /// Where in the data.
        at: usize,
        /// What stands there.
        found: U256,
        /// What must stand there.
        expected: usize,
    },
}

/// Appends the deposit of a log of the deposit contract in the form of EIP-6110; nothing if the log is of another event.
pub(crate) fn append_deposit(log: &Log, deposits: &mut Vec<u8>) -> Result<(), DepositLogError> {
    if log.topics().first() != Some(&DEPOSIT_EVENT) {
        return Ok(());
    }
    let data: &[u8] = &log.data.data;
    let (found, expected) = (data.len(), DEPOSIT_LOG_BYTES);
    if found != expected {
        return Err(DepositLogError::Length { found, expected });
    }
    for (index, (position, length)) in FIELDS.into_iter().enumerate() {
        expect_word(data, index * WORD, position)?;
        expect_word(data, position, length)?;
    }
    for (position, length) in FIELDS {
        let begin = position + WORD;
        deposits.extend_from_slice(&data[begin..begin + length]);
    }
    Ok(())
}

fn expect_word(data: &[u8], at: usize, expected: usize) -> Result<(), DepositLogError> {
    let found = U256::from_be_slice(&data[at..at + WORD]);
    if found == U256::from(expected) {
        Ok(())
    } else {
        Err(DepositLogError::Layout { at, found, expected })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes, LogData};

    use super::*;

    /// Fields of different bytes in the layout of the contract on mainnet.
    fn data() -> Vec<u8> {
        let mut data = vec![0; DEPOSIT_LOG_BYTES];
        for (index, (position, length)) in FIELDS.into_iter().enumerate() {
            let word = |value: usize| U256::from(value).to_be_bytes::<WORD>();
            data[index * WORD..(index + 1) * WORD].copy_from_slice(&word(position));
            data[position..position + WORD].copy_from_slice(&word(length));
            data[position + WORD..position + WORD + length].fill(u8::try_from(index).unwrap() + 1);
        }
        data
    }

    fn append(topic: B256, data: Vec<u8>) -> Result<Vec<u8>, DepositLogError> {
        let log = Log {
            address: Address::ZERO,
            data: LogData::new_unchecked(vec![topic], Bytes::from(data)),
        };
        let mut deposits = Vec::new();
        append_deposit(&log, &mut deposits).map(|()| deposits)
    }

    #[test]
    fn fields_are_concatenated() {
        let expected: Vec<u8> = [(1, 48), (2, 32), (3, 8), (4, 96), (5, 8)]
            .into_iter()
            .flat_map(|(byte, length)| vec![byte; length])
            .collect();
        assert_eq!(append(DEPOSIT_EVENT, data()), Ok(expected));
        assert_eq!(append(B256::ZERO, data()), Ok(Vec::new()), "another event");
    }

    #[test]
    fn any_other_layout_is_refused() {
        let expected = DEPOSIT_LOG_BYTES;
        for found in [0, expected - 1, expected + WORD] {
            let mut data = data();
            data.resize(found, 0);
            assert_eq!(
                append(DEPOSIT_EVENT, data),
                Err(DepositLogError::Length { found, expected })
            );
        }
        for (index, (position, length)) in FIELDS.into_iter().enumerate() {
            for (at, expected) in [(index * WORD, position), (position, length)] {
                let mut data = data();
                data[at + WORD - 1] ^= 1;
                let found = U256::from(expected ^ 1);
                assert_eq!(
                    append(DEPOSIT_EVENT, data),
                    Err(DepositLogError::Layout { at, found, expected })
                );
            }
        }
    }
}
