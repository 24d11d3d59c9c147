//! Execution in a given order, one transaction after the other: what production is compared with.

use std::collections::BTreeMap;

use crate::{
    Content, Fault, Subject,
    opened::Opened,
    outcome::{Outcome, Step, sorted},
};

/// Executes transactions in this order on a state that holds `before`, then tries those that are to be refused.
///
/// A transaction that is refused in its turn, or is not where it must be, makes an outcome that differs.
pub(crate) fn replay(
    subject: &Subject<'_>,
    before: &Content,
    order: impl Iterator<Item = usize>,
    refused: impl Iterator<Item = usize>,
) -> Result<Outcome, Fault> {
    in_order(Opened::new(subject, before)?, order, refused)
}

/// [`replay`] in a block that was opened.
pub(crate) fn in_order(
    mut block: Opened<'_>,
    order: impl Iterator<Item = usize>,
    refused: impl Iterator<Item = usize>,
) -> Result<Outcome, Fault> {
    let mut steps = Vec::new();
    let mut reasons = BTreeMap::new();
    for index in order.chain(refused) {
        let (transaction, sender) = (&block.subject.transactions[index], block.subject.senders[index]);
        match block.executor.execute(transaction, sender) {
            Ok(executed) => steps.push(Step {
                index,
                receipt: executed.receipt,
                changes: sorted(executed.changes),
            }),
            Err(error) => {
                reasons.insert(index, error.to_string());
            }
        }
    }
    block.close(steps, reasons)
}
