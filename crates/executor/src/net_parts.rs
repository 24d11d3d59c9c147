//! What a proven block leaves behind, worked out by all workers at once.

use std::{
    ops::{Range, RangeInclusive},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use alloy_eip7928::AccountChanges;
use rapid_primitives::{AccountChange, collapse_between, collapse_slots};
use rapid_state::{DraftFilling, DraftReader, VersionGone, prefetch};

use crate::hints::Hints;

/// Slots and accounts in a piece: enough that taking one costs nothing beside it, few enough that the last is short.
const PIECE_LEN: usize = 256;

/// Accounts that are looked at before they are worked out.
const LOOK_AHEAD: usize = 32;

/// Something of a block access list that one worker works out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// These accounts with all of their slots.
    Accounts(Range<usize>),
    /// An account with the first slots; the others are pieces of their own.
    Owner(usize),
    /// Some slots of an account that has storage.
    Slots(usize, Range<usize>),
}

/// The changes of a block's transactions, in pieces.
///
/// Only for lists without accounts that lose what they had ([`FateAt`](rapid_primitives::FateAt)).
pub(crate) struct NetParts<'a> {
    listed: &'a [AccountChanges],
    /// Indices of the transactions.
    indices: RangeInclusive<u32>,
    draft: DraftFilling,
    pieces: Vec<Piece>,
    next: AtomicUsize,
    gone: OnceLock<VersionGone>,
}

impl<'a> NetParts<'a> {
    /// Cuts what hints say of these indices into pieces. `base` reads the draft that they are to fill.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub(crate) fn new(
        hints: &Hints<'a>,
        indices: RangeInclusive<u32>,
        draft: DraftFilling,
        base: &DraftReader,
    ) -> Result<Self, VersionGone> {
        let listed = hints.listed;
        let has_storage = |index: usize| base.has_storage(&listed[index].address);
        Ok(Self {
            pieces: cut(hints.changed_slots_of_each(), has_storage)?,
            listed,
            indices,
            draft,
            next: AtomicUsize::new(0),
            gone: OnceLock::new(),
        })
    }

    /// Works out pieces until none is left.
    pub(crate) fn work(&self) {
        while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Relaxed)) {
            if let Err(gone) = self.work_out(piece) {
                // Each piece would fail alike.
                let _ = self.gone.set(gone);
                return;
            }
        }
    }

    /// What was worked out.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub(crate) fn finish(self) -> Result<DraftFilling, VersionGone> {
        match self.gone.into_inner() {
            Some(gone) => Err(gone),
            None => Ok(self.draft),
        }
    }

    fn work_out(&self, piece: &Piece) -> Result<(), VersionGone> {
        match piece {
            Piece::Accounts(range) => {
                let listed = &self.listed[range.clone()];
                let mut changes = Vec::with_capacity(listed.len());
                for listed in listed.chunks(LOOK_AHEAD) {
                    ask_for_claims(listed);
                    changes.extend(self.changes(listed));
                }
                self.draft.change(&changes)
            }
            Piece::Owner(account) => self.draft.change(&[self.owner(&self.listed[*account])]),
            Piece::Slots(account, range) => {
                let account = &self.listed[*account];
                let slots = collapse_slots(&account.storage_changes[range.clone()], &self.indices);
                self.draft.write(&account.address, &slots)
            }
        }
    }

    fn changes(&self, listed: &[AccountChanges]) -> Vec<AccountChange> {
        collapse_between(listed, &[], self.indices.clone())
    }

    /// The change of an account, with the first of its slots.
    fn owner(&self, account: &AccountChanges) -> AccountChange {
        let first = AccountChanges {
            address: account.address,
            storage_changes: account.storage_changes[..PIECE_LEN].to_vec(),
            storage_reads: Vec::new(),
            balance_changes: account.balance_changes.clone(),
            nonce_changes: account.nonce_changes.clone(),
            code_changes: account.code_changes.clone(),
        };
        let change = self.changes(&[first]).pop();
        change.unwrap_or_else(|| AccountChange::new(account.address))
    }
}

/// Asks for what is claimed of accounts to be in the cache: the claims about each field are somewhere of their own.
fn ask_for_claims(listed: &[AccountChanges]) {
    for account in listed {
        account.nonce_changes.last().into_iter().for_each(prefetch);
        account.balance_changes.last().into_iter().for_each(prefetch);
        account.storage_changes.first().into_iter().for_each(prefetch);
    }
    for slot in listed.iter().flat_map(|account| &account.storage_changes) {
        slot.changes.last().into_iter().for_each(prefetch);
    }
}

/// Cuts accounts that change so many slots each into pieces of about the same size. One with many may be in several if it had
/// storage before.
fn cut<E>(
    slots: impl Iterator<Item = usize>,
    had_storage: impl Fn(usize) -> Result<bool, E>,
) -> Result<Vec<Piece>, E> {
    let mut pieces = Vec::new();
    let (mut begin, mut end, mut len) = (0, 0, 0);
    for (index, slots) in slots.enumerate() {
        end = index + 1;
        if slots > 2 * PIECE_LEN && had_storage(index)? {
            pieces.push(Piece::Accounts(begin..index));
            pieces.push(Piece::Owner(index));
            let others = (PIECE_LEN..slots).step_by(PIECE_LEN);
            pieces.extend(others.map(|from| Piece::Slots(index, from..slots.min(from + PIECE_LEN))));
            (begin, len) = (end, 0);
            continue;
        }
        len += 1 + slots;
        if len >= PIECE_LEN {
            pieces.push(Piece::Accounts(begin..end));
            (begin, len) = (end, 0);
        }
    }
    pieces.push(Piece::Accounts(begin..end));
    pieces.retain(|piece| !matches!(piece, Piece::Accounts(range) if range.is_empty()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Everything is in one piece, and none is large.
    #[test]
    fn pieces_are_all_there_is() {
        let listed = [0, 3, 700, 600, 100, 100, 100, 513, 0];
        let had_storage = |index: usize| Ok::<_, Infallible>(index != 3);
        let Ok(pieces) = cut(listed.into_iter(), had_storage);
        let mut slots = vec![Vec::new(); listed.len()];
        let mut owners = vec![0; listed.len()];
        for piece in &pieces {
            match piece {
                Piece::Accounts(range) => range.clone().for_each(|index| {
                    owners[index] += 1;
                    slots[index].extend(0..listed[index]);
                }),
                Piece::Owner(index) => {
                    owners[*index] += 1;
                    slots[*index].extend(0..PIECE_LEN);
                }
                Piece::Slots(index, range) => {
                    assert!(range.len() <= PIECE_LEN);
                    slots[*index].extend(range.clone());
                }
            }
        }
        assert!(owners.iter().all(|owners| *owners == 1), "{pieces:?}");
        for (changed, slots) in listed.into_iter().zip(slots) {
            assert!(slots.into_iter().eq(0..changed));
        }
        let is_cut = |index| pieces.contains(&Piece::Owner(index));
        let cut: Vec<_> = (0..listed.len()).filter(|index| is_cut(*index)).collect();
        assert_eq!(cut, [2, 7]);
    }
}
