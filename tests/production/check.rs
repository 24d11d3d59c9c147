//! The comparison of one block.

use std::{
    collections::BTreeSet,
    fmt,
    ops::{AddAssign, RangeInclusive},
};

use alloy_primitives::{B256, keccak256};
use rapid_primitives::Header;

use crate::{
    Content, Fault, Subject,
    opened::{Opened, Plain},
    outcome::Outcome,
    producer::{Given, Produced, produce},
    replay::{in_order, replay},
};

/// Workers where there is nothing for more of them to do.
const WORKERS_MIN: usize = 2;

/// Workers with which a block is made all at once, if its transactions are of several senders: once with each number, as what
/// gets in whose way is another each time.
const WORKERS: RangeInclusive<usize> = WORKERS_MIN..=4;

/// What a block made in its own order must come to.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// What its header says.
    Header(&'a Header),
    /// What a test of one transaction says.
    Roots {
        /// Root of the state after it.
        state: B256,
        /// Keccak-256 of the RLP of all logs.
        logs: B256,
    },
    /// All transactions are refused.
    Refused,
    /// Nobody knows: production and one after the other have to agree.
    Agreement,
}

/// What was done, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blocks made by workers, in both ways.
    pub produced: u64,
    /// Those of them whose transactions are of several senders, so that there is something to choose.
    pub several_senders: u64,
    /// Blocks that the sequencer does not give to workers, because they are before Shanghai.
    pub before_shanghai: u64,
    /// Blocks that it does not give to workers because their beneficiary is an empty account.
    pub empty_beneficiary: u64,
    /// Blocks made by workers that have an access list, as those from Amsterdam on.
    pub listed: u64,
    /// Transactions executed by workers.
    pub on_workers: u64,
    /// Transactions that had to run alone.
    pub alone: u64,
    /// Times that production chose another order than the block's.
    pub reordered: u64,
    /// Transactions that are not in the order that production chose, and are refused after it.
    pub refused: u64,
}

impl Checked {
    fn plain(plain: Plain) -> Self {
        match plain {
            Plain::BeforeShanghai => Self {
                before_shanghai: 1,
                ..Self::default()
            },
            Plain::EmptyBeneficiary => Self {
                empty_beneficiary: 1,
                ..Self::default()
            },
        }
    }

    fn count(&mut self, produced: &Produced) {
        self.on_workers += (produced.outcome.steps.len() - produced.alone) as u64;
        self.alone += produced.alone as u64;
    }
}

impl AddAssign for Checked {
    fn add_assign(&mut self, more: Self) {
        self.produced += more.produced;
        self.several_senders += more.several_senders;
        self.before_shanghai += more.before_shanghai;
        self.empty_beneficiary += more.empty_beneficiary;
        self.listed += more.listed;
        self.on_workers += more.on_workers;
        self.alone += more.alone;
        self.reordered += more.reordered;
        self.refused += more.refused;
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "production: {} blocks made in both ways, {} of them of several senders, {} with access lists; another order chosen {} times; {} \
             transactions executed on workers, {} alone, {} refused in the order chosen. Not given to workers, as the sequencer does not: {} blocks before Shanghai, {} with an \
             empty beneficiary",
            self.produced,
            self.several_senders,
            self.listed,
            self.reordered,
            self.on_workers,
            self.alone,
            self.refused,
            self.before_shanghai,
            self.empty_beneficiary,
        )
    }
}

/// Makes a block on a state that holds `before`, in both ways, and compares everything.
///
/// # Errors
/// [`Fault`] with what is wrong.
pub fn check(subject: &Subject<'_>, before: &Content, expected: &Expected<'_>) -> Result<Checked, Fault> {
    check_block(subject, before, expected).map(|(checked, _)| checked)
}

/// [`check`], with what the state holds after the block.
pub(crate) fn check_block(
    subject: &Subject<'_>,
    before: &Content,
    expected: &Expected<'_>,
) -> Result<(Checked, Content), Fault> {
    let count = subject.transactions.len();
    let block = Opened::new(subject, before)?;
    if let Some(plain) = block.plain() {
        let outcome = in_order(block, 0..count, 0..0)?;
        expected.verify(subject, &outcome)?;
        return Ok((Checked::plain(plain), outcome.after));
    }
    let senders: BTreeSet<_> = subject.senders.iter().collect();
    let mut checked = Checked {
        produced: 1,
        several_senders: u64::from(senders.len() > 1),
        listed: u64::from(subject.has_access_list()),
        ..Checked::default()
    };
    let in_order = produce(block, Given::OneByOne, WORKERS_MIN)?;
    same_as_replay(subject, before, &in_order.outcome)?;
    expected.verify(subject, &in_order.outcome)?;
    checked.count(&in_order);
    let tries = if senders.len() > 1 {
        WORKERS
    } else {
        WORKERS_MIN..=WORKERS_MIN
    };
    for workers in tries {
        let at_once = produce(Opened::new(subject, before)?, Given::AllAtOnce, workers)?;
        same_as_replay(subject, before, &at_once.outcome)?;
        checked.count(&at_once);
        checked.reordered += u64::from(!at_once.outcome.is_in_order(count));
        checked.refused += at_once.outcome.refused.len() as u64;
    }
    Ok((checked, in_order.outcome.after))
}

/// Fails unless executing one after the other, on a state that holds `before`, comes to the same.
pub(crate) fn same_as_replay(
    subject: &Subject<'_>,
    before: &Content,
    outcome: &Outcome,
) -> Result<(), Fault> {
    let again = replay(subject, before, outcome.order(), outcome.refused.keys().copied())?;
    outcome.equals(&again)
}

impl Expected<'_> {
    /// Fails unless the block, made in its own order, came to this.
    fn verify(&self, subject: &Subject<'_>, outcome: &Outcome) -> Result<(), Fault> {
        let count = match self {
            Self::Agreement => return Ok(()),
            Self::Refused => 0,
            Self::Header(_) | Self::Roots { .. } => subject.transactions.len(),
        };
        if !outcome.is_in_order(count) {
            return Err(Fault::Unexpected {
                what: "transactions",
                found: format!(
                    "{:?}, refused {:?}",
                    outcome.order().collect::<Vec<_>>(),
                    outcome.refused
                ),
                expected: format!("the first {count}"),
            });
        }
        match self {
            Self::Refused | Self::Agreement => Ok(()),
            Self::Header(header) => outcome.verify_header(subject, header),
            Self::Roots { state, logs } => {
                verify_root("state root", outcome.root()?, *state)?;
                let found = keccak256(alloy_rlp::encode(outcome.logs()));
                verify_root("hash of the logs", found, *logs)
            }
        }
    }
}

fn verify_root(what: &'static str, found: B256, expected: B256) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Unexpected {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}
