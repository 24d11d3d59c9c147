//! What a transaction is going to touch, known before it runs: the keys that are claimed at each block access index.
//!
//! Reads that miss the caches wait for memory one after the other if they are made one after the other. So what a hint says of
//! the next transactions is looked at before they are executed, and the state is asked for what they begin with.

use rapid_state::{DraftReader, StateKey, prefetch};

use crate::{claim::Claim, hints::Hints};

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
}

/// Memory for [`Hints::look_ahead`] to use again.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    targets: Vec<Target>,
    keys: Vec<StateKey>,
}

impl Hints<'_> {
    /// Asks for what is claimed at these indices, and for what the state before the block has of it, to be in the cache.
    pub(crate) fn look_ahead(
        &self,
        indices: impl Iterator<Item = u32>,
        base: &DraftReader,
        ahead: &mut Ahead,
    ) {
        let Ahead { targets, keys } = ahead;
        targets.clear();
        for index in indices {
            let distinct = self.by_index.at(index).chunk_by(|one, other| one == other);
            targets.extend(distinct.map(|targets| targets[0]));
        }
        // Each step needs what the one before it asked for.
        targets.iter().for_each(|target| self.ask_for_hint(*target));
        keys.clear();
        keys.extend(targets.iter().map(|target| self.ask_for_claims(*target)));
        base.prefetch(keys);
    }

    fn ask_for_hint(&self, target: Target) {
        match target {
            Target::Account(id) => {
                prefetch(&self.accounts[id as usize]);
            }
            Target::Slot(id) => prefetch(&self.slots[id as usize]),
        }
    }

    fn ask_for_claims(&self, target: Target) -> StateKey {
        match target {
            Target::Account(id) => {
                let hint = &self.accounts[id as usize];
                hint.nonces.first().into_iter().for_each(prefetch);
                hint.balances.first().into_iter().for_each(prefetch);
                StateKey::Account(hint.address)
            }
            Target::Slot(id) => {
                let hint = &self.slots[id as usize];
                hint.values.first().into_iter().for_each(prefetch);
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
        assert_eq!(by_index.at(0), [Target::Slot(7)]);
        assert_eq!(by_index.at(1), [Target::Account(0)]);
        assert!(by_index.at(2).is_empty() && by_index.at(4).is_empty() && by_index.at(9).is_empty());
        assert_eq!(
            by_index.at(3),
            [Target::Account(0), Target::Slot(7), Target::Account(2)]
        );
    }
}
