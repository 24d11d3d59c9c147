//! The state after any kept block: from memory while its version is there, else from what history says was changed
//! since.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use rapid_history::{HistoryError, Past, PastError};
use rapid_primitives::{Account, ReadState};
use rapid_state::{Snapshot, VersionGone};
use rapid_trie::StateTrie;
use revm::bytecode::Bytecode;

use crate::{Chain, ChainError, advance::state_after};

/// How often a newer version is tried when the one to build on is trimmed at that moment.
const TRIES: usize = 4;

/// The state after a sealed block.
#[derive(Clone, Debug)]
pub enum StateAt {
    /// A version in memory.
    Live(Snapshot),
    /// An older one.
    Past(PastState),
}

/// The state after a block, as history keeps it: the value before the first change after that block, or, where nothing
/// was changed since, the value of a newer version in memory.
#[derive(Clone, Debug)]
pub struct PastState {
    chain: Chain,
    number: u64,
    /// The state after a block that history has with all between.
    newer: Snapshot,
    /// Reorganisations before this was opened: after another one the answers could be those of another branch.
    reorganisations: u64,
}

/// Why a past state does not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PastReadError {
    /// The version in memory was overrun. Who asked can ask again.
    #[error(transparent)]
    VersionGone(#[from] VersionGone),
    /// Blocks were taken back meanwhile. Who asked can ask again.
    #[error("the chain was reorganised while the state of block {0} was read")]
    Reorganised(u64),
    /// History does not keep it any more.
    #[error("state of block {0} is not available")]
    Unavailable(u64),
    /// The operator must act.
    #[error(transparent)]
    History(Arc<HistoryError>),
}

impl PastState {
    pub(crate) fn open(chain: &Chain, number: u64) -> Result<Self, ChainError> {
        let shared = &chain.shared;
        let first = shared.history.first_state_block()?;
        if first.is_none_or(|first| number < first) {
            return Err(ChainError::StateUnavailable(number));
        }
        for _ in 0..TRIES {
            let reorganisations = shared.reorganisations();
            let stored = shared.history.head()?.map_or(0, |head| head.number);
            let version = shared.blocks.read().version_of(stored);
            if let Some(newer) = version.and_then(|version| shared.state.get_at(version).ok()) {
                return Ok(Self {
                    chain: chain.clone(),
                    number,
                    newer,
                    reorganisations,
                });
            }
        }
        Err(ChainError::StateUnavailable(number))
    }

    /// An answer counts only if no block was taken back before it was there.
    fn checked<T>(&self, answer: Result<T, PastReadError>) -> Result<T, PastReadError> {
        if self.chain.shared.reorganisations() != self.reorganisations {
            return Err(PastReadError::Reorganised(self.number));
        }
        answer
    }

    fn past_account(&self, address: &Address) -> Result<Option<Account>, PastReadError> {
        match self.chain.shared.history.account_after(self.number, address)? {
            Past::Was(account) => Ok(account),
            Past::Unchanged => Ok(self.newer.account(address)?),
        }
    }

    fn past_storage(&self, address: &Address, slot: &U256) -> Result<U256, PastReadError> {
        match self
            .chain
            .shared
            .history
            .storage_after(self.number, address, slot)?
        {
            Past::Was(value) => Ok(value),
            Past::Unchanged => Ok(self.newer.storage(address, slot)?),
        }
    }
}

impl ReadState for PastState {
    type Error = PastReadError;

    fn account(&self, address: &Address) -> Result<Option<Account>, PastReadError> {
        self.checked(self.past_account(address))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, PastReadError> {
        self.checked(self.past_storage(address, slot))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, PastReadError> {
        if let Some(code) = self.newer.code(hash)? {
            return Ok(Some(code));
        }
        let code = self.chain.shared.history.code(hash)?;
        Ok(code.map(Bytecode::new_raw))
    }
}

impl ReadState for StateAt {
    type Error = PastReadError;

    fn account(&self, address: &Address) -> Result<Option<Account>, PastReadError> {
        match self {
            Self::Live(snapshot) => Ok(snapshot.account(address)?),
            Self::Past(past) => past.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, PastReadError> {
        match self {
            Self::Live(snapshot) => Ok(snapshot.storage(address, slot)?),
            Self::Past(past) => past.storage(address, slot),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, PastReadError> {
        match self {
            Self::Live(snapshot) => Ok(snapshot.code(hash)?),
            Self::Past(past) => past.code(hash),
        }
    }
}

impl From<Snapshot> for StateAt {
    fn from(snapshot: Snapshot) -> Self {
        Self::Live(snapshot)
    }
}

impl From<HistoryError> for PastReadError {
    fn from(error: HistoryError) -> Self {
        Self::History(Arc::new(error))
    }
}

impl From<PastError> for PastReadError {
    fn from(error: PastError) -> Self {
        match error {
            PastError::NotKept { number, .. } | PastError::NotStored { number, .. } => {
                Self::Unavailable(number)
            }
            PastError::History(error) => error.into(),
        }
    }
}

impl Chain {
    /// The trie of the state after a sealed block.
    pub(crate) fn trie_at(&self, number: u64) -> Result<StateTrie, ChainError> {
        let reorganisations = self.shared.reorganisations();
        let block = self
            .block_by_number(number)?
            .ok_or(ChainError::UnknownBlock(number))?;
        let (kept, newest) = {
            let recent = self.shared.blocks.read();
            (recent.trie_of(number), recent.newest_trie())
        };
        match (kept, newest) {
            (Some(trie), _) => Ok(trie),
            (None, Some((newest, trie))) => {
                let changes = self.changes_back(newest, number)?;
                let past = state_after(&trie, &changes, &block).map(|(trie, _)| trie);
                past.map_err(|error| {
                    // What was read is of two branches if blocks were taken back meanwhile: nothing is damaged then.
                    if self.shared.reorganisations() == reorganisations {
                        error
                    } else {
                        ChainError::StateUnavailable(number)
                    }
                })
            }
            (None, None) => Err(ChainError::StateUnavailable(number)),
        }
    }
}
