//! Accounts as the table keeps them: four words, code and wide balances by number.

use alloy_primitives::U256;
use rapid_primitives::Account;

use crate::{
    code::CodeTable,
    entry::{ABSENT, Value},
    region::OutOfMemory,
    storages::StorageId,
    wide_balance::WideBalances,
};

/// What the table knows of an account that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountRecord {
    pub(crate) account: Account,
    pub(crate) storage: StorageId,
}

/// In the last word: the account exists.
const EXISTS: u64 = 1 << 63;

/// In the last word: the balance is the number of a wide one.
const WIDE: u64 = 1 << 62;

/// What account values refer to.
#[derive(Debug)]
pub(crate) struct AccountParts {
    pub(crate) codes: CodeTable,
    wide: WideBalances,
}

impl AccountParts {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            codes: CodeTable::new()?,
            wide: WideBalances::new()?,
        })
    }

    /// The words of an account: `nonce`, `balance` in two, and `exists 1 | wide 1 | code 30 | storage 32`.
    ///
    /// # Panics
    /// If its code is not in the table.
    pub(crate) fn encode(&self, record: Option<&AccountRecord>) -> Value {
        let Some(AccountRecord { account, storage }) = record else {
            return ABSENT;
        };
        let code = self.codes.number(&account.code_hash);
        let code = u64::from(code.expect("whoever has a code hash brought the code"));
        let flags = EXISTS | code << 32 | u64::from(storage.0);
        match account.balance.as_limbs() {
            [low, high, 0, 0] => [account.nonce, *low, *high, flags],
            _ => [
                account.nonce,
                self.wide.keep(&account.balance).into(),
                0,
                flags | WIDE,
            ],
        }
    }

    /// The account of these words. With a wide balance it is right only if the words were still those of an entry, or of an
    /// old value, after it was read.
    pub(crate) fn decode(&self, value: &Value) -> Option<AccountRecord> {
        let [nonce, low, high, flags] = *value;
        if flags & EXISTS == 0 {
            return None;
        }
        let balance = if is_wide(value) {
            self.wide.get(low as u32)
        } else {
            U256::from_limbs([low, high, 0, 0])
        };
        let code = (flags >> 32) as u32 & (u32::MAX >> 2);
        Some(AccountRecord {
            account: Account {
                nonce,
                balance,
                code_hash: self.codes.hash(code),
            },
            storage: storage_of(value),
        })
    }

    /// The number of the wide balance among these words.
    pub(crate) fn wide_number(value: &Value) -> Option<u32> {
        is_wide(value).then_some(value[1] as u32)
    }

    /// Forgets a wide balance.
    pub(crate) fn free_wide(&self, number: u32) {
        self.wide.free(number);
    }
}

pub(crate) const fn is_wide(value: &Value) -> bool {
    value[3] & WIDE != 0
}

/// The storage of the account of these words; none if there is no account.
pub(crate) const fn storage_of(value: &Value) -> StorageId {
    StorageId(value[3] as u32)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::KECCAK256_EMPTY;

    use super::*;

    #[test]
    fn accounts_come_back_as_they_were() {
        let parts = AccountParts::new().unwrap();
        assert_eq!(parts.decode(&parts.encode(None)), None);
        let balances = [U256::ZERO, U256::from(u128::MAX), U256::from(1) << 128, U256::MAX];
        for balance in balances {
            for (nonce, storage) in [(0, 0), (u64::MAX, u32::MAX)] {
                let record = AccountRecord {
                    account: Account {
                        nonce,
                        balance,
                        code_hash: KECCAK256_EMPTY,
                    },
                    storage: StorageId(storage),
                };
                let value = parts.encode(Some(&record));
                assert_ne!(value, ABSENT);
                assert_eq!(parts.decode(&value), Some(record));
                assert_eq!(storage_of(&value), record.storage);
                assert_eq!(
                    AccountParts::wide_number(&value).is_some(),
                    balance > U256::from(u128::MAX)
                );
            }
        }
    }

    #[test]
    fn words_that_are_no_account_do_no_harm() {
        let parts = AccountParts::new().unwrap();
        assert!(
            parts.decode(&[u64::MAX; 4]).is_some(),
            "a number, and a wrong one"
        );
    }
}
