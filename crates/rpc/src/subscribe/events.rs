//! What notifications of mini-blocks and state changes look like.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use rapid_chainspec::ChainSpec;
use rapid_primitives::{Account, AccountChange, SealedMiniBlock};
use serde::Serialize;

use crate::convert::{self, Place, RpcTransaction};

/// A `miniBlocks` notification: one per mini-block, in order, without gaps.
#[derive(Clone, Debug, Serialize)]
pub struct MiniBlockEvent {
    /// EVM block that it belongs to.
    #[serde(with = "alloy_serde::quantity")]
    pub block_number: u64,
    /// Timestamp of that block in seconds.
    #[serde(with = "alloy_serde::quantity")]
    pub block_timestamp: u64,
    /// Position inside the EVM block, from 0.
    #[serde(with = "alloy_serde::quantity")]
    pub index: u64,
    /// Number from genesis.
    #[serde(with = "alloy_serde::quantity")]
    pub mini_block_number: u64,
    /// When it was made, in microseconds since the epoch.
    #[serde(with = "alloy_serde::quantity")]
    pub mini_block_timestamp: u64,
    /// Gas of this mini-block alone.
    #[serde(with = "alloy_serde::quantity")]
    pub gas_used: u64,
    /// Its transactions.
    pub transactions: Vec<RpcTransaction>,
    /// Their receipts.
    pub receipts: Vec<TransactionReceipt>,
}

impl MiniBlockEvent {
    /// The event of a mini-block.
    #[must_use]
    pub fn new(mini_block: &SealedMiniBlock, spec: &ChainSpec) -> Self {
        let (header, body) = (mini_block.header(), mini_block.body());
        let run = body.transactions.iter().zip(body.senders.iter().copied());
        let gas_after = body
            .receipts
            .last()
            .map_or(header.position.gas_used, |last| last.cumulative_gas_used);
        Self {
            block_number: header.environment.number,
            block_timestamp: header.environment.timestamp,
            index: header.position.mini_block_index.into(),
            mini_block_number: header.number.0,
            mini_block_timestamp: header.time_us,
            gas_used: gas_after - header.position.gas_used,
            transactions: convert::transactions(run, Place::first_of_mini_block(mini_block)),
            receipts: convert::mini_block_receipts(mini_block, spec),
        }
    }
}

/// A `stateChanges` notification: one per account and mini-block that changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateChangeEvent {
    /// The account.
    pub address: Address,
    /// Its nonce; a number, not a quantity.
    pub nonce: u64,
    /// Its balance in wei.
    pub balance: U256,
    /// Slots that changed, with their new values.
    pub storage: BTreeMap<B256, U256>,
}

impl StateChangeEvent {
    /// The event of a change. `newest` is the account as it is now, for the fields that the change leaves out.
    #[must_use]
    pub fn new(change: &AccountChange, newest: Account) -> Self {
        let after = change.apply_to(Some(newest)).unwrap_or_default();
        Self {
            address: change.address,
            nonce: after.nonce,
            balance: after.balance,
            storage: change
                .storage
                .iter()
                .map(|(slot, value)| (B256::from(*slot), *value))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rapid_primitives::Fate;

    use super::*;

    #[test]
    fn a_state_change_has_the_fields_of_the_dialect() {
        let change = AccountChange {
            nonce: Some(7),
            storage: vec![(U256::from(1), U256::from(255))],
            ..AccountChange::new(Address::repeat_byte(1))
        };
        let newest = Account {
            balance: U256::from(16),
            ..Account::default()
        };
        let json = serde_json::to_value(StateChangeEvent::new(&change, newest)).unwrap();
        assert_eq!(json["nonce"], 7);
        assert_eq!(json["balance"], "0x10");
        assert_eq!(json["storage"][B256::with_last_byte(1).to_string()], "0xff");
    }

    #[test]
    fn a_removed_account_is_empty() {
        let change = AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(Address::ZERO)
        };
        let newest = Account {
            nonce: 3,
            balance: U256::from(5),
            ..Account::default()
        };
        let event = StateChangeEvent::new(&change, newest);
        assert_eq!((event.nonce, event.balance), (0, U256::ZERO));
    }
}
