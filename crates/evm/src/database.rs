//! The state as revm reads it.

use alloy_eips::eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use rapid_primitives::{AccountChange, ReadState, WriteState};
use revm::{Database, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};

use crate::NearCodes;

/// Hashes of past blocks for the `BLOCKHASH` opcode.
pub trait BlockHashes {
    /// Hash of the canonical block `number`, an ancestor of the block in execution; `None` if it is not known.
    fn block_hash(&self, number: u64) -> Option<B256>;
}

/// No past blocks: `BLOCKHASH` answers zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBlockHashes;

impl BlockHashes for NoBlockHashes {
    fn block_hash(&self, _: u64) -> Option<B256> {
        None
    }
}

impl<T: BlockHashes + ?Sized> BlockHashes for &T {
    fn block_hash(&self, number: u64) -> Option<B256> {
        (**self).block_hash(number)
    }
}

impl<T: BlockHashes + ?Sized> BlockHashes for std::sync::Arc<T> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        (**self).block_hash(number)
    }
}

/// Why a read during execution failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The hash of the parent block was asked for before it is known. The transaction has to wait for it.
    #[error("the hash of parent block {0} is not known yet")]
    ParentHashPending(u64),
    /// The transaction looks at the beneficiary, whose balance is not settled. It has to run alone.
    #[error("the balance of the beneficiary is not settled")]
    Beneficiary,
    /// An account names code that the state does not have.
    #[error("code {0} is missing")]
    MissingCode(B256),
    /// The state cannot answer.
    #[error(transparent)]
    State(#[from] E),
}

impl<E: std::error::Error + Send + Sync + 'static> DBErrorMarker for ReadError<E> {}

/// A [`ReadState`] with block hashes, as a revm database.
#[derive(Clone, Debug)]
pub struct StateDb<S, H> {
    state: S,
    block_hashes: H,
    pending_parent: Option<u64>,
    unsettled: Option<Address>,
    codes: NearCodes,
}

impl<S, H> StateDb<S, H> {
    /// A database in which every ancestor's hash is known.
    pub fn new(state: S, block_hashes: H) -> Self {
        Self {
            state,
            block_hashes,
            pending_parent: None,
            unsettled: None,
            codes: NearCodes::default(),
        }
    }

    /// Declares that the hash of block `number`, the parent, is not known yet: reading it, as `BLOCKHASH` or as the
    /// EIP-2935 slot it will be written to, fails until [`Self::parent_hash_arrived`].
    pub const fn parent_hash_pending(&mut self, number: u64) {
        self.pending_parent = Some(number);
    }

    /// Ends the wait for the parent's hash.
    pub const fn parent_hash_arrived(&mut self) {
        self.pending_parent = None;
    }

    /// Whether the parent's hash is still awaited.
    pub const fn is_parent_hash_pending(&self) -> bool {
        self.pending_parent.is_some()
    }

    /// Declares that the balance of this account, the beneficiary, is not settled: fees are withheld from it. Reading it
    /// fails with [`ReadError::Beneficiary`].
    pub const fn withhold_from(&mut self, beneficiary: Address) {
        self.unsettled = Some(beneficiary);
    }

    /// The state behind it.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// The state behind it, to write to.
    pub const fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Gives the state back.
    pub fn into_state(self) -> S {
        self.state
    }

    fn is_pending_history_slot(&self, address: Address, slot: U256) -> Option<u64> {
        let parent = self.pending_parent?;
        let holds_parent =
            address == HISTORY_STORAGE_ADDRESS && slot == U256::from(parent % HISTORY_SERVE_WINDOW as u64);
        holds_parent.then_some(parent)
    }
}

impl<S: WriteState, H> StateDb<S, H> {
    pub(crate) fn apply(&mut self, changes: &[AccountChange]) -> Result<(), ReadError<S::Error>> {
        self.state.apply(changes).map_err(ReadError::State)
    }
}

impl<S: ReadState, H: BlockHashes> Database for StateDb<S, H> {
    type Error = ReadError<S::Error>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        if self.unsettled == Some(address) {
            return Err(ReadError::Beneficiary);
        }
        let account = self.state.account(&address)?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let find = || {
            let found = self.state.code(&code_hash)?;
            found.ok_or(ReadError::MissingCode(code_hash))
        };
        self.codes.get_or_try_find(&code_hash, find)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        if let Some(parent) = self.is_pending_history_slot(address, slot) {
            return Err(ReadError::ParentHashPending(parent));
        }
        Ok(self.state.storage(&address, &slot)?)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        if self.pending_parent == Some(number) {
            return Err(ReadError::ParentHashPending(number));
        }
        Ok(self.block_hashes.block_hash(number).unwrap_or_default())
    }
}
