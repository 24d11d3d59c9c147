//! What one transaction (or system call) did to one account, as absolute post-values.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::bytecode::Bytecode;

/// The flat part of an account as execution sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Number of transactions sent (or contracts created) by the account.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Keccak-256 of the code; [`KECCAK256_EMPTY`] without code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
        }
    }
}

impl Account {
    /// Whether the account is empty in the sense of EIP-161: no nonce, no balance, no code.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }
}

/// What happened to an account beyond the values of its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing that the post-values do not say. The account exists afterwards if it existed before or any of its
    /// fields is non-zero.
    #[default]
    Kept,
    /// All storage was cleared first (self-destructed and created again, or created over old storage). The account
    /// exists afterwards, and nonce, balance and code are all present in the change.
    Wiped,
    /// The account and its storage are gone; there are no post-values.
    Removed,
    /// The account exists afterwards although it is empty (only possible before EIP-161).
    CreatedEmpty,
}

/// New code of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChange {
    /// Keccak-256 of `code`.
    pub hash: B256,
    /// The runtime bytecode; empty when a delegation (EIP-7702) was cleared.
    pub code: Bytes,
}

impl CodeChange {
    /// Hashes new code.
    #[must_use]
    pub fn new(code: Bytes) -> Self {
        let hash = if code.is_empty() {
            KECCAK256_EMPTY
        } else {
            alloy_primitives::keccak256(&code)
        };
        Self { hash, code }
    }

    /// The code, analysed. Anything that is not a well-formed delegation (EIP-7702) is plain code: contracts from before
    /// EIP-3541 may begin with the same bytes.
    #[must_use]
    pub fn bytecode(&self) -> Bytecode {
        Bytecode::new_raw_checked(self.code.clone())
            .unwrap_or_else(|_| Bytecode::new_legacy(self.code.clone()))
    }
}

/// Post-values of one account after one transaction: only what changed is present.
///
/// Applying the same change twice gives the same state, so recovery may replay a record that a checkpoint already
/// contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The account.
    pub address: Address,
    /// Wiped, removed or created empty, where the values do not say it.
    pub fate: Fate,
    /// New nonce.
    pub nonce: Option<u64>,
    /// New balance in wei.
    pub balance: Option<U256>,
    /// New code.
    pub code: Option<CodeChange>,
    /// Changed slots with their new values, each slot once; zero clears the slot.
    pub storage: Vec<(U256, U256)>,
}

impl AccountChange {
    /// A change of nothing yet.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            ..Self::default()
        }
    }

    /// Whether the change changes nothing.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.fate == Fate::Kept && !self.has_values()
    }

    /// Whether it gives any field or slot a value.
    pub(crate) fn has_values(&self) -> bool {
        self.nonce.is_some() || self.balance.is_some() || self.code.is_some() || !self.storage.is_empty()
    }

    /// The account's fields after the change, given those before it; `None` when it does not exist afterwards.
    ///
    /// An account left empty by a `Kept` change does not exist (EIP-161); [`Fate::CreatedEmpty`] is how older forks
    /// say otherwise.
    #[must_use]
    pub fn apply_to(&self, before: Option<Account>) -> Option<Account> {
        if self.fate == Fate::Removed {
            return None;
        }
        let mut account = before.unwrap_or_default();
        if let Some(nonce) = self.nonce {
            account.nonce = nonce;
        }
        if let Some(balance) = self.balance {
            account.balance = balance;
        }
        if let Some(code) = &self.code {
            account.code_hash = code.hash;
        }
        let exists = match self.fate {
            Fate::Wiped | Fate::CreatedEmpty => true,
            _ => !account.is_empty() || (before.is_some() && self.keeps_fields()),
        };
        exists.then_some(account)
    }

    /// Whether the storage that was there before the change is dropped.
    #[must_use]
    pub const fn clears_storage(&self) -> bool {
        matches!(self.fate, Fate::Wiped | Fate::Removed)
    }

    const fn keeps_fields(&self) -> bool {
        self.nonce.is_none() && self.balance.is_none() && self.code.is_none()
    }
}
