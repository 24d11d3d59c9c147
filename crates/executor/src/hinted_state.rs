//! The state as a hint says it is when one transaction begins.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use rapid_evm::{BlockHashes, NearCodes, ReadError};
use rapid_primitives::{Account, ReadState};
use rapid_state::{DraftReader, StateKey, VersionGone};
use revm::{
    Database,
    bytecode::Bytecode,
    state::{AccountId, AccountInfo},
};

use crate::hints::Hints;

/// Keys of the hint by number: accounts first, then slots.
pub(crate) type KeyId = u32;

/// What a transaction read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Of what is in the hint; possibly twice.
    pub(crate) hinted: Box<[KeyId]>,
    /// Of what is not.
    pub(crate) others: Box<[StateKey]>,
}

impl Hints<'_> {
    /// The key of an account.
    pub(crate) const fn account_key(&self, account: u32) -> KeyId {
        account
    }

    /// The key of a slot.
    pub(crate) const fn slot_key(&self, slot: u32) -> KeyId {
        self.accounts.len() as u32 + slot
    }

    /// Number of keys.
    pub(crate) const fn key_count(&self) -> usize {
        self.accounts.len() + self.slots.len()
    }

    /// What a key stands for.
    pub(crate) fn key(&self, key: KeyId) -> StateKey {
        let key = key as usize;
        match key.checked_sub(self.accounts.len()) {
            None => StateKey::Account(self.accounts[key].address),
            Some(slot) => {
                let slot = &self.slots[slot];
                StateKey::Slot(self.accounts[slot.account as usize].address, slot.slot)
            }
        }
    }

    /// What an account is said to be when the transaction at this index begins.
    pub(crate) fn account_at(
        &self,
        address: &Address,
        index: u32,
        base: &DraftReader,
    ) -> Result<Option<Account>, VersionGone> {
        match self.account_id(address) {
            Some(id) => self.account_before(id, index, |address| base.account(address)),
            None => base.account(address),
        }
    }

    /// What a slot is said to be when the transaction at this index begins.
    pub(crate) fn slot_at(
        &self,
        address: &Address,
        slot: &U256,
        index: u32,
        base: &DraftReader,
    ) -> Result<U256, VersionGone> {
        match self.account_id(address) {
            Some(id) => {
                let known = self.slot_id(id, slot);
                self.slot_before(id, known, index, || base.storage(address, slot))
            }
            None => base.storage(address, slot),
        }
    }
}

/// The database of one worker: reads are answered by the last claim before the transaction's own index, or by the state
/// before the first transaction. What was read is noted.
#[derive(Debug)]
pub(crate) struct HintedState<'a, H> {
    hints: &'a Hints<'a>,
    base: &'a DraftReader,
    block_hashes: &'a H,
    /// Block access index of the transaction in execution.
    index: u32,
    /// What it has read of what is in the hint.
    hinted_reads: Vec<KeyId>,
    /// What it has read of what is not.
    other_reads: Vec<StateKey>,
    codes: NearCodes,
}

impl<'a, H> HintedState<'a, H> {
    pub(crate) fn new(hints: &'a Hints<'a>, base: &'a DraftReader, block_hashes: &'a H) -> Self {
        Self {
            hints,
            base,
            block_hashes,
            index: 0,
            hinted_reads: Vec::new(),
            other_reads: Vec::new(),
            codes: NearCodes::default(),
        }
    }

    /// Goes to the transaction at a block access index.
    pub(crate) fn enter(&mut self, index: u32) {
        self.index = index;
        self.hinted_reads.clear();
        self.other_reads.clear();
    }

    /// What was read since [`enter`](Self::enter).
    pub(crate) fn reads(&self) -> Reads {
        Reads {
            hinted: self.hinted_reads.as_slice().into(),
            others: self.other_reads.as_slice().into(),
        }
    }

    /// An account, and its number if the hint has one for it.
    pub(crate) fn read_account(
        &mut self,
        address: &Address,
    ) -> Result<(Option<Account>, Option<u32>), VersionGone> {
        let Some(id) = self.hints.account_id(address) else {
            self.other_reads.push(StateKey::Account(*address));
            return Ok((self.base.account(address)?, None));
        };
        self.hinted_reads.push(self.hints.account_key(id));
        let base = self.base;
        let account = self
            .hints
            .account_before(id, self.index, |address| base.account(address))?;
        Ok((account, Some(id)))
    }

    fn read_slot(&mut self, address: &Address, account: u32, slot: &U256) -> Result<U256, VersionGone> {
        let id = self.hints.slot_id(account, slot);
        match id {
            Some(id) => self.hinted_reads.push(self.hints.slot_key(id)),
            None => self.other_reads.push(StateKey::Slot(*address, *slot)),
        }
        let base = self.base;
        self.hints
            .slot_before(account, id, self.index, || base.storage(address, slot))
    }
}

impl<H: BlockHashes> Database for HintedState<'_, H> {
    type Error = ReadError<VersionGone>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let (account, id) = self.read_account(&address)?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: id.and_then(|id| AccountId::new(id as usize)),
            code: None,
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let find = || match self.hints.code(&code_hash) {
            Some(code) => Ok(code.clone()),
            None => self
                .base
                .code(&code_hash)?
                .ok_or(ReadError::MissingCode(code_hash)),
        };
        self.codes.get_or_try_find(&code_hash, find)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        match self.hints.account_id(&address) {
            Some(id) => Ok(self.read_slot(&address, id, &slot)?),
            None => {
                self.other_reads.push(StateKey::Slot(address, slot));
                Ok(self.base.storage(&address, &slot)?)
            }
        }
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        account: AccountId,
        slot: U256,
    ) -> Result<U256, Self::Error> {
        // The journal hands on the number that `basic` gave.
        Ok(self.read_slot(&address, account.get() as u32, &slot)?)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        Ok(self.block_hashes.block_hash(number).unwrap_or_default())
    }
}
