//! The bytes of a checkpoint.
//!
//! ```text
//! chunk:  crc u32 LE (of the rest) | length u32 | sequence u32 | kind u32 | content
//! meta:   "RRETHCKP" | format u32 | mini-block u64 | its hash | EVM block u64 | its hash | extra
//! entry:  1 | address | nonce u64 LE | balance u256 BE | code hash        an account
//!         2 | slot u256 BE | value u256 BE                                a slot of the account named last
//!         3 | hash | length u32 LE | code
//!         4 | address                                                     names an account (from format 2 on)
//! totals: accounts u64 | slots u64 | codes u64
//! ```

use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_primitives::{Account, MiniBlockNumber};

use super::{CheckpointMeta, CheckpointTotals};
use crate::frame::{u32_at, u64_at};

/// The format that is written. Format 1, which lacks the entries of kind 4, is read too.
pub(super) const FORMAT: u32 = 2;
pub(super) const CHUNK_HEADER_BYTES: usize = 16;
pub(super) const TOTALS_BYTES: usize = 24;

/// A chunk is closed once it holds this much.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Largest code or extra data: no chain's limit on code comes near.
pub(super) const MAX_PIECE_BYTES: usize = 16 << 20;

/// Largest content of a chunk: an open one plus one piece.
pub(super) const MAX_CHUNK_BYTES: usize = CHUNK_BYTES + MAX_PIECE_BYTES + 256;

/// An account's entry: tag, address, nonce, balance, code hash.
pub(super) const ACCOUNT_BYTES: u64 = 1 + 20 + 8 + 32 + 32;
/// A slot's entry: tag, key, value.
pub(super) const SLOT_BYTES: u64 = 1 + 32 + 32;
/// What stands before the bytes of a code: tag, hash, length.
pub(super) const CODE_HEAD_BYTES: u64 = 1 + 32 + 4;

const MAGIC: &[u8; 8] = b"RRETHCKP";
const META_BYTES: usize = 8 + 4 + 8 + 32 + 8 + 32;

const ACCOUNT: u8 = 1;
const SLOT: u8 = 2;
const CODE: u8 = 3;
const OWNER: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkKind {
    Meta = 1,
    Entries = 2,
    Totals = 3,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkHeader {
    crc: u32,
    pub(super) length: usize,
    pub(super) sequence: u32,
    pub(super) kind: ChunkKind,
}

impl ChunkHeader {
    pub(super) fn encode(content: &[u8], sequence: u32, kind: ChunkKind) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        bytes[4..8].copy_from_slice(&(content.len() as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_le_bytes());
        bytes[12..].copy_from_slice(&(kind as u32).to_le_bytes());
        let crc = crc(&bytes[4..], content);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if no writer makes such a one. The checksum is checked with the content.
    pub(super) fn decode(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Option<Self> {
        let kind = match u32_at(bytes, 12) {
            1 => ChunkKind::Meta,
            2 => ChunkKind::Entries,
            3 => ChunkKind::Totals,
            _ => return None,
        };
        let length = u32_at(bytes, 4) as usize;
        (length <= MAX_CHUNK_BYTES).then(|| Self {
            crc: u32_at(bytes, 0),
            length,
            sequence: u32_at(bytes, 8),
            kind,
        })
    }

    pub(super) fn checks(&self, content: &[u8]) -> bool {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        bytes[4..8].copy_from_slice(&(self.length as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[12..].copy_from_slice(&(self.kind as u32).to_le_bytes());
        crc(&bytes[4..], content) == self.crc
    }
}

fn crc(header: &[u8], content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(content);
    crc.finalize()
}

pub(super) fn encode_meta(meta: &CheckpointMeta) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(META_BYTES + meta.extra.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&meta.mini_block.0.to_le_bytes());
    bytes.extend_from_slice(meta.mini_block_hash.as_slice());
    bytes.extend_from_slice(&meta.block_number.to_le_bytes());
    bytes.extend_from_slice(meta.block_hash.as_slice());
    bytes.extend_from_slice(&meta.extra);
    bytes
}

/// The format of a meta chunk; `None` if it is none.
pub(super) fn meta_format(bytes: &[u8]) -> Option<u32> {
    (bytes.len() >= 12 && bytes.starts_with(MAGIC)).then(|| u32_at(bytes, 8))
}

pub(super) fn decode_meta(bytes: &[u8]) -> Option<CheckpointMeta> {
    (bytes.len() >= META_BYTES).then(|| CheckpointMeta {
        mini_block: MiniBlockNumber(u64_at(bytes, 12)),
        mini_block_hash: B256::from_slice(&bytes[20..52]),
        block_number: u64_at(bytes, 52),
        block_hash: B256::from_slice(&bytes[60..92]),
        extra: Bytes::copy_from_slice(&bytes[92..]),
    })
}

pub(super) fn encode_totals(totals: &CheckpointTotals) -> Vec<u8> {
    [totals.accounts, totals.slots, totals.codes]
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect()
}

pub(super) fn decode_totals(bytes: &[u8]) -> Option<CheckpointTotals> {
    (bytes.len() == TOTALS_BYTES).then(|| CheckpointTotals {
        accounts: u64_at(bytes, 0),
        slots: u64_at(bytes, 8),
        codes: u64_at(bytes, 16),
    })
}

pub(super) fn encode_account(out: &mut Vec<u8>, address: Address, account: &Account) {
    out.push(ACCOUNT);
    out.extend_from_slice(address.as_slice());
    out.extend_from_slice(&account.nonce.to_le_bytes());
    out.extend_from_slice(&account.balance.to_be_bytes::<32>());
    out.extend_from_slice(account.code_hash.as_slice());
}

pub(super) fn encode_owner(out: &mut Vec<u8>, address: Address) {
    out.push(OWNER);
    out.extend_from_slice(address.as_slice());
}

pub(super) fn encode_slot(out: &mut Vec<u8>, slot: U256, value: U256) {
    out.push(SLOT);
    out.extend_from_slice(&slot.to_be_bytes::<32>());
    out.extend_from_slice(&value.to_be_bytes::<32>());
}

pub(super) fn encode_code(out: &mut Vec<u8>, hash: B256, code: &[u8]) {
    out.push(CODE);
    out.extend_from_slice(hash.as_slice());
    out.extend_from_slice(&(code.len() as u32).to_le_bytes());
    out.extend_from_slice(code);
}

/// An entry as it lies in a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RawEntry<'a> {
    Account(Address, Account),
    Slot(U256, U256),
    Code(B256, &'a [u8]),
    /// Whose the slots after it are.
    Owner(Address),
}

/// Reads the entry at the front and moves behind it; `None` if there is no whole entry.
pub(super) fn decode_entry<'a>(bytes: &mut &'a [u8]) -> Option<RawEntry<'a>> {
    let (&[tag], rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(match tag {
        ACCOUNT => {
            let address = Address::from(*take::<20>(bytes)?);
            let nonce = u64::from_le_bytes(*take(bytes)?);
            let balance = U256::from_be_bytes(*take::<32>(bytes)?);
            let code_hash = B256::from(*take::<32>(bytes)?);
            RawEntry::Account(
                address,
                Account {
                    nonce,
                    balance,
                    code_hash,
                },
            )
        }
        SLOT => RawEntry::Slot(
            U256::from_be_bytes(*take::<32>(bytes)?),
            U256::from_be_bytes(*take::<32>(bytes)?),
        ),
        CODE => {
            let hash = B256::from(*take::<32>(bytes)?);
            let length = u32::from_le_bytes(*take(bytes)?) as usize;
            let (code, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            RawEntry::Code(hash, code)
        }
        OWNER => RawEntry::Owner(Address::from(*take::<20>(bytes)?)),
        _ => return None,
    })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(head)
}
