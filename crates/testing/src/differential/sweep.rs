//! Which gas limits a call is run with.

use revm::context::result::{ExecutionResult, HaltReason};

use crate::differential::{Choices, FrameAction, Observation};

/// How much a sweep may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Gas limits a call is run with at most.
    pub limits_max: usize,
    /// Gas all those runs may use together: loops that run until the gas is gone are run less often.
    pub gas_max: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            limits_max: 160,
            gas_max: 8_000_000,
        }
    }
}

/// Limits tried below the gas that a run used: one that used `G` runs out at different instructions for each of them.
const WINDOW: u64 = 64;
/// Limits tried around the gas that had been used when the first frame called another.
const WINDOW_AT_CALLS: u64 = 6;
/// Calls around which limits are tried.
const CALLS_MAX: usize = 6;

impl Sweep {
    /// Only the calls' own gas limits.
    pub const NONE: Self = Self {
        limits_max: 0,
        gas_max: 0,
    };

    /// Gas limits for a call whose run with `ample` gas is given; `ample` is not among them. `observe` runs it with
    /// others.
    pub(crate) fn limits(
        &self,
        choices: &mut Choices<'_>,
        ample: u64,
        run: &Observation,
        observe: &mut dyn FnMut(u64) -> Observation,
    ) -> Vec<u64> {
        let Ok(result) = &run.outcome else {
            return Vec::new();
        };
        if self.limits_max == 0 {
            return Vec::new();
        }
        let accepted = least(0, ample, |gas| observe(gas).outcome.is_ok());
        let needed = match result {
            // What a halt used is hidden: it takes all.
            ExecutionResult::Halt { reason, .. } => {
                least(accepted, ample, |gas| halts(&observe(gas), reason))
            }
            _ => result.gas().total_gas_spent().max(accepted),
        };
        let affordable = usize::try_from(self.gas_max / needed.max(1)).unwrap_or(usize::MAX);
        let limits_max = self.limits_max.min(affordable.max(4));
        let mut limits: Vec<_> = (needed.saturating_sub(WINDOW)..=needed + 2).collect();
        limits.extend(around_calls(ample, run));
        let span = usize::try_from(needed - accepted).unwrap_or(0);
        if span < limits_max {
            limits.extend(accepted..needed);
        } else {
            limits.extend((0..limits_max / 3).map(|_| accepted + choices.below(span) as u64));
        }
        limits.retain(|limit| *limit != ample && *limit + 1 >= accepted);
        limits.sort_unstable();
        limits.dedup();
        while limits.len() > limits_max {
            limits.swap_remove(choices.below(limits.len()));
        }
        limits
    }
}

fn halts(run: &Observation, expected: &HaltReason) -> bool {
    matches!(&run.outcome, Ok(ExecutionResult::Halt { reason, .. }) if reason == expected)
}

/// The least number in `low..=high` from which on something holds, or one near it if it comes and goes.
fn least(mut low: u64, mut high: u64, mut holds: impl FnMut(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

fn around_calls(ample: u64, run: &Observation) -> impl Iterator<Item = u64> {
    run.trace
        .events()
        .iter()
        .filter(|event| event.depth == 0 && !matches!(event.action, FrameAction::Ended(_)))
        .filter_map(|event| event.left)
        .take(CALLS_MAX)
        .flat_map(move |left| {
            let used = ample.saturating_sub(left.gas);
            used.saturating_sub(WINDOW_AT_CALLS)..used + WINDOW_AT_CALLS
        })
}
