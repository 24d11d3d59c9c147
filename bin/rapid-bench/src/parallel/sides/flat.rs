//! The node's sequential executor.

use super::{Run, Side, Subject};
use crate::{clock::timed_with_others, parallel::block::Block};
use eyre::eyre;
use rapid_evm::{BlockExecutor, NoBlockHashes};
use rapid_primitives::{Receipt, WriteState};
use rapid_state::Draft;
use std::fmt::Debug;

/// The transactions, on the state in place, as the sequencer's loop executes them.
#[derive(Debug)]
pub(super) struct Flat;

/// The whole block, on a draft of the state, as one from elsewhere is executed.
#[derive(Debug)]
pub(super) struct OnDraft;

impl Side for Flat {
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run> {
        let Subject { block, compiler, .. } = subject;
        let (mut executor, _) = block.begin(block.state()?.newest(), compiler)?;
        let (receipts, elapsed) = timed_with_others(|| transactions(block, &mut executor));
        subject.expected.check(&receipts?, executor.state())?;
        Ok(Run::of(elapsed))
    }
}

impl Side for OnDraft {
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run> {
        let Subject { block, compiler, .. } = subject;
        let state = block.state()?;
        let (outcome, elapsed) = timed_with_others(|| {
            let draft = Draft::begin(state.published());
            let (mut executor, _) = block.begin(draft, compiler)?;
            let receipts = transactions(block, &mut executor)?;
            executor
                .finish(None, &[])
                .map_err(|error| eyre!("end: {error}"))?;
            eyre::Ok((receipts, executor.into_state()))
        });
        let (receipts, draft) = outcome?;
        subject.expected.check(&receipts, &draft)?;
        Ok(Run::of(elapsed))
    }
}

fn transactions<S: WriteState + Debug>(
    block: &Block,
    executor: &mut BlockExecutor<S, NoBlockHashes>,
) -> eyre::Result<Vec<Receipt>> {
    let mut receipts = Vec::with_capacity(block.len());
    for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
        let executed = executor
            .execute(transaction, *sender)
            .map_err(|error| eyre!("transaction {}: {error}", receipts.len()))?;
        receipts.push(executed.receipt);
    }
    Ok(receipts)
}
