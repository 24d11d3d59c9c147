//! Rows 1 to 4 and 6: reading slots.

use super::{
    comparison::{Comparison, Section, Target},
    mdbx::MdbxSlots,
    ours::{OurState, changes_of},
    past,
    plan::{Row, StatePlan},
    sharded_map::ShardedMap,
    slots::{Choice, Questions, Reading, draw_only, fill, read_batches, read_dependent},
    turns::{Cost, Side, alternate, find},
    world::{World, mix},
};
use eyre::ensure;
use rapid_primitives::AccountChange;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

/// What is measured here.
pub(crate) const ROWS: [Row; 5] = [Row(1), Row(2), Row(3), Row(4), Row(6)];

/// Bytes of the past that the state keeps while others write,
const WINDOW_BYTES: usize = 64 << 20;
/// and for a version that is held.
const LEASED_BYTES: usize = 16 << 30;

const ONE_BY_ONE: &str = "state, one by one";
const BATCHES: &str = "state, batches of 32";
const MAP: &str = "256 x RwLock<hashbrown>";
const DATABASE: &str = "MDBX, in the page cache";

/// Measures them on one state.
///
/// # Errors
/// If a source answers differently from another.
pub(crate) fn measure(plan: &StatePlan) -> eyre::Result<Section> {
    let world = World::new(plan.seed, plan.storages);
    let mut ours = OurState::new(WINDOW_BYTES, LEASED_BYTES)?;
    fill(&mut ours, world, plan.slots)?;
    let mut section = Section::default();
    section.note(
        "drawing a key, which is part of every read",
        draw_only(questions(plan, 0)).cpu_ns,
        "ns",
    );
    if [1, 2, 4].iter().any(|&row| plan.wants(Row(row))) {
        at_rest(plan, &ours, &mut section)?;
    }
    if plan.wants(Row(3)) {
        beside_a_writer(plan, &ours, &mut section)?;
    }
    if plan.wants(Row(6)) {
        past::measure(plan, &ours, &mut section)?;
    }
    Ok(section)
}

/// The questions of a round, which are the same for all sides.
pub(crate) fn questions(plan: &StatePlan, round: usize) -> Questions {
    Questions {
        world: World::new(plan.seed, plan.storages),
        slots: plan.slots,
        reads: plan.reads,
        start: mix(round as u64),
        choice: Choice::Any,
    }
}

fn at_rest(plan: &StatePlan, ours: &OurState, section: &mut Section) -> eyre::Result<()> {
    let world = World::new(plan.seed, plan.storages);
    let mut map = ShardedMap::new();
    if plan.wants(Row(2)) {
        fill(&mut map, world, plan.slots)?;
    }
    let database = if plan.wants(Row(1)) {
        let database = MdbxSlots::build(plan.folder.as_ref(), world, plan.slots)?;
        let per_slot = database.bytes()? as f64 / plan.slots as f64;
        section.note("MDBX, pages", per_slot, "B per slot");
        Some(database)
    } else {
        None
    };
    let sums = Sums::default();
    let mut sides = vec![
        Side::new(ONE_BY_ONE, |round| {
            sums.agree(round, read_dependent(ours, questions(plan, round))?)
        }),
        Side::new(BATCHES, |round| {
            Ok(read_batches(ours, questions(plan, round))?.cost)
        }),
    ];
    if plan.wants(Row(2)) {
        sides.push(Side::new(MAP, |round| {
            sums.agree(round, read_dependent(&map, questions(plan, round))?)
        }));
    }
    if let Some(database) = &database {
        sides.push(Side::new(DATABASE, |round| {
            sums.agree(round, read_dependent(database, questions(plan, round))?)
        }));
    }
    let measured = alternate(plan.rounds, sides)?;
    let dependent = "reading a slot, each key depends on the value before";
    for (row, what, ours, reference, target) in [
        (1, dependent, ONE_BY_ONE, DATABASE, 3.0),
        (2, dependent, ONE_BY_ONE, MAP, 1.3),
        (4, "reading a slot of a batch of 32", BATCHES, ONE_BY_ONE, 3.0),
    ] {
        if let (Some(ours), Some(reference)) = (find(&measured, ours), find(&measured, reference)) {
            let target = Target::Faster(target);
            section.compare(Comparison::of_times(Row(row), what, ours, reference, target));
        }
    }
    Ok(())
}

/// What the sides read, round by round.
#[derive(Default)]
pub(crate) struct Sums(std::cell::RefCell<Vec<u64>>);

impl Sums {
    /// The cost of a reading that saw what the others saw.
    ///
    /// # Errors
    /// If it did not.
    pub(crate) fn agree(&self, round: usize, reading: Reading) -> eyre::Result<Cost> {
        let mut sums = self.0.borrow_mut();
        if sums.len() == round {
            sums.push(reading.sum);
        }
        ensure!(
            sums[round] == reading.sum,
            "two sides read different values in round {round}"
        );
        Ok(reading.cost)
    }
}

/// Slots of a commit of the writer, as a large transaction has.
const COMMIT_SLOTS: u64 = 128;
/// Commits until the writer publishes.
const COMMITS_PER_VERSION: u64 = 8;

fn beside_a_writer(plan: &StatePlan, ours: &OurState, section: &mut Section) -> eyre::Result<()> {
    let written = AtomicU64::new(0);
    let commits = Commits::prepare(plan);
    let sides = vec![
        Side::new("while another thread commits", |round| {
            let running = AtomicBool::new(true);
            thread::scope(|scope| {
                scope.spawn(|| written.fetch_add(commits.write(ours, &running), Relaxed));
                let reading = read_published(plan, ours, round);
                running.store(false, Relaxed);
                reading
            })
        }),
        Side::new("alone", |round| read_published(plan, ours, round)),
    ];
    let measured = alternate(plan.rounds, sides)?;
    section.compare(Comparison::of_times(
        Row(3),
        "reading a slot of the published version while another thread commits",
        &measured[0],
        &measured[1],
        Target::AtMost(1.15),
    ));
    let seconds = measured[0]
        .costs
        .iter()
        .map(|cost| cost.wall_ns * plan.reads as f64 / 1e9)
        .sum::<f64>();
    let per_second = written.into_inner() as f64 / seconds;
    section.note("slots committed by the other thread", per_second, "per second");
    Ok(())
}

/// Reads so many slots, always of the newest published version, as one `eth_call` after the other does.
fn read_published(plan: &StatePlan, ours: &OurState, round: usize) -> eyre::Result<Cost> {
    /// Reads of one version.
    const READS: u64 = 1_000;
    let mut questions = questions(plan, round);
    let mut sum = Cost::default();
    let calls = plan.reads.div_ceil(READS);
    questions.reads = READS;
    for call in 0..calls {
        questions.start = mix(questions.start ^ call);
        let cost = read_dependent(&ours.version(), questions)?.cost;
        sum.cpu_ns += cost.cpu_ns / calls as f64;
        sum.wall_ns += cost.wall_ns / calls as f64;
    }
    Ok(sum)
}

/// Commits prepared in advance, each in two forms so that it always changes something.
struct Commits([Vec<Vec<AccountChange>>; 2]);

impl Commits {
    fn prepare(plan: &StatePlan) -> Self {
        const COMMITS: u64 = 256;
        let world = World::new(plan.seed, plan.storages);
        let form = |generation| {
            let commit = |number| {
                let slots = (0..COMMIT_SLOTS).map(|place| {
                    let slot = world.draw(100, number * COMMIT_SLOTS + place, plan.slots);
                    (world.slot(slot), world.value(slot, generation))
                });
                changes_of(&slots.collect::<Vec<_>>())
            };
            (0..COMMITS).map(commit).collect()
        };
        Self([form(1), form(2)])
    }

    /// Commits as long as it is to; returns how many slots.
    fn write(&self, ours: &OurState, running: &AtomicBool) -> u64 {
        let mut count = 0;
        for form in self.0.iter().cycle() {
            for changes in form {
                if !running.load(Relaxed) {
                    return count * COMMIT_SLOTS;
                }
                ours.commit(changes);
                count += 1;
                if count % COMMITS_PER_VERSION == 0 {
                    ours.publish();
                }
            }
        }
        count * COMMIT_SLOTS
    }
}
