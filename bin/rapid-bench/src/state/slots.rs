//! Reading slots, whoever keeps them.

use super::{
    turns::Cost,
    world::{World, mix, scale},
};
use crate::clock::timed;
use alloy_primitives::{Address, U256};
use eyre::ensure;
use std::hint::black_box;

/// Keys that are asked for together.
pub(crate) const BATCH: usize = 32;

/// The key of a slot as everybody is asked for it.
pub(crate) type SlotKey = (Address, U256);

/// Who can tell the values of slots.
pub(crate) trait SlotSource {
    /// The value; zero if there is none.
    ///
    /// # Errors
    /// If the source cannot tell.
    fn slot(&self, key: &SlotKey) -> eyre::Result<U256>;

    /// Several values, in the order of the keys.
    ///
    /// # Errors
    /// If the source cannot tell.
    fn slots(&self, keys: &[SlotKey; BATCH]) -> eyre::Result<[U256; BATCH]> {
        let mut values = [U256::ZERO; BATCH];
        for (value, key) in values.iter_mut().zip(keys) {
            *value = self.slot(key)?;
        }
        Ok(values)
    }
}

/// Who keeps slots that may change.
pub(crate) trait SlotStore: SlotSource {
    /// Writes values.
    ///
    /// # Errors
    /// If the store cannot take them.
    fn write(&mut self, values: &[(SlotKey, U256)]) -> eyre::Result<()>;
}

/// How many slots are written at once when a store is filled.
const WRITTEN_AT_ONCE: u64 = 1 << 15;

/// Writes the first `count` slots, in the order of their numbers, which is no order of keys.
///
/// # Errors
/// If the store cannot take them.
pub(crate) fn fill(store: &mut dyn SlotStore, world: World, count: u64) -> eyre::Result<()> {
    let mut values = Vec::with_capacity(WRITTEN_AT_ONCE as usize);
    for first in (0..count).step_by(WRITTEN_AT_ONCE as usize) {
        values.clear();
        let last = count.min(first + WRITTEN_AT_ONCE);
        values.extend((first..last).map(|slot| (world.slot(slot), world.value(slot, 0))));
        store.write(&values)?;
    }
    Ok(())
}

/// Which slots are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// Any.
    Any,
    /// The first so many of an order that scatters them over all.
    First(u64),
}

impl Choice {
    /// The slot that is so far from the beginning of the order that scatters them.
    pub(crate) const fn scattered(number: u64, slots: u64) -> u64 {
        // A prime above the number of slots, so each is met once.
        const STRIDE: u64 = 2_654_435_761;
        (number % slots * (STRIDE % slots)) % slots
    }
}

/// The slots that are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Questions {
    /// Where keys come from.
    pub(crate) world: World,
    /// The slots have numbers below this.
    pub(crate) slots: u64,
    /// How many are read.
    pub(crate) reads: u64,
    /// Where the sequence of numbers begins; each round has its own.
    pub(crate) start: u64,
    /// Which slots.
    pub(crate) choice: Choice,
}

impl Questions {
    fn next(&self, random: u64) -> SlotKey {
        let random = mix(random);
        self.world.slot(match self.choice {
            Choice::Any => scale(random, self.slots),
            Choice::First(count) => Choice::scattered(scale(random, count), self.slots),
        })
    }
}

/// What reading cost, and a sum over the values that tells whether they were the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Of one read.
    pub(crate) cost: Cost,
    /// Over all values.
    pub(crate) sum: u64,
}

/// Reads slots one after the other; which comes next depends on the value before, as in a chain of `SLOAD`s.
///
/// # Errors
/// If the source cannot tell, or knows nothing of a slot.
pub(crate) fn read_dependent(source: &impl SlotSource, questions: Questions) -> eyre::Result<Reading> {
    let mut random = questions.start;
    let mut misses = 0;
    let (done, elapsed) = timed(|| {
        for _ in 0..questions.reads {
            let value = source.slot(&questions.next(random))?;
            misses += u64::from(value.is_zero());
            random = random.wrapping_add(1 + value.as_limbs()[0]);
        }
        eyre::Ok(())
    });
    done?;
    ensure!(misses == 0, "{misses} slots have no value");
    Ok(Reading {
        cost: Cost::per_operation(elapsed, questions.reads),
        sum: random,
    })
}

/// Reads slots in batches; which come next depends on a value of the batch before.
///
/// # Errors
/// If the source cannot tell, or knows nothing of a slot.
pub(crate) fn read_batches(source: &impl SlotSource, questions: Questions) -> eyre::Result<Reading> {
    let batches = questions.reads / BATCH as u64;
    let (mut random, mut sum) = (questions.start, 0u64);
    let mut misses = 0;
    let (done, elapsed) = timed(|| {
        for _ in 0..batches {
            let keys = std::array::from_fn(|place| questions.next(random.wrapping_add(place as u64)));
            let values = source.slots(&keys)?;
            for value in &values {
                misses += u64::from(value.is_zero());
                sum = sum.wrapping_mul(31).wrapping_add(value.as_limbs()[0]);
            }
            random = random.wrapping_add(BATCH as u64 + values[0].as_limbs()[0]);
        }
        eyre::Ok(())
    });
    done?;
    ensure!(misses == 0, "{misses} slots have no value");
    Ok(Reading {
        cost: Cost::per_operation(elapsed, batches * BATCH as u64),
        sum,
    })
}

/// What drawing the keys costs, which is part of every read here.
pub(crate) fn draw_only(questions: Questions) -> Cost {
    let mut random = questions.start;
    let ((), elapsed) = timed(|| {
        for _ in 0..questions.reads {
            let (address, key) = black_box(questions.next(random));
            random = random.wrapping_add(1 + key.as_limbs()[0] + u64::from(address[0]));
        }
    });
    Cost::per_operation(elapsed, questions.reads)
}
