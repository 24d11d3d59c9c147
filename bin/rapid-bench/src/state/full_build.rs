//! Row 17: the trie of a whole state, as after a restart.

use super::{
    comparison::{Comparison, Section, Target},
    leaves::{Leaves, Shape},
    ours::OurState,
    plan::{Row, StatePlan},
    pool::Pool,
    rebuild,
    turns::{Cost, Side, alternate},
};
use crate::clock::timed;
use eyre::ensure;

/// What is measured here.
pub(crate) const ROWS: [Row; 1] = [Row(17)];

/// Measures it.
///
/// # Errors
/// If the roots differ.
pub(crate) fn measure(plan: &StatePlan) -> eyre::Result<Section> {
    let shape = Shape::many_storages(plan.leaves);
    let leaves = Leaves::of(shape.world(plan.seed), shape);
    let state = OurState::of(&leaves)?;
    let pool = Pool::start(1)?;
    let expected = rebuild::root(&leaves);
    let by_keys = leaves.by_keys();
    let sides = vec![
        Side::new("state to trie and root, 1 thread", |_| {
            let (built, cost) = pool.timed(|pool| state.build_trie(pool))?;
            ensure!(built?.1 == expected, "the roots differ");
            Ok(cost)
        }),
        Side::new("HashBuilder, leaves hashed and sorted before", |_| {
            let (root, elapsed) = timed(|| rebuild::root(&leaves));
            ensure!(root == expected, "the roots differ");
            Ok(Cost::of(elapsed))
        }),
        Side::new("HashBuilder, hashing and sorting included", |_| {
            let unsorted = by_keys.clone();
            let (root, elapsed) = timed(|| rebuild::root_unsorted(unsorted));
            ensure!(root == expected, "the roots differ");
            Ok(Cost::of(elapsed))
        }),
    ];
    let measured = alternate(plan.rounds, sides)?;
    let mut section = Section::default();
    for reference in &measured[1..] {
        let what = format!("trie of {} leaves in {}", shape.leaves(), shape.name);
        section.compare(Comparison::of_times(
            Row(17),
            &what,
            &measured[0],
            reference,
            Target::AtMost(0.8),
        ));
    }
    Ok(section)
}
