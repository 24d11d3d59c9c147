//! Records survive their encoding, and nothing else is taken for a record; a diff collapses to what the changes did.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod access;

use std::collections::BTreeMap;

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy, TxType};
use alloy_eip7928::AccountChanges;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, TxKind, U256};
use proptest::prelude::*;
use rapid_primitives::{
    Account, AccountChange, AmsterdamClose, BlockClose, CodeChange, DiffBuilder, Fate, Header, MiniBlock,
    MiniBlockBody, MiniBlockNumber, ProofOfWorkSeal, Receipt, RecordError, SealedMiniBlock, StateDiff,
    TransactionSigned,
};

fn transaction(nonce: u64, typed: bool) -> TransactionSigned {
    let signature = Signature::new(U256::from(nonce + 1), U256::from(7), nonce.is_multiple_of(2));
    if typed {
        let tx = TxEip1559 {
            nonce,
            gas_limit: 21_000,
            to: TxKind::Call(Address::repeat_byte(3)),
            ..Default::default()
        };
        TransactionSigned::Eip1559(tx.into_signed(signature))
    } else {
        let tx = TxLegacy {
            chain_id: Some(1),
            nonce,
            input: Bytes::from(vec![9; 40]),
            ..Default::default()
        };
        TransactionSigned::Legacy(tx.into_signed(signature))
    }
}

fn receipt(gas: u64, logs: usize) -> Receipt {
    let log = Log {
        address: Address::repeat_byte(5),
        data: LogData::new_unchecked(vec![B256::repeat_byte(1)], vec![1, 2].into()),
    };
    Receipt {
        tx_type: TxType::Eip1559,
        success: gas.is_multiple_of(2),
        cumulative_gas_used: gas,
        logs: vec![log; logs],
    }
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Kept), 1 => Just(Fate::Wiped), 1 => Just(Fate::Removed)]
}

prop_compose! {
    fn change()(
        account in 0u8..6,
        fate in fates(),
        nonce in proptest::option::of(1u64..9),
        balance in proptest::option::of(1u64..9),
        code in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..4)),
        storage in proptest::collection::btree_map(0u64..5, 0u64..4, 0..4),
    ) -> AccountChange {
        let mut change = AccountChange::new(Address::repeat_byte(account));
        change.fate = fate;
        if fate == Fate::Removed {
            return change;
        }
        let whole = fate == Fate::Wiped;
        // Execution never leaves storage on an account that does not exist.
        change.nonce = nonce.or(Some(1));
        change.balance = balance.or(whole.then_some(0)).map(U256::from);
        change.code = code.map(Bytes::from).or(whole.then(Bytes::new)).map(CodeChange::new);
        change.storage = storage.into_iter().map(|(slot, value)| (U256::from(slot), U256::from(value))).collect();
        change
    }
}

/// Changes of several transactions, each touching an account at most once.
fn changes_by_transaction() -> impl Strategy<Value = Vec<Vec<AccountChange>>> {
    proptest::collection::vec(proptest::collection::vec(change(), 0..5), 0..8).prop_map(|transactions| {
        transactions
            .into_iter()
            .map(|changes| {
                changes
                    .into_iter()
                    .map(|c| (c.address, c))
                    .collect::<BTreeMap<_, _>>()
                    .into_values()
                    .collect()
            })
            .collect()
    })
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<Address, (Account, BTreeMap<U256, U256>)>);

impl Model {
    fn apply(&mut self, change: &AccountChange) {
        let (before, mut storage) = match self.0.remove(&change.address) {
            Some((account, storage)) => (Some(account), storage),
            None => (None, BTreeMap::new()),
        };
        let Some(after) = change.apply_to(before) else {
            return;
        };
        if change.clears_storage() {
            storage.clear();
        }
        for (slot, value) in &change.storage {
            if value.is_zero() {
                storage.remove(slot)
            } else {
                storage.insert(*slot, *value)
            };
        }
        self.0.insert(change.address, (after, storage));
    }
}

proptest! {
    #[test]
    fn a_collapsed_diff_does_what_its_changes_did(
        before in changes_by_transaction(),
        transactions in changes_by_transaction(),
    ) {
        let mut expected = Model::default();
        before.iter().flatten().for_each(|change| expected.apply(change));
        let mut collapsed = expected.clone();

        let mut builder = DiffBuilder::new();
        for (index, changes) in transactions.iter().enumerate() {
            changes.iter().for_each(|change| expected.apply(change));
            builder.push(u32::try_from(index).unwrap(), changes);
        }
        let diff = builder.finish();
        prop_assert!(is_in_order(&diff), "{diff:?}");
        diff.collapse().iter().for_each(|change| collapsed.apply(change));

        prop_assert_eq!(collapsed, expected);
    }

    #[test]
    fn a_record_survives_its_encoding(
        transactions in changes_by_transaction(),
        number in 1u64..,
        parent in proptest::option::of(any::<[u8; 32]>()),
        closes in any::<bool>(),
    ) {
        let sealed = sample(number, parent, closes, &transactions).seal();
        let decoded = SealedMiniBlock::decode(sealed.bytes().clone()).unwrap();
        prop_assert_eq!(decoded, sealed);
    }

    #[test]
    fn a_changed_byte_never_decodes_to_the_same_record(position in any::<prop::sample::Index>(), flip in 1u8..) {
        let sealed = sample(7, None, true, &[vec![AccountChange { nonce: Some(1), ..AccountChange::new(Address::ZERO) }]]).seal();
        let mut bytes = sealed.bytes().to_vec();
        let position = position.index(bytes.len());
        bytes[position] ^= flip;
        if let Ok(other) = SealedMiniBlock::decode(bytes.into()) {
            prop_assert_ne!(other.hash(), sealed.hash());
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SealedMiniBlock::decode(bytes.into()).is_err());
    }
}

/// As EIP-7928 asks, without anything that is there twice or says nothing.
fn is_in_order(diff: &StateDiff) -> bool {
    let rises = |indices: Vec<u64>| indices.is_sorted_by(|one, next| one < next);
    let account_is = |account: &AccountChanges| {
        let slots = &account.storage_changes;
        let writes = slots.iter().map(|slot| {
            slot.changes
                .iter()
                .map(|change| change.block_access_index.get())
                .collect()
        });
        let balances = account
            .balance_changes
            .iter()
            .map(|change| change.block_access_index.get());
        let nonces = account
            .nonce_changes
            .iter()
            .map(|change| change.block_access_index.get());
        let codes = account
            .code_changes
            .iter()
            .map(|change| change.block_access_index.get());
        account.has_changes()
            && slots.is_sorted_by(|one, next| one.slot < next.slot)
            && slots.iter().all(|slot| !slot.changes.is_empty())
            && writes
                .chain([balances.collect(), nonces.collect(), codes.collect()])
                .all(rises)
    };
    diff.accounts.is_sorted_by(|one, next| one.address < next.address)
        && diff.accounts.iter().all(account_is)
        && diff.fates.is_sorted_by_key(|fate| (fate.index, fate.address))
}

fn sample(number: u64, parent: Option<[u8; 32]>, closes: bool, changes: &[Vec<AccountChange>]) -> MiniBlock {
    let mut builder = DiffBuilder::new();
    for (index, changes) in changes.iter().enumerate() {
        builder.push(u32::try_from(index).unwrap(), changes);
    }
    let transactions: Vec<_> = (0..changes.len() as u64)
        .map(|nonce| transaction(nonce, nonce % 2 == 0))
        .collect();
    let mut mini_block = MiniBlock::default();
    mini_block.header.number = MiniBlockNumber(number);
    mini_block.header.time_us = number;
    mini_block.header.environment.base_fee_per_gas = number.is_multiple_of(2).then_some(number);
    mini_block.header.environment.excess_blob_gas = Some(0);
    mini_block.header.block_parent_hash = parent.map(B256::from);
    mini_block.header.close = closes.then(|| BlockClose {
        withdrawals: Some(vec![Withdrawal {
            index: 1,
            validator_index: 2,
            address: Address::ZERO,
            amount: 3,
        }]),
        requests: Some(Default::default()),
        proof_of_work: number.is_multiple_of(3).then(|| ProofOfWorkSeal {
            ommers: vec![Header::default()],
            ..ProofOfWorkSeal::default()
        }),
        amsterdam: number.is_multiple_of(5).then(|| AmsterdamClose {
            gas_used: number,
            block_access_list_hash: B256::repeat_byte(5),
        }),
    });
    // Zero is a slot, too.
    mini_block.header.environment.slot_number = number.is_multiple_of(5).then_some(number % 10);
    mini_block.body = MiniBlockBody {
        senders: vec![Address::repeat_byte(8); transactions.len()],
        receipts: (0..transactions.len())
            .map(|i| receipt(i as u64 * 21_000, i % 3))
            .collect(),
        transactions,
        diff: builder.finish(),
        amsterdam: None,
    };
    mini_block
}

#[test]
fn an_account_removed_and_funded_again_starts_from_zero() {
    let address = Address::repeat_byte(1);
    let mut builder = DiffBuilder::new();
    builder.push(
        1,
        &[AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(address)
        }],
    );
    builder.push(
        2,
        &[AccountChange {
            balance: Some(U256::from(5)),
            ..AccountChange::new(address)
        }],
    );

    let changes = builder.finish().collapse();

    let before = Account {
        nonce: 9,
        balance: U256::from(1),
        code_hash: B256::repeat_byte(2),
    };
    let after = changes[0].apply_to(Some(before));
    assert_eq!(
        after,
        Some(Account {
            balance: U256::from(5),
            ..Account::default()
        })
    );
    assert!(changes[0].clears_storage());
}

#[test]
fn a_body_of_another_record_is_refused() {
    let first = sample(1, None, false, &[]).seal();
    let second = sample(1, None, false, &[vec![]]).seal();
    let header = alloy_rlp::encode(first.header());
    let body = &second.bytes()[second.bytes().len() - body_length(&second)..];
    let mut bytes = Vec::new();
    alloy_rlp::Header {
        list: true,
        payload_length: header.len() + body.len(),
    }
    .encode(&mut bytes);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(body);

    assert!(matches!(
        SealedMiniBlock::decode(bytes.into()),
        Err(RecordError::BodyHash { .. })
    ));
}

fn body_length(sealed: &SealedMiniBlock) -> usize {
    let mut buf = sealed.bytes().as_ref();
    let payload = alloy_rlp::Header::decode(&mut buf).unwrap().payload_length;
    payload - alloy_rlp::encode(sealed.header()).len()
}
