//! What a mini-block touched survives its record, whatever its diff says, and the mini-blocks of a block make its list.

use std::collections::BTreeMap;

use alloy_eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange, SlotChanges,
    StorageChange, validate_block_access_list,
};
use alloy_primitives::{Address, Bytes, U256};
use proptest::prelude::*;
use rapid_primitives::{
    AccessDelta, AccessDeltaError, AccessListMerger, AmsterdamDelta, MiniBlock, RecordError, SealedMiniBlock,
    StateDiff,
};

/// What happened to a key at some indices; nothing if it was only read.
type Changes = BTreeMap<u64, u64>;

/// What the diff says of an account that is in the list.
#[derive(Clone, Copy, Debug)]
enum Said {
    Same,
    More,
    Nothing,
}

fn changes() -> impl Strategy<Value = Changes> {
    prop_oneof![
        2 => Just(Changes::new()),
        3 => proptest::collection::btree_map(0u64..6, 0u64..9, 0..4),
    ]
}

prop_compose! {
    fn account()(
        slots in proptest::collection::btree_map(0u64..6, changes(), 0..5),
        balances in changes(),
        nonces in changes(),
        codes in changes(),
    ) -> AccountChanges {
        let at = BlockAccessIndex::new;
        let mut account = AccountChanges::default();
        for (slot, changes) in slots {
            match changes.is_empty() {
                true => account.storage_reads.push(U256::from(slot)),
                false => account.storage_changes.push(SlotChanges::new(
                    U256::from(slot),
                    changes.into_iter().map(|(index, value)| StorageChange::new(at(index), U256::from(value))).collect(),
                )),
            }
        }
        account.balance_changes = balances.into_iter().map(|(index, value)| BalanceChange::new(at(index), U256::from(value))).collect();
        account.nonce_changes = nonces.into_iter().map(|(index, value)| NonceChange::new(at(index), value)).collect();
        account.code_changes = codes.into_iter().map(|(index, value)| CodeChange::new(at(index), Bytes::from(vec![1; value as usize]))).collect();
        account
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![6 => Just(Said::Same), 1 => Just(Said::More), 1 => Just(Said::Nothing)]
}

/// A list and a diff of the same mini-block, which differ as far as they may.
fn list_and_diff() -> impl Strategy<Value = (BlockAccessList, StateDiff)> {
    proptest::collection::btree_map(0u8..8, (account(), said()), 0..6).prop_map(|accounts| {
        let mut diff = StateDiff::default();
        let list = accounts.into_iter().map(|(number, (mut account, said))| {
            account.address = Address::repeat_byte(number);
            let mut of_diff = AccountChanges {
                storage_reads: Vec::new(),
                ..account.clone()
            };
            match said {
                Said::Same => {}
                Said::More => of_diff
                    .balance_changes
                    .push(BalanceChange::new(BlockAccessIndex::new(7), U256::ONE)),
                Said::Nothing => return account,
            }
            diff.accounts.extend(of_diff.has_changes().then_some(of_diff));
            account
        });
        let list = list.collect();
        (list, diff)
    })
}

fn record(delta: AccessDelta, diff: StateDiff) -> SealedMiniBlock {
    let mut mini_block = MiniBlock::default();
    mini_block.body.diff = diff;
    mini_block.body.amsterdam = Some(AmsterdamDelta {
        execution_gas: 5,
        state_gas: 0,
        accesses: delta,
    });
    mini_block.seal()
}

/// What each change is a change of, by index: as a list has it, but for its order.
fn merged<'a>(lists: impl Iterator<Item = &'a BlockAccessList>) -> BlockAccessList {
    let mut merger = AccessListMerger::default();
    lists.for_each(|list| merger.push(list.clone()));
    merger.finish()
}

proptest! {
    #[test]
    fn a_list_is_what_its_diff_and_its_delta_say((list, diff) in list_and_diff()) {
        let delta = AccessDelta::new(list.clone(), &diff);
        prop_assert_eq!(&delta.list(&diff), &list);
        let sealed = record(delta, diff);
        let decoded = SealedMiniBlock::decode(sealed.bytes().clone()).unwrap();
        prop_assert_eq!(decoded.body().access_list(), Some(list));
        prop_assert_eq!(decoded, sealed);
    }

    #[test]
    fn a_delta_of_another_diff_is_refused_or_says_something_valid(
        (list, diff) in list_and_diff(),
        (_, other) in list_and_diff(),
    ) {
        let sealed = record(AccessDelta::new(list, &diff), other);
        match SealedMiniBlock::decode(sealed.bytes().clone()) {
            Ok(decoded) => {
                let list = decoded.body().access_list().unwrap();
                prop_assert_eq!(validate_block_access_list(&list, 10), Ok(()));
            }
            Err(RecordError::Accesses(_)) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    /// Split by index, as mini-blocks are, a list comes together again.
    #[test]
    fn the_lists_of_its_mini_blocks_are_the_list_of_a_block((list, _) in list_and_diff(), late in 0u64..6) {
        let part = |of: &dyn Fn(BlockAccessIndex) -> bool| -> BlockAccessList {
            let mut part = list.clone();
            for account in &mut part {
                account.balance_changes.retain(|change| of(change.block_access_index));
                account.nonce_changes.retain(|change| of(change.block_access_index));
                account.code_changes.retain(|change| of(change.block_access_index));
                for slot in std::mem::take(&mut account.storage_changes) {
                    let mut changes = slot.changes;
                    changes.retain(|change| of(change.block_access_index));
                    match changes.is_empty() {
                        true => account.storage_reads.push(slot.slot),
                        false => account.storage_changes.push(SlotChanges::new(slot.slot, changes)),
                    }
                }
                account.storage_reads.sort_unstable();
            }
            part
        };
        // What has index 0 may come late.
        let first = part(&|index| (1..=2).contains(&index.get()));
        let second = part(&|index| index.get() > 2 && index.get() <= late.max(2) || index.get() == 0);
        let third = part(&|index| index.get() > late.max(2));
        prop_assert_eq!(merged([first, second, third].iter()), list);
    }
}

fn reads(slots: &[u64]) -> AccountChanges {
    AccountChanges {
        storage_reads: slots.iter().map(|slot| U256::from(*slot)).collect(),
        ..AccountChanges::new(Address::repeat_byte(1))
    }
}

#[test]
fn what_is_out_of_order_is_refused() {
    let refused = |list: Vec<AccountChanges>, diff: StateDiff| {
        let delta = AccessDelta::new(list, &StateDiff::default());
        let sealed = record(delta, diff);
        match SealedMiniBlock::decode(sealed.bytes().clone()) {
            Err(RecordError::Accesses(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let address = Address::repeat_byte(1);
    let order = AccessDeltaError::Order(address);
    assert_eq!(refused(vec![reads(&[2, 1])], StateDiff::default()), order);
    assert_eq!(refused(vec![reads(&[1, 1])], StateDiff::default()), order);
    assert_eq!(
        refused(vec![reads(&[]), reads(&[1])], StateDiff::default()),
        order
    );
    let changed = AccountChanges {
        storage_changes: vec![SlotChanges::new(
            U256::ONE,
            vec![StorageChange::new(BlockAccessIndex::new(1), U256::ONE)],
        )],
        ..AccountChanges::new(address)
    };
    let diff = |account: &AccountChanges| StateDiff {
        accounts: vec![account.clone()],
        fates: Vec::new(),
    };
    let both = AccessDeltaError::ReadAndChanged(address);
    assert_eq!(refused(vec![reads(&[1])], diff(&changed)), both);
    let redundant = AccessDeltaError::Redundant(address);
    assert_eq!(refused(vec![reads(&[])], diff(&changed)), redundant);
    assert_eq!(refused(vec![changed.clone()], diff(&changed)), redundant);
    assert_eq!(
        refused(vec![], diff(&reads(&[1]))),
        AccessDeltaError::Diff(address)
    );
    let twice = AccountChanges {
        balance_changes: vec![BalanceChange::new(BlockAccessIndex::new(1), U256::ONE); 2],
        ..AccountChanges::new(address)
    };
    assert_eq!(refused(vec![twice], StateDiff::default()), order);
}
