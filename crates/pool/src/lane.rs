//! Lanes: which transactions go first under load, and who decides it.

use std::time::Duration;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, map::AddressHashMap};

use crate::PooledTransaction;

/// Number of lanes.
pub const LANES: usize = 5;

/// Longest ageing bound. A lane that is due waits for the transaction that runs and, should all be due at once, for one of
/// each other lane: a fifth of a second each where a transaction has as much gas as one may (EIP-7825). So no lane with
/// something waits longer than two seconds, whatever runs above it.
pub const AGEING_MAX: Duration = Duration::from_secs(1);

/// A priority class, highest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The operator's own: by configuration only.
    System,
    /// Named senders or targets (an oracle, a liquidation bot): by configuration only.
    Critical,
    /// A tip of at least [`LaneConfig::paid_tip_min`].
    Paid,
    /// Everything else.
    #[default]
    Normal,
    /// Named senders or targets that may wait (airdrops, spam sources): by configuration only.
    Bulk,
}

impl Lane {
    /// All lanes, highest first.
    pub const ALL: [Self; LANES] = [Self::System, Self::Critical, Self::Paid, Self::Normal, Self::Bulk];

    /// Position in [`Lane::ALL`]; smaller is served first.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The value of the `lane` label of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Critical => "critical",
            Self::Paid => "paid",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// How transactions are sorted into lanes, and what the lower lanes are guaranteed.
///
/// The first rule that matches decides: sender, then target, then tip. A named sender or target wins over the tip, so
/// a `Bulk` contract cannot buy its way up.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// Lane by sender.
    pub senders: AddressHashMap<Lane>,
    /// Lane by recipient.
    pub targets: AddressHashMap<Lane>,
    /// Tip cap in wei per gas from which a transaction is `Paid`; `None` (the default) leaves that lane empty.
    pub paid_tip_min: Option<u128>,
    /// How many pops in a row may pass over a lane that has something before it is served once: as `1 / (n + 1)`, the
    /// reserved share of the lane while the lanes above it are saturated. The entry of the highest lane is unused. Values
    /// below 1 count as 1.
    pub passed_over_max: [u32; LANES],
    /// How long a lane may have something and not be served before it is served once, whatever the counts say: few
    /// transactions that take long are many pops' time. The entry of the highest lane is unused. Values above
    /// [`AGEING_MAX`] count as that.
    pub ageing: [Duration; LANES],
}

impl Default for LaneConfig {
    /// No named accounts, no paid lane; shares of 1/4, 1/8, 1/16 and 1/32 from `Critical` to `Bulk`; ageing within a second.
    fn default() -> Self {
        Self {
            senders: AddressHashMap::default(),
            targets: AddressHashMap::default(),
            paid_tip_min: None,
            passed_over_max: [0, 3, 7, 15, 31],
            ageing: [AGEING_MAX; LANES],
        }
    }
}

impl LaneConfig {
    /// The lane of a transaction, by its sender, target or tip cap.
    #[must_use]
    pub fn classify(&self, transaction: &PooledTransaction) -> Lane {
        self.lane_of_accounts(transaction.sender(), transaction.transaction().to())
            .unwrap_or_else(|| match self.paid_tip_min {
                Some(min) if transaction.tip_cap() >= min => Lane::Paid,
                _ => Lane::Normal,
            })
    }

    /// How long the lane may have something and not be served.
    pub(crate) fn ageing(&self, lane: Lane) -> Duration {
        self.ageing[lane.index()].min(AGEING_MAX)
    }

    fn lane_of_accounts(&self, sender: Address, target: Option<Address>) -> Option<Lane> {
        self.senders
            .get(&sender)
            .or_else(|| self.targets.get(&target?))
            .copied()
    }
}
