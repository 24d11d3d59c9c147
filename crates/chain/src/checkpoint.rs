//! From state to checkpoint and back.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, map::B256Map};
use alloy_rlp::{Decodable, Encodable};
use rapid_log::{CheckpointEntry, CheckpointMeta, CheckpointReader, Checkpoints};
use rapid_primitives::{
    Account, AccountChange, Block, BlockBody, CodeChange, Fate, Header, SealedBlock, SealedMiniBlock,
};
use rapid_state::{ReadSet, Snapshot, State};

use crate::{ChainError, OpenError};

/// What an account and a slot take in a checkpoint, about.
const ACCOUNT_BYTES: u64 = 96;
const SLOT_BYTES: u64 = 65;
/// Accounts loaded from a checkpoint in one commit.
const LOAD_BATCH_LEN: usize = 4_096;
/// Slots of one account loaded in one commit.
const LOAD_BATCH_SLOTS: usize = 16_384;

/// What became of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is there, with about this many bytes.
    Bytes(u64),
    /// The node stops; nothing of it is left.
    GivenUp,
}

/// Writes the state of a snapshot, which is that after `block`.
///
/// The caller has made the log durable past the snapshot's version.
///
/// # Errors
/// [`ChainError::VersionGone`] if the snapshot was overrun, [`ChainError::Checkpoint`] if the file cannot be written.
pub(crate) fn write_checkpoint(
    checkpoints: &Checkpoints,
    snapshot: &Snapshot,
    block: &SealedBlock,
    last: &SealedMiniBlock,
    stopping: &AtomicBool,
) -> Result<Written, ChainError> {
    let mut writer = checkpoints.create(&CheckpointMeta {
        mini_block: last.number(),
        mini_block_hash: last.hash(),
        block_number: block.number(),
        block_hash: block.hash,
        extra: extra(block, last),
    })?;
    let mut codes: HashSet<B256> = HashSet::new();
    for scanned in snapshot.accounts() {
        let scanned = scanned?;
        if stopping.load(Relaxed) {
            return Ok(Written::GivenUp);
        }
        let account = scanned.account();
        if account.code_hash != KECCAK256_EMPTY
            && codes.insert(account.code_hash)
            && let Some(code) = scanned.code()
        {
            writer.code(account.code_hash, code.original_byte_slice())?;
        }
        writer.account(scanned.address(), &account)?;
    }
    for scanned in snapshot.slots() {
        let scanned = scanned?;
        if stopping.load(Relaxed) {
            return Ok(Written::GivenUp);
        }
        writer.slot(scanned.address, scanned.slot, scanned.value)?;
    }
    let totals = writer.finish()?;
    Ok(Written::Bytes(
        totals.accounts * ACCOUNT_BYTES + totals.slots * SLOT_BYTES,
    ))
}

/// What a checkpoint says besides the state: the time of its last mini-block and the header of its block.
fn extra(block: &SealedBlock, last: &SealedMiniBlock) -> Bytes {
    let mut extra = last.header().time_us.to_be_bytes().to_vec();
    block.header.encode(&mut extra);
    extra.into()
}

/// Time of the last mini-block of a checkpoint, in microseconds.
pub(crate) fn checkpoint_time_us(meta: &CheckpointMeta) -> u64 {
    meta.extra
        .first_chunk()
        .map_or(0, |time| u64::from_be_bytes(*time))
}

/// The block of a checkpoint without its body, for one that is not canonical any more.
pub(crate) fn checkpoint_head(meta: &CheckpointMeta) -> Option<SealedBlock> {
    let mut header = meta.extra.get(size_of::<u64>()..)?;
    let block = Block {
        header: Header::decode(&mut header).ok()?,
        body: BlockBody::default(),
    };
    Some(SealedBlock::seal(block, Vec::new(), Vec::new())).filter(|block| block.hash == meta.block_hash)
}

/// Loads a checkpoint into an empty state.
///
/// # Errors
/// [`OpenError::Checkpoint`] if it is damaged; the state is then of no use.
pub(crate) fn load_checkpoint(reader: &CheckpointReader, state: &State) -> Result<(), OpenError> {
    let mut loader = Loader {
        state,
        codes: B256Map::default(),
        batch: Vec::new(),
    };
    for entry in reader.entries() {
        loader.entry(entry?)?;
    }
    loader.flush();
    Ok(())
}

struct Loader<'a> {
    state: &'a State,
    /// Codes read so far: a code comes before the first account that has it.
    codes: B256Map<Bytes>,
    batch: Vec<AccountChange>,
}

impl Loader<'_> {
    fn entry(&mut self, entry: CheckpointEntry) -> Result<(), OpenError> {
        match entry {
            CheckpointEntry::Code { hash, code } => {
                self.codes.insert(hash, code);
            }
            CheckpointEntry::Account { address, account } => {
                if self.batch.len() >= LOAD_BATCH_LEN {
                    self.flush();
                }
                let change = self.whole_account(address, account)?;
                self.batch.push(change);
            }
            CheckpointEntry::Slot { address, slot, value } => self.slot(address, slot, value),
        }
        Ok(())
    }

    fn whole_account(&self, address: Address, account: Account) -> Result<AccountChange, OpenError> {
        let code = match self.codes.get(&account.code_hash) {
            Some(code) => code.clone(),
            None if account.code_hash == KECCAK256_EMPTY => Bytes::new(),
            None => {
                return Err(OpenError::MissingCode {
                    address,
                    code_hash: account.code_hash,
                });
            }
        };
        Ok(AccountChange {
            fate: if account.is_empty() {
                Fate::CreatedEmpty
            } else {
                Fate::Kept
            },
            nonce: Some(account.nonce),
            balance: Some(account.balance),
            code: Some(CodeChange {
                hash: account.code_hash,
                code,
            }),
            ..AccountChange::new(address)
        })
    }

    fn slot(&mut self, address: Address, slot: U256, value: U256) {
        if self.batch.len() >= LOAD_BATCH_LEN {
            self.flush();
        }
        let same = |change: &&mut AccountChange| {
            change.address == address && change.storage.len() < LOAD_BATCH_SLOTS
        };
        match self.batch.last_mut().filter(same) {
            Some(change) => change.storage.push((slot, value)),
            None => self.batch.push(AccountChange {
                storage: vec![(slot, value)],
                ..AccountChange::new(address)
            }),
        }
    }

    fn flush(&mut self) {
        self.state
            .commit(&ReadSet::new(), &self.batch)
            .expect("an unconditional commit has no conflict");
        // Old values are kept until they are older than the published version: nobody reads them here.
        self.state.publish(self.state.sequence());
        self.batch.clear();
    }
}
