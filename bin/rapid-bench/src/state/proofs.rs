//! Row 18: the proof of an account and ten of its slots.

use super::{
    comparison::{Comparison, Section, Target},
    leaves::{Leaves, Shape},
    ours::OurState,
    plan::{Row, StatePlan},
    pool::Pool,
    rebuild,
    turns::{Cost, Side, alternate},
    world::word,
};
use crate::clock::timed;
use alloy_primitives::U256;
use eyre::{OptionExt, ensure};
use std::hint::black_box;

/// What is measured here.
pub(crate) const ROWS: [Row; 1] = [Row(18)];

/// Slots of a proof.
const SLOTS: usize = 10;
/// Proofs that are taken of a round of ours, which are quick.
const REPETITIONS: u64 = 200;

/// Measures it.
///
/// # Errors
/// If the proofs differ.
pub(crate) fn measure(plan: &StatePlan) -> eyre::Result<Section> {
    let shape = Shape::many_storages(plan.proof_leaves);
    let leaves = Leaves::of(shape.world(plan.seed), shape);
    let pool = Pool::start(1)?;
    let (trie, _) = OurState::of(&leaves)?.build_trie(pool.threads())?;
    let account = leaves
        .accounts()
        .iter()
        .max_by_key(|account| account.slots.len())
        .ok_or_eyre("no account")?;
    // Those of a round are scattered over the storage.
    let keys_of = |round: usize| -> Vec<U256> {
        let count = account.slots.len();
        let places = (0..SLOTS).map(|place| (round + place * count / SLOTS) % count);
        places.map(|place| account.slots[place].key).collect()
    };
    let sides = vec![
        Side::new("trie", |round| {
            let slots: Vec<_> = keys_of(round).into_iter().map(word).collect();
            let (done, elapsed) = timed(|| {
                for _ in 0..REPETITIONS {
                    black_box(trie.proof(account.address, &slots)?);
                }
                eyre::Ok(())
            });
            done?;
            Ok(Cost::per_operation(elapsed, REPETITIONS))
        }),
        Side::new("HashBuilder with proof retainer", |round| {
            let keys = keys_of(round);
            let (expected, elapsed) = timed(|| rebuild::proof(&leaves, account.address, &keys));
            let slots: Vec<_> = keys.into_iter().map(word).collect();
            ensure!(
                trie.proof(account.address, &slots)? == expected,
                "the proofs differ"
            );
            Ok(Cost::of(elapsed))
        }),
    ];
    let measured = alternate(plan.rounds, sides)?;
    let what = format!(
        "proof of an account and {SLOTS} of its {} slots, {} leaves",
        account.slots.len(),
        shape.leaves()
    );
    let mut section = Section::default();
    section.compare(Comparison::of_times(
        Row(18),
        &what,
        &measured[0],
        &measured[1],
        Target::Faster(100.0),
    ));
    Ok(section)
}
