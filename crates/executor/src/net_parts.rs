//! What a proven block leaves behind, worked out by all workers at once.

use std::{
    ops::{Range, RangeInclusive},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use alloy_eip7928::AccountChanges;
use rapid_primitives::{AccountChange, collapse_between, collapse_slots};
use rapid_state::{DraftPart, DraftParts, DraftReader, VersionGone};
use rapid_sync::Mutex;

/// Slots and accounts in a piece: enough that taking one costs nothing beside it, few enough that the last is short.
const PIECE_LEN: usize = 256;

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
    draft: DraftParts,
    pieces: Vec<Piece>,
    next: AtomicUsize,
    made: Mutex<Result<Vec<DraftPart>, VersionGone>>,
}

impl<'a> NetParts<'a> {
    /// Cuts a list into pieces. `base` reads the draft that they will be of.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub(crate) fn new(
        listed: &'a [AccountChanges],
        indices: RangeInclusive<u32>,
        draft: DraftParts,
        base: &DraftReader,
    ) -> Result<Self, VersionGone> {
        Ok(Self {
            pieces: cut(listed, |account| base.has_storage(&account.address))?,
            listed,
            indices,
            draft,
            next: AtomicUsize::new(0),
            made: Mutex::new(Ok(Vec::new())),
        })
    }

    /// Works out pieces until none is left.
    pub(crate) fn work(&self) {
        while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Relaxed)) {
            let part = self.work_out(piece);
            let mut made = self.made.lock();
            match (&mut *made, part) {
                (Ok(parts), Ok(part)) => parts.push(part),
                (Ok(_), Err(gone)) => *made = Err(gone),
                (Err(_), _) => return,
            }
        }
    }

    /// What was worked out.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub(crate) fn finish(self) -> Result<Vec<DraftPart>, VersionGone> {
        self.made.into_inner()
    }

    fn work_out(&self, piece: &Piece) -> Result<DraftPart, VersionGone> {
        match piece {
            Piece::Accounts(range) => self.draft.changed(&self.changes(&self.listed[range.clone()])),
            Piece::Owner(account) => self.draft.changed(&[self.owner(&self.listed[*account])]),
            Piece::Slots(account, range) => {
                let account = &self.listed[*account];
                let slots = collapse_slots(&account.storage_changes[range.clone()], &self.indices);
                self.draft.written(&account.address, &slots)
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

/// Cuts a list into pieces of about the same size.
fn cut<E>(
    listed: &[AccountChanges],
    has_storage: impl Fn(&AccountChanges) -> Result<bool, E>,
) -> Result<Vec<Piece>, E> {
    let mut pieces = Vec::new();
    let (mut begin, mut len) = (0, 0);
    for (index, account) in listed.iter().enumerate() {
        let slots = account.storage_changes.len();
        if slots > 2 * PIECE_LEN && has_storage(account)? {
            pieces.push(Piece::Accounts(begin..index));
            pieces.push(Piece::Owner(index));
            let others = (PIECE_LEN..slots).step_by(PIECE_LEN);
            pieces.extend(others.map(|from| Piece::Slots(index, from..slots.min(from + PIECE_LEN))));
            (begin, len) = (index + 1, 0);
            continue;
        }
        len += 1 + slots;
        if len >= PIECE_LEN {
            pieces.push(Piece::Accounts(begin..index + 1));
            (begin, len) = (index + 1, 0);
        }
    }
    pieces.push(Piece::Accounts(begin..listed.len()));
    pieces.retain(|piece| !matches!(piece, Piece::Accounts(range) if range.is_empty()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use alloy_eip7928::SlotChanges;
    use alloy_primitives::{Address, U256};

    use super::*;

    fn account(slots: usize) -> AccountChanges {
        AccountChanges {
            storage_changes: (0..slots)
                .map(|slot| SlotChanges::new(U256::from(slot), Vec::new()))
                .collect(),
            ..AccountChanges::new(Address::ZERO)
        }
    }

    /// Everything is in one piece, and none is large.
    #[test]
    fn pieces_are_all_there_is() {
        let listed: Vec<_> = [0, 3, 700, 600, 100, 100, 100, 513, 0].map(account).into();
        let has_storage =
            |account: &AccountChanges| Ok::<_, Infallible>(account.storage_changes.len() != 600);
        let Ok(pieces) = cut(&listed, has_storage);
        let mut slots = vec![Vec::new(); listed.len()];
        let mut owners = vec![0; listed.len()];
        for piece in &pieces {
            match piece {
                Piece::Accounts(range) => range.clone().for_each(|index| {
                    owners[index] += 1;
                    slots[index].extend(0..listed[index].storage_changes.len());
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
        for (account, slots) in listed.iter().zip(slots) {
            assert!(slots.into_iter().eq(0..account.storage_changes.len()));
        }
        assert!(pieces.contains(&Piece::Owner(2)) && !pieces.contains(&Piece::Owner(3)));
    }
}
