//! Which transactions are going to meet at the same key, learnt from those that did.
//!
//! A conflict names the key that somebody else had changed, and the transaction that lost. What all losers of a key have in
//! common (a word of their calldata, or else the function they call) is a rule, and what matches a rule goes through the key's
//! lane. A rule that is too narrow meets new losers, who widen it; one that is of no more use is forgotten.

use std::sync::Arc;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Selector, map::HashMap};
use rapid_primitives::TransactionSigned;
use rapid_state::StateKey;
use rapid_sync::CHECKED;

use super::lane::Lane;

/// Keys that conflicts are counted of. When full, the coldest half is forgotten.
const KEYS_MAX: usize = 4_096;

/// Lanes at a time: keys that are that contended are few.
pub(crate) const LANES_MAX: usize = 64;

/// Conflicts at a key, in the time in which they are counted, before it gets a lane.
const CONFLICTS_MIN: u32 = if CHECKED { 1 } else { 4 };

/// What waiting in a lane costs, in nanoseconds of a worker: leaving a chain there and finding it again.
const LANE_NANOSECONDS: u64 = 1_000;

/// Words of calldata that are looked at, after the selector.
const WORDS: usize = 3;

/// What calls have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    to: Address,
    selector: Selector,
    words: [Option<B256>; WORDS],
}

impl Likeness {
    /// That of one call; `None` for what is no call of a contract.
    fn of(transaction: &TransactionSigned) -> Option<Self> {
        let input = transaction.input();
        let selector = *input.first_chunk::<4>()?;
        let word = |index: usize| input.get(4 + 32 * index..36 + 32 * index).map(B256::from_slice);
        Some(Self {
            to: transaction.to()?,
            selector: Selector::from(selector),
            words: std::array::from_fn(word),
        })
    }

    /// What two have in common; `None` if they call different functions.
    fn common(&self, other: &Self) -> Option<Self> {
        let same_call = self.to == other.to && self.selector == other.selector;
        same_call.then(|| Self {
            words: std::array::from_fn(|index| {
                self.words[index].filter(|word| other.words[index] == Some(*word))
            }),
            ..*self
        })
    }

    /// The narrowest rule of what they have in common.
    fn rule(&self) -> Rule {
        self.words
            .iter()
            .enumerate()
            .find_map(|(position, word)| Some(Rule::Word(position, (*word)?)))
            .unwrap_or(Rule::Call)
    }
}

/// Which calls of a function go through a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rule {
    /// All.
    Call,
    /// Those with this word at this position.
    Word(usize, B256),
}

/// Conflicts at one key.
#[derive(Clone, Copy, Debug)]
struct Heat {
    conflicts: u32,
    nanoseconds: u64,
    /// `None` once two losers called different functions.
    losers: Option<Likeness>,
    rule: Option<Rule>,
}

#[derive(Debug)]
struct Followed<J> {
    lane: Arc<Lane<J>>,
    /// Transactions it was followed for since the last decay.
    uses: u32,
}

/// Rules of the calls of one function.
type Rules<J> = HashMap<Rule, Followed<J>>;

/// Conflicts and lanes. Owned by the thread that hands out.
#[derive(Debug)]
pub(crate) struct Contention<J> {
    workers: u64,
    heat: HashMap<StateKey, Heat>,
    lanes: HashMap<(Address, Selector), Rules<J>>,
    lanes_len: usize,
}

impl<J> Contention<J> {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: workers as u64,
            heat: HashMap::default(),
            lanes: HashMap::default(),
            lanes_len: 0,
        }
    }

    /// Lanes there are.
    pub(crate) const fn lanes(&self) -> usize {
        self.lanes_len
    }

    /// The lane a transaction goes through, if there is one for it.
    pub(crate) fn lane(&mut self, transaction: &TransactionSigned) -> Option<Arc<Lane<J>>> {
        if self.lanes_len == 0 {
            return None;
        }
        let call = Likeness::of(transaction)?;
        let rules = self.lanes.get_mut(&(call.to, call.selector))?;
        let narrow = (0..WORDS).find_map(|position| {
            let rule = Rule::Word(position, call.words[position]?);
            rules.contains_key(&rule).then_some(rule)
        });
        let followed = rules.get_mut(&narrow.unwrap_or(Rule::Call))?;
        followed.uses = followed.uses.saturating_add(1);
        Some(Arc::clone(&followed.lane))
    }

    /// Learns from an execution that was in vain.
    pub(crate) fn lost(&mut self, key: StateKey, transaction: &TransactionSigned, nanoseconds: u32) {
        let Some(call) = Likeness::of(transaction) else {
            return;
        };
        if self.heat.len() >= KEYS_MAX && !self.heat.contains_key(&key) {
            self.forget_cold();
        }
        let heat = self.heat.entry(key).or_insert(Heat {
            conflicts: 0,
            nanoseconds: 0,
            losers: Some(call),
            rule: None,
        });
        heat.conflicts += 1;
        heat.nanoseconds += u64::from(nanoseconds);
        heat.losers = heat.losers.and_then(|losers| losers.common(&call));
        let Some(losers) = heat.losers else { return };
        let rule = losers.rule();
        // With more workers more of them are in vain at the same time.
        let worth =
            heat.nanoseconds * (self.workers.max(2) - 1) > u64::from(heat.conflicts) * 2 * LANE_NANOSECONDS;
        if heat.conflicts >= CONFLICTS_MIN && worth && heat.rule != Some(rule) && self.lanes_len < LANES_MAX {
            heat.rule = Some(rule);
            self.open(&losers, rule);
        }
    }

    fn open(&mut self, call: &Likeness, rule: Rule) {
        let rules = self.lanes.entry((call.to, call.selector)).or_default();
        let before = rules.len();
        rules.entry(rule).or_insert_with(|| Followed {
            lane: Lane::new(),
            uses: 1,
        });
        self.lanes_len += rules.len() - before;
    }

    /// Lets half of what is known be forgotten: lanes that nobody used, keys that nobody meets at. Once per block.
    pub(crate) fn decay(&mut self) {
        for rules in self.lanes.values_mut() {
            rules.retain(|_, followed| std::mem::replace(&mut followed.uses, 0) > 0);
        }
        self.lanes.retain(|_, rules| !rules.is_empty());
        self.lanes_len = self.lanes.values().map(HashMap::len).sum();
        self.heat.retain(|_, heat| {
            heat.conflicts /= 2;
            heat.nanoseconds /= 2;
            heat.conflicts > 0
        });
    }

    fn forget_cold(&mut self) {
        let mut conflicts: Vec<u32> = self.heat.values().map(|heat| heat.conflicts).collect();
        let (_, median, _) = conflicts.select_nth_unstable(KEYS_MAX / 2);
        let median = *median;
        self.heat.retain(|_, heat| heat.conflicts > median);
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{Signed, TxLegacy};
    use alloy_primitives::{Bytes, Signature, TxKind, U256};

    use super::*;

    const SLOW: u32 = 30_000;

    fn call(to: u8, words: &[u64]) -> TransactionSigned {
        let mut input = vec![1, 2, 3, 4];
        words
            .iter()
            .for_each(|word| input.extend_from_slice(&U256::from(*word).to_be_bytes::<32>()));
        let call = TxLegacy {
            to: TxKind::Call(Address::with_last_byte(to)),
            input: Bytes::from(input),
            ..TxLegacy::default()
        };
        Signed::new_unhashed(call, Signature::test_signature()).into()
    }

    fn key(slot: u64) -> StateKey {
        StateKey::Slot(Address::with_last_byte(1), U256::from(slot))
    }

    #[test]
    fn what_the_losers_have_in_common_goes_through_the_lane() {
        let mut contention = Contention::<()>::new(2);
        for amount in 0..8 {
            contention.lost(key(0), &call(1, &[77, amount]), SLOW);
        }
        assert_eq!(contention.lanes(), 1);
        assert!(contention.lane(&call(1, &[77, 100])).is_some());
        assert!(
            contention.lane(&call(1, &[78, 100])).is_none(),
            "another recipient"
        );
        assert!(
            contention.lane(&call(2, &[77, 100])).is_none(),
            "another contract"
        );
    }

    #[test]
    fn a_rule_that_is_too_narrow_is_widened() {
        let mut contention = Contention::<()>::new(2);
        for _ in 0..4 {
            contention.lost(key(0), &call(1, &[5, 6, 7]), SLOW);
        }
        assert!(contention.lane(&call(1, &[9, 9, 9])).is_none());
        contention.lost(key(0), &call(1, &[8, 8, 8]), SLOW);
        assert!(
            contention.lane(&call(1, &[9, 9, 9])).is_some(),
            "the pool is the key"
        );
    }

    #[test]
    fn what_is_short_is_cheaper_tried_again() {
        let mut contention = Contention::<()>::new(2);
        for amount in 0..100 {
            contention.lost(key(0), &call(1, &[amount]), 900);
        }
        assert_eq!(contention.lanes(), 0);
        let mut many = Contention::<()>::new(16);
        for amount in 0..100 {
            many.lost(key(0), &call(1, &[amount]), 900);
        }
        assert_eq!(many.lanes(), 1, "but not if fifteen others try in vain");
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut contention = Contention::<()>::new(2);
        for amount in 0..8 {
            contention.lost(key(0), &call(1, &[amount]), SLOW);
        }
        contention.decay();
        assert_eq!(contention.lanes(), 1, "it was used by who opened it");
        contention.decay();
        assert_eq!(contention.lanes(), 0);
        assert!(contention.lane(&call(1, &[1])).is_none());
        for _ in 0..10 {
            contention.decay();
        }
        assert!(contention.heat.is_empty());
    }

    #[test]
    fn what_is_learnt_is_bounded() {
        let mut contention = Contention::<()>::new(2);
        for slot in 0..3 * KEYS_MAX as u64 {
            for _ in 0..CONFLICTS_MIN {
                contention.lost(key(slot), &call((slot % 251) as u8, &[slot]), SLOW);
            }
        }
        assert!(contention.heat.len() <= KEYS_MAX);
        assert_eq!(contention.lanes(), LANES_MAX);
    }
}
