//! Hints that lie: the result is right or the hint is refused, and the cost has an end.

use alloy_eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, CodeChange, NonceChange, SlotChanges, StorageChange,
};
use alloy_primitives::{Address, Bytes, U256};
use rapid_executor::{BlockHint, HintError, HintVerdict, ValidationError, Workers};
use rapid_primitives::StateDiff;

use crate::{
    bed::{Bed, FORKS, Fork, workers},
    dice::Dice,
    programs::random_block,
    random::seeds,
};

/// What became of a lie.
#[derive(Debug, Default)]
struct Tally {
    refused: u32,
    refuted: u32,
    proven: u32,
    invalid_blocks: u32,
}

impl Tally {
    fn check(&mut self, bed: &Bed, workers: &Workers, hint: BlockHint, what: &str) {
        match bed.parallel(workers, hint.clone()) {
            Err(ValidationError::Hint(_)) => self.refused += 1,
            Err(ValidationError::Panicked) => panic!("{what}: panicked"),
            _ => match bed.assert_equal(workers, hint, what) {
                Some(HintVerdict::Proven) => self.proven += 1,
                Some(HintVerdict::NotProven) => self.refuted += 1,
                None => self.invalid_blocks += 1,
            },
        }
    }
}

fn accounts(hint: &mut BlockHint) -> &mut Vec<AccountChanges> {
    match hint {
        BlockHint::Declared(list) => list,
        BlockHint::Advisory(diff) => &mut diff.accounts,
    }
}

/// Drops what says nothing any more, as the maker of a hint would.
fn tidy(hint: &mut BlockHint) {
    let is_diff = matches!(hint, BlockHint::Advisory(_));
    let list = accounts(hint);
    for account in list.iter_mut() {
        let emptied: Vec<U256> = account
            .storage_changes
            .extract_if(.., |slot| slot.changes.is_empty())
            .map(|slot| slot.slot)
            .collect();
        if !is_diff {
            account.storage_reads.extend(emptied);
            account.storage_reads.sort_unstable();
        }
    }
    if is_diff {
        list.retain(AccountChanges::has_changes);
    }
}

/// Changes one thing. The hint stays well-formed, but for some indices and orders.
fn lie(hint: &mut BlockHint, dice: &mut Dice, transactions: u64) {
    if let BlockHint::Advisory(diff) = hint
        && !diff.fates.is_empty()
        && dice.one_in(4)
    {
        let chosen = dice.below(diff.fates.len() as u64) as usize;
        if dice.one_in(2) {
            diff.fates.remove(chosen);
        } else {
            diff.fates[chosen].index = dice.below(transactions + 2) as u32;
            diff.fates.sort_by_key(|fate| (fate.index, fate.address));
        }
        return;
    }
    let index = BlockAccessIndex::new(dice.below(transactions + 2));
    let list = accounts(hint);
    if list.is_empty() || dice.one_in(12) {
        let mut stranger = AccountChanges::new(Address::repeat_byte(dice.below(255) as u8));
        stranger.balance_changes = vec![BalanceChange::new(index, U256::from(5))];
        list.push(stranger);
        list.sort_by_key(|account| account.address);
        return;
    }
    let chosen = dice.below(list.len() as u64) as usize;
    if dice.one_in(12) {
        list.remove(chosen);
        return;
    }
    let account = &mut list[chosen];
    match dice.below(5) {
        0 => {
            let at = |claim: &NonceChange| claim.block_access_index;
            let new = NonceChange::new(index, 7);
            change_one(&mut account.nonce_changes, dice, at, new, |claim| {
                claim.new_nonce += 1
            });
        }
        1 | 2 => {
            let at = |claim: &BalanceChange| claim.block_access_index;
            let value = dice.of(&[U256::ZERO, U256::from(1), U256::MAX]);
            let new = BalanceChange::new(index, value);
            change_one(&mut account.balance_changes, dice, at, new, |claim| {
                claim.post_balance = value
            });
        }
        3 => {
            let at = |claim: &CodeChange| claim.block_access_index;
            let code = Bytes::from_static(&[0x60, 0x01, 0x60, 0x00, 0x55]);
            let new = CodeChange::new(index, code.clone());
            change_one(&mut account.code_changes, dice, at, new, |claim| {
                claim.new_code = code
            });
        }
        _ => {
            let slots = &mut account.storage_changes;
            if slots.is_empty() || dice.one_in(6) {
                let slot = U256::from(dice.below(5));
                account.storage_reads.retain(|read| *read != slot);
                slots.retain(|changes| changes.slot != slot);
                slots.push(SlotChanges::new(
                    slot,
                    vec![StorageChange::new(index, U256::from(9))],
                ));
                slots.sort_by_key(|changes| changes.slot);
                return;
            }
            let chosen = dice.below(slots.len() as u64) as usize;
            let at = |claim: &StorageChange| claim.block_access_index;
            let new = StorageChange::new(index, U256::from(3));
            change_one(&mut slots[chosen].changes, dice, at, new, |claim| {
                claim.new_value ^= U256::ONE;
            });
        }
    }
    tidy(hint);
}

/// Flips, drops, moves or adds a claim.
fn change_one<T: Clone>(
    claims: &mut Vec<T>,
    dice: &mut Dice,
    index: impl Fn(&T) -> BlockAccessIndex,
    new: T,
    flip: impl FnOnce(&mut T),
) {
    let position = (!claims.is_empty()).then(|| dice.below(claims.len() as u64) as usize);
    match (position, dice.below(3)) {
        (Some(position), 0) => flip(&mut claims[position]),
        (Some(position), 1) => {
            claims.remove(position);
        }
        _ => {
            claims.retain(|claim| index(claim) != index(&new));
            claims.push(new);
            claims.sort_by_key(|claim| index(claim));
        }
    }
}

#[test]
fn one_lie_changes_nothing_but_the_time() {
    let pools: Vec<_> = (1..=8).map(workers).collect();
    let mut tally = Tally::default();
    for seed in seeds(40) {
        for fork in FORKS {
            let bed = random_block(seed, fork, 20);
            let honest = bed.hint();
            let mut dice = Dice::new(seed ^ 0x11e);
            for number in 0..12 {
                let mut hint = honest.clone();
                for _ in 0..1 + dice.below(3) {
                    lie(&mut hint, &mut dice, 20);
                }
                let what = format!("lie {number} about seed {seed} of {fork:?}");
                tally.check(&bed, &pools[(seed % 8) as usize], hint, &what);
            }
        }
    }
    assert!(tally.refuted > 500 && tally.invalid_blocks > 0, "{tally:?}");
    // Some lies are none: a claim set to what it was.
    assert!(tally.proven < tally.refuted / 4, "{tally:?}");
}

/// Every claim of a block, flipped or left out.
#[test]
fn no_claim_is_left_unchecked() {
    let workers = workers(3);
    for fork in [Fork::Cancun, Fork::Amsterdam] {
        let bed = (0..)
            .map(|seed| random_block(seed, fork, 12))
            .find(|bed| bed.assert_equal(&workers, bed.hint(), "honest") == Some(HintVerdict::Proven))
            .unwrap();
        let honest = bed.hint();
        let mut lies = 0;
        for account in 0..accounts(&mut honest.clone()).len() {
            for lie in every_lie(&honest, account) {
                let verdict = bed.assert_equal(&workers, lie, "a lie");
                assert_eq!(verdict, Some(HintVerdict::NotProven), "{fork:?}");
                lies += 1;
            }
        }
        assert!(lies > 40, "{lies}");
    }
}

fn every_lie(honest: &BlockHint, account: usize) -> Vec<BlockHint> {
    let mut lies = Vec::new();
    let mut add = |change: &dyn Fn(&mut AccountChanges)| {
        let mut hint = honest.clone();
        change(&mut accounts(&mut hint)[account]);
        tidy(&mut hint);
        lies.push(hint);
    };
    let listed = &accounts(&mut honest.clone())[account].clone();
    for position in 0..listed.nonce_changes.len() {
        add(&|account| account.nonce_changes[position].new_nonce += 1);
        add(&|account| {
            account.nonce_changes.remove(position);
        });
    }
    for position in 0..listed.balance_changes.len() {
        add(&|account| account.balance_changes[position].post_balance += U256::ONE);
        add(&|account| {
            account.balance_changes.remove(position);
        });
    }
    for position in 0..listed.code_changes.len() {
        add(&|account| account.code_changes[position].new_code = Bytes::from_static(&[0]));
        add(&|account| {
            account.code_changes.remove(position);
        });
    }
    for slot in 0..listed.storage_changes.len() {
        for position in 0..listed.storage_changes[slot].changes.len() {
            add(&|account| account.storage_changes[slot].changes[position].new_value ^= U256::ONE);
            add(&|account| {
                account.storage_changes[slot].changes.remove(position);
            });
        }
    }
    if matches!(honest, BlockHint::Declared(_)) {
        for read in 0..listed.storage_reads.len() {
            add(&|account| {
                account.storage_reads.remove(read);
            });
        }
        // One more than is touched.
        add(&|account| account.storage_reads.push(U256::MAX));
    }
    lies
}

#[test]
fn hints_of_other_blocks_and_empty_hints_are_refuted() {
    let workers = workers(2);
    let mut tally = Tally::default();
    for seed in 0..20 {
        for fork in FORKS {
            let bed = random_block(seed, fork, 16);
            let other = random_block(seed + 1, fork, 16).hint();
            tally.check(
                &bed,
                &workers,
                other,
                &format!("seed {seed} of {fork:?} with a hint of the next"),
            );
            tally.check(
                &bed,
                &workers,
                BlockHint::Advisory(StateDiff::default()),
                "no hint at all",
            );
            tally.check(&bed, &workers, BlockHint::Declared(Vec::new()), "an empty list");
        }
    }
    assert!(tally.refuted > 50 && tally.proven == 0, "{tally:?}");
}

#[test]
fn malformed_hints_are_refused_before_anything_runs() {
    let workers = workers(2);
    let bed = random_block(3, Fork::Amsterdam, 4);
    let honest = bed.hint();
    let refused = |hint: BlockHint| match bed.parallel(&workers, hint) {
        Err(ValidationError::Hint(error)) => error,
        other => panic!("{other:?}"),
    };
    let with = |change: &dyn Fn(&mut Vec<AccountChanges>)| {
        let mut hint = honest.clone();
        change(accounts(&mut hint));
        hint
    };
    for hint in [
        with(&|list| list.reverse()),
        with(&|list| list.push(list.last().unwrap().clone())),
        with(&|list| {
            list[0]
                .balance_changes
                .push(BalanceChange::new(BlockAccessIndex::new(6), U256::ONE))
        }),
        with(&|list| {
            list[0]
                .nonce_changes
                .push(NonceChange::new(BlockAccessIndex::new(u64::MAX), 1))
        }),
        with(&|list| {
            list[0]
                .storage_changes
                .push(SlotChanges::new(U256::MAX, Vec::new()))
        }),
    ] {
        assert!(matches!(refused(hint), HintError::Structure(_)));
    }
    let huge = with(&|list| {
        let slots = (0..20_000).map(|slot| U256::MAX - U256::from(20_000 - slot));
        list[0].storage_reads.extend(slots);
    });
    assert!(matches!(refused(huge), HintError::Size { max: 15_000, .. }));
    assert_eq!(
        refused(BlockHint::Advisory(StateDiff::default())),
        HintError::Kind
    );
}

#[test]
fn a_diff_with_reads_is_refused() {
    let bed = random_block(3, Fork::Cancun, 4);
    let mut hint = bed.hint();
    accounts(&mut hint)[0].storage_reads.push(U256::MAX);
    match bed.parallel(&workers(2), hint) {
        Err(ValidationError::Hint(HintError::NotAChange(_))) => {}
        other => panic!("{other:?}"),
    }
}
