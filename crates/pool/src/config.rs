//! Every bound of the pool, by name, with its default.

use std::time::Duration;

use alloy_primitives::{Address, map::AddressHashSet};
use rapid_primitives::MemoryPressureCell;

use crate::{DecodeLimits, LaneConfig, Origin, lane::LANES};

/// One ether in wei.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// The limit of one sub-pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubPoolLimit {
    /// Transactions.
    pub count_max: usize,
    /// Bytes of their encodings.
    pub bytes_max: usize,
}

impl Default for SubPoolLimit {
    /// 10,000 transactions and 20 MiB, as in reth.
    fn default() -> Self {
        Self {
            count_max: 10_000,
            bytes_max: 20 * 1024 * 1024,
        }
    }
}

/// Bounds and rules of the pool. Defaults are those of reth's `--txpool.*` flags where it has one.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Chain id that transactions must be signed for (a legacy transaction may name none).
    pub chain_id: u64,
    /// Limit of **each lane** (`--txpool.pending-max-count`, `-size`): executable transactions, including those
    /// dispatched and not yet published. One limit per lane, so that a full lane takes no room from another. When
    /// full, the newest is refused.
    pub pending: SubPoolLimit,
    /// Limit of the transactions that wait for a lower base fee (`--txpool.basefee-max-count`, `-size`). When full,
    /// the newest is refused; one that is demoted by a rising base fee while it is full waits as queued.
    pub base_fee: SubPoolLimit,
    /// Limit of the transactions that wait for a nonce or for balance (`--txpool.queued-max-count`, `-size`). When
    /// full, the newest is refused; demotions always find room, since what is demoted was counted in a lane.
    pub queued: SubPoolLimit,
    /// Transactions of one sender (`--txpool.max-account-slots`); the next nonce always passes.
    pub account_slots_max: usize,
    /// The same for local senders, which reth leaves to the limit of the sub-pool.
    pub local_account_slots_max: usize,
    /// Transactions of one delegated account, or of one with a pending authorisation.
    pub delegated_slots_max: usize,
    /// Percent by which a replacement must outbid (`--txpool.pricebump`).
    pub price_bump_percent: u128,
    /// Least fee cap in wei per gas (`--txpool.minimal-protocol-fee`).
    pub minimal_protocol_fee: u128,
    /// Least tip of dynamic-fee transactions that are not local (`--txpool.minimum-priority-fee`); `None` is none.
    pub minimum_priority_fee: Option<u128>,
    /// Most that a local transaction may offer in fees, in wei (`--rpc.txfeecap`); 0 is no cap.
    pub local_fee_cap: u128,
    /// Cap of one transaction's gas set by the operator (`--txpool.max-tx-gas`); `None` is none.
    pub transaction_gas_max: Option<u64>,
    /// Most bytes of one encoded transaction (`--txpool.max-tx-input-bytes`).
    pub transaction_bytes_max: usize,
    /// Local transactions have no privileges (`--txpool.nolocals`).
    pub no_local_exemptions: bool,
    /// Senders that are local wherever their transactions come from (`--txpool.locals`).
    pub local_addresses: AddressHashSet,
    /// Age at which a transaction that cannot be executed is dropped (`--txpool.lifetime`); local ones stay.
    pub queued_lifetime: Duration,
    /// Length of a pending-transaction subscriber's buffer (`--txpool.max-pending-txns`). A subscriber that lags
    /// further loses the oldest.
    pub pending_feed_len: usize,
    /// Entries of each lane's lock-free ready queue. What does not fit waits in arrival order beside it.
    pub ready_queue_len: usize,
    /// Senders without transactions whose account is remembered, over all shards. Remembering keeps a submission
    /// that read the state just before its predecessor was published from being taken for one with a nonce gap.
    /// When full, the one that has been without transactions longest is forgotten.
    pub idle_senders_max: usize,
    /// How long such a sender is remembered.
    pub idle_sender_retention: Duration,
    /// Lanes.
    pub lanes: LaneConfig,
    /// How near the process is to its memory limit, stored by who watches it. At [`Soft`] creations outside the lanes
    /// `System` and `Critical` and the whole lane `Bulk` are refused, at [`Hard`] everything is.
    ///
    /// [`Soft`]: rapid_primitives::MemoryPressure::Soft
    /// [`Hard`]: rapid_primitives::MemoryPressure::Hard
    pub memory: MemoryPressureCell,
}

impl PoolConfig {
    /// The defaults for a chain.
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        Self {
            chain_id,
            pending: SubPoolLimit::default(),
            base_fee: SubPoolLimit::default(),
            queued: SubPoolLimit::default(),
            account_slots_max: 16,
            local_account_slots_max: 10_000,
            delegated_slots_max: 1,
            price_bump_percent: 10,
            minimal_protocol_fee: 7,
            minimum_priority_fee: None,
            local_fee_cap: ETHER,
            transaction_gas_max: None,
            transaction_bytes_max: 131_072,
            no_local_exemptions: false,
            local_addresses: AddressHashSet::default(),
            queued_lifetime: Duration::from_secs(3 * 60 * 60),
            pending_feed_len: 2_048,
            ready_queue_len: 4_096,
            idle_senders_max: 65_536,
            idle_sender_retention: Duration::from_secs(10),
            lanes: LaneConfig::default(),
            memory: MemoryPressureCell::default(),
        }
    }

    /// Bytes of encodings that all sub-pools may hold together.
    #[must_use]
    pub const fn bytes_max(&self) -> usize {
        LANES * self.pending.bytes_max + self.base_fee.bytes_max + self.queued.bytes_max
    }

    /// What a transaction is decoded against.
    #[must_use]
    pub const fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits {
            chain_id: self.chain_id,
            bytes_max: self.transaction_bytes_max,
        }
    }

    /// Whether the transactions of `sender` that come from `origin` have the privileges of local ones.
    #[must_use]
    pub fn is_local(&self, origin: Origin, sender: &Address) -> bool {
        !self.no_local_exemptions && (origin == Origin::Local || self.local_addresses.contains(sender))
    }

    /// Transactions that one sender may have in the pool.
    pub(crate) const fn slots_max(&self, local: bool) -> usize {
        if local {
            self.local_account_slots_max
        } else {
            self.account_slots_max
        }
    }
}
