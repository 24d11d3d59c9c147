//! What a transaction is going to touch, known before it runs: the keys that are claimed at each block access index.
//!
//! Reads that miss the caches wait for memory one after the other if they are made one after the other. So what a hint says of
//! the next transactions is looked at before they are executed, and the state is asked for what they begin with.

use std::hint::black_box;

use rapid_state::{DraftReader, StateKey};

use crate::hints::{Claim, Hints};

/// An account or a slot, by its number among those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Account(u32),
    Slot(u32),
}

/// Claims in the order in which a list has them, to be sorted by index.
#[derive(Debug, Default)]
pub(crate) struct Claimed(Vec<(u32, Target)>);

/// For each block access index what is claimed at it; one target for each claim.
#[derive(Debug, Default)]
pub(crate) struct TargetsByIndex {
    /// Where those of an index begin.
    first: Vec<u32>,
    targets: Vec<Target>,
}

impl Claimed {
    /// Notes claims about a target.
    pub(crate) fn add<T: Claim>(&mut self, claims: &[T], target: Target) {
        self.0
            .extend(claims.iter().map(|claim| (claim.index() as u32, target)));
    }

    /// Notes a claim at an index.
    pub(crate) fn add_at(&mut self, index: u32, target: Target) {
        self.0.push((index, target));
    }

    /// Sorts by index; those of one index stay in their order. No index is beyond `last`.
    pub(crate) fn by_index(self, last: usize) -> TargetsByIndex {
        let mut first = vec![0; last + 2];
        for (index, _) in &self.0 {
            first[*index as usize + 1] += 1;
        }
        let mut sum = 0;
        for place in &mut first {
            sum += *place;
            *place = sum;
        }
        let mut next = first.clone();
        let mut targets = vec![Target::Account(0); self.0.len()];
        for (index, target) in self.0 {
            let place = &mut next[index as usize];
            targets[*place as usize] = target;
            *place += 1;
        }
        TargetsByIndex { first, targets }
    }
}

impl TargetsByIndex {
    /// What is claimed at an index.
    pub(crate) fn at(&self, index: u32) -> &[Target] {
        let index = index as usize;
        match (self.first.get(index), self.first.get(index + 1)) {
            (Some(from), Some(to)) => &self.targets[*from as usize..*to as usize],
            _ => &[],
        }
    }

    /// Number of indices.
    pub(crate) const fn len(&self) -> usize {
        self.first.len() - 1
    }
}

impl Hints<'_> {
    /// Looks at what is claimed at these indices, and asks the state before the block for it. `keys` is memory to use again.
    pub(crate) fn look_ahead(
        &self,
        indices: impl Iterator<Item = u32>,
        base: &DraftReader,
        keys: &mut Vec<StateKey>,
    ) {
        keys.clear();
        for index in indices {
            let targets = self.by_index.at(index);
            let distinct = targets.chunk_by(|one, other| one == other);
            keys.extend(distinct.map(|targets| self.touch(targets[0])));
        }
        base.prefetch(keys);
    }

    /// Reads what is going to be read of a target.
    fn touch(&self, target: Target) -> StateKey {
        match target {
            Target::Account(id) => {
                let hint = &self.accounts[id as usize];
                black_box(self.account_id(&hint.address));
                black_box(hint.fates.len());
                black_box(hint.nonces.first().map(Claim::index));
                black_box(hint.balances.first().map(Claim::index));
                StateKey::Account(hint.address)
            }
            Target::Slot(id) => {
                let hint = &self.slots[id as usize];
                black_box(self.slot_id(hint.account, &hint.slot));
                black_box(hint.values.first().map(Claim::index));
                StateKey::Slot(self.accounts[hint.account as usize].address, hint.slot)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_eip7928::{BlockAccessIndex, NonceChange};

    use super::*;

    #[test]
    fn claims_are_sorted_by_index_and_keep_their_order() {
        let nonce = |index| NonceChange {
            block_access_index: BlockAccessIndex::new(index),
            new_nonce: 0,
        };
        let mut claimed = Claimed::default();
        claimed.add(&[nonce(1), nonce(3)], Target::Account(0));
        claimed.add(&[nonce(0), nonce(3)], Target::Slot(7));
        claimed.add_at(3, Target::Account(2));
        let by_index = claimed.by_index(4);
        assert_eq!(by_index.len(), 5);
        assert_eq!(by_index.at(0), [Target::Slot(7)]);
        assert_eq!(by_index.at(1), [Target::Account(0)]);
        assert!(by_index.at(2).is_empty() && by_index.at(4).is_empty() && by_index.at(9).is_empty());
        assert_eq!(
            by_index.at(3),
            [Target::Account(0), Target::Slot(7), Target::Account(2)]
        );
    }
}
