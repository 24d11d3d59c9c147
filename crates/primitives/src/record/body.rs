//! The body of a record: receipts are in it without their blooms.

use alloy_eip7928::{AccountChanges, SlotChanges, StorageChange};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Log};
use alloy_rlp::RlpDecodable;

use super::backwards::BackwardsRlp;
use crate::{AmsterdamDelta, MiniBlockBody, Receipt, StateDiff, TransactionSigned};

/// Writes a body before what is already written. Gives the bytes of its transactions' EIP-2718 encodings together.
pub(super) fn write(body: &MiniBlockBody, rlp: &mut BackwardsRlp) -> usize {
    let mut transaction_bytes = 0;
    rlp.list(|rlp| {
        if let Some(amsterdam) = &body.amsterdam {
            rlp.encodable(amsterdam);
        }
        write_diff(&body.diff, rlp);
        rlp.items(&body.receipts, write_receipt);
        rlp.items(&body.senders, |rlp, sender| rlp.string(sender.as_slice()));
        let mut encoded = Vec::new();
        rlp.items(&body.transactions, |rlp, transaction| {
            encoded.clear();
            transaction.encode_2718(&mut encoded);
            transaction_bytes += encoded.len();
            match transaction.is_legacy() {
                true => rlp.raw(&encoded),
                false => rlp.string(&encoded),
            }
        });
    });
    transaction_bytes
}

/// `[type, success, cumulative gas used, logs]`
fn write_receipt(rlp: &mut BackwardsRlp, receipt: &Receipt) {
    rlp.list(|rlp| {
        rlp.items(&receipt.logs, write_log);
        rlp.number(receipt.cumulative_gas_used);
        rlp.number(u64::from(receipt.success));
        rlp.number(u64::from(u8::from(receipt.tx_type)));
    });
}

fn write_log(rlp: &mut BackwardsRlp, log: &Log) {
    rlp.list(|rlp| {
        rlp.string(&log.data.data);
        rlp.items(log.data.topics(), |rlp, topic| rlp.string(topic.as_slice()));
        rlp.string(log.address.as_slice());
    });
}

/// As its derived encoding is.
fn write_diff(diff: &StateDiff, rlp: &mut BackwardsRlp) {
    rlp.list(|rlp| {
        rlp.items(&diff.fates, |rlp, fate| rlp.encodable(fate));
        rlp.items(&diff.accounts, write_account);
    });
}

/// As EIP-7928 has it.
fn write_account(rlp: &mut BackwardsRlp, account: &AccountChanges) {
    rlp.list(|rlp| {
        rlp.items(&account.code_changes, |rlp, change| {
            rlp.list(|rlp| {
                rlp.string(&change.new_code);
                rlp.number(change.block_access_index.get());
            });
        });
        rlp.items(&account.nonce_changes, |rlp, change| {
            rlp.list(|rlp| {
                rlp.number(change.new_nonce);
                rlp.number(change.block_access_index.get());
            });
        });
        rlp.items(&account.balance_changes, |rlp, change| {
            rlp.list(|rlp| {
                rlp.word(&change.post_balance);
                rlp.number(change.block_access_index.get());
            });
        });
        rlp.items(&account.storage_reads, BackwardsRlp::word);
        rlp.items(&account.storage_changes, write_slot);
        rlp.string(account.address.as_slice());
    });
}

fn write_slot(rlp: &mut BackwardsRlp, slot: &SlotChanges) {
    rlp.list(|rlp| {
        rlp.items(&slot.changes, |rlp, change: &StorageChange| {
            rlp.list(|rlp| {
                rlp.word(&change.new_value);
                rlp.number(change.block_access_index.get());
            });
        });
        rlp.word(&slot.slot);
    });
}

#[derive(RlpDecodable)]
pub(super) struct ReceiptOwned {
    tx_type: u8,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

impl TryFrom<ReceiptOwned> for Receipt {
    type Error = alloy_rlp::Error;

    fn try_from(receipt: ReceiptOwned) -> alloy_rlp::Result<Self> {
        Ok(Self {
            tx_type: receipt
                .tx_type
                .try_into()
                .map_err(|_| alloy_rlp::Error::Custom("unknown transaction type"))?,
            success: receipt.success,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs,
        })
    }
}

/// The last field came with Amsterdam, too.
#[derive(RlpDecodable)]
#[rlp(trailing(no_gaps))]
pub(super) struct BodyOwned {
    pub(super) transactions: Vec<TransactionSigned>,
    pub(super) senders: Vec<Address>,
    pub(super) receipts: Vec<ReceiptOwned>,
    pub(super) diff: StateDiff,
    pub(super) amsterdam: Option<AmsterdamDelta>,
}

impl TryFrom<BodyOwned> for MiniBlockBody {
    type Error = alloy_rlp::Error;

    fn try_from(body: BodyOwned) -> alloy_rlp::Result<Self> {
        let receipts = body
            .receipts
            .into_iter()
            .map(Receipt::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            transactions: body.transactions,
            senders: body.senders,
            receipts,
            diff: body.diff,
            amsterdam: body.amsterdam,
        })
    }
}
