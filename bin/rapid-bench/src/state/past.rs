//! Row 6: reading the oldest version that is held, with many blocks of changes on top of it.

use super::{
    comparison::{Comparison, Section, Target},
    ours::{OurState, OurVersion, changes_of},
    plan::{Row, StatePlan},
    reads::questions,
    slots::{Choice, SlotKey, SlotSource, read_dependent},
    turns::{Side, alternate},
    world::World,
};
use alloy_primitives::U256;
use eyre::ensure;

/// Generation of the values that the blocks write, which nobody wrote before.
const GENERATION: u64 = 5;
/// So many values of the oldest version are compared with what they were.
const CHECKED: u64 = 1_000;

/// Measures it, and leaves the state with the blocks.
///
/// # Errors
/// If the oldest version goes, or answers with newer values.
pub(crate) fn measure(plan: &StatePlan, ours: &OurState, section: &mut Section) -> eyre::Result<()> {
    let oldest = ours.version();
    let before = some_values(plan, &oldest)?;
    for block in 0..plan.past_blocks {
        ours.commit(&changes_of(&block_values(plan, block)));
        ours.publish();
    }
    let latest = ours.version();
    for (what, most, choice) in [
        (
            "reading a slot of the oldest version held, any slot",
            1.25,
            Choice::Any,
        ),
        (
            "reading a slot of the oldest version held, changed slots",
            1.5,
            Choice::First(plan.past_blocks * plan.past_changes),
        ),
    ] {
        let side = |name, version: &OurVersion| {
            let version = version.clone();
            Side::new(name, move |round| {
                let mut questions = questions(plan, round);
                questions.choice = choice;
                Ok(read_dependent(&version, questions)?.cost)
            })
        };
        let sides = vec![side("oldest version", &oldest), side("latest version", &latest)];
        let measured = alternate(plan.rounds, sides)?;
        section.compare(Comparison::of_times(
            Row(6),
            what,
            &measured[0],
            &measured[1],
            Target::AtMost(most),
        ));
    }
    ensure!(
        some_values(plan, &oldest)? == before,
        "the oldest version changed"
    );
    for (key, value) in block_values(plan, plan.past_blocks - 1) {
        ensure!(
            latest.slot(&key)? == value,
            "the latest version misses a change of {key:?}"
        );
    }
    Ok(())
}

/// The slots that a block changes: each block others, scattered over all.
fn block_values(plan: &StatePlan, block: u64) -> Vec<(SlotKey, U256)> {
    let world = World::new(plan.seed, plan.storages);
    (block * plan.past_changes..(block + 1) * plan.past_changes)
        .map(|number| {
            let slot = Choice::scattered(number, plan.slots);
            (world.slot(slot), world.value(slot, GENERATION))
        })
        .collect()
}

fn some_values(plan: &StatePlan, version: &OurVersion) -> eyre::Result<Vec<U256>> {
    let world = World::new(plan.seed, plan.storages);
    (0..CHECKED.min(plan.past_blocks * plan.past_changes))
        .map(|number| version.slot(&world.slot(Choice::scattered(number, plan.slots))))
        .collect()
}
