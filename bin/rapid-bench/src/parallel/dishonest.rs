//! Validation with hints that lie: the result is the same, and what it costs is compared with having no hint.

use super::{
    alternate,
    block::Block,
    plan::ParallelPlan,
    report::{Report, WorkloadReport},
    sides::{Hint, SideKind, Subject, told_of},
    stop, targets,
};
use crate::scenario::ScenarioKind;
use alloy_primitives::U256;
use rapid_executor::BlockHint;

/// What is lied about.
const KINDS: [ScenarioKind; 2] = [ScenarioKind::Erc20, ScenarioKind::Mixed];

/// How a hint lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// A value of the first transaction is another one.
    First,
    /// One of the transaction in the middle.
    Middle,
    /// One of the last transaction.
    Last,
    /// All values are others.
    Everything,
    /// It is another block's.
    OtherBlock,
}

impl Lie {
    const ALL: [Self; 5] = [
        Self::First,
        Self::Middle,
        Self::Last,
        Self::Everything,
        Self::OtherBlock,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::First => "first transaction",
            Self::Middle => "middle transaction",
            Self::Last => "last transaction",
            Self::Everything => "everything",
            Self::OtherBlock => "another block",
        }
    }

    /// The lie about a block.
    fn tell(self, subject: &Subject, seed: u64) -> eyre::Result<BlockHint> {
        let (block, truth) = (&subject.block, &subject.hint.told);
        let last = block.len() as u64;
        Ok(match self {
            Self::First => with_others(truth, |index| index == 1),
            Self::Middle => with_others(truth, |index| index == last.div_ceil(2)),
            Self::Last => with_others(truth, |index| index == last),
            Self::Everything => with_others(truth, |_| true),
            Self::OtherBlock => {
                let other = Block::draw(block.kind, block.len(), seed + 1, block.fork)?;
                told_of(&other.expected()?)
            }
        })
    }
}

/// Other balances and slots at some indices.
fn with_others(truth: &BlockHint, at: impl Fn(u64) -> bool) -> BlockHint {
    let mut lie = truth.clone();
    let accounts = match &mut lie {
        BlockHint::Advisory(diff) => &mut diff.accounts,
        BlockHint::Declared(list) => list,
    };
    for account in accounts {
        for change in &mut account.balance_changes {
            if at(change.block_access_index.get()) {
                change.post_balance ^= U256::ONE;
            }
        }
        let slots = account.storage_changes.iter_mut();
        for change in slots.flat_map(|slot| &mut slot.changes) {
            if at(change.block_access_index.get()) {
                change.new_value ^= U256::from(2);
            }
        }
    }
    lie
}

/// Measures every lie.
///
/// # Errors
/// As for a block.
pub(super) fn measure(plan: &ParallelPlan, report: &mut Report) -> eyre::Result<()> {
    let mut sides = plan.clone();
    sides
        .sides
        .retain(|side| matches!(side, SideKind::Draft | SideKind::Validation));
    for kind in KINDS {
        for lie in Lie::ALL {
            let block = Block::draw(kind, kind.count(plan.count), plan.seed, plan.fork)?;
            let mut subject = Subject::of(block, plan.jit.compiler()?)?;
            subject.hint = Hint {
                told: lie.tell(&subject, plan.seed)?,
                is_true: false,
            };
            let mut workload = WorkloadReport {
                name: format!("dishonest: {}, {}", lie.name(), kind.name()),
                transactions: subject.block.len(),
                gas: subject.expected.gas(),
                sides: alternate(&sides, &subject)?,
                promises: Vec::new(),
            };
            workload.judge(targets::of_lie(&plan.workers));
            report.add(workload);
            stop(&subject.compiler);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::block::Fork;
    use rapid_evm::Compiler;

    #[test]
    fn lies_are_no_truth() {
        for fork in [Fork::Osaka, Fork::Amsterdam] {
            let block = Block::draw(ScenarioKind::Erc20, 11, 4, fork).unwrap();
            let subject = Subject::of(block, Compiler::none()).unwrap();
            for lie in Lie::ALL {
                let told = lie.tell(&subject, 4).unwrap();
                assert_ne!(told, subject.hint.told, "{lie:?}");
            }
        }
    }

    #[test]
    fn a_lie_about_one_transaction_is_about_no_other() {
        let block = Block::draw(ScenarioKind::Erc20, 11, 4, Fork::Osaka).unwrap();
        let subject = Subject::of(block, Compiler::none()).unwrap();
        let BlockHint::Advisory(lie) = Lie::Middle.tell(&subject, 4).unwrap() else {
            panic!("not a state diff");
        };
        let truth = &subject.expected.diff;
        let pairs = lie.accounts.iter().zip(&truth.accounts);
        // Sender, beneficiary, and the token, of which two slots change.
        assert_eq!(pairs.filter(|(lie, truth)| lie != truth).count(), 3);
    }
}
