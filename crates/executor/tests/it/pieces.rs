//! Blocks that change so much that what is left of them is worked out in pieces, by several workers.

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, U256, hex};
use rapid_executor::HintVerdict;
use rapid_primitives::{AccountChange, CodeChange};

use crate::{
    bed::{Bed, Fork, workers},
    programs::system_contracts,
};

const SENDER: Address = Address::repeat_byte(0xa0);
/// Has slots before the block.
const OLD: Address = Address::repeat_byte(0xc0);
/// Has none.
const NEW: Address = Address::repeat_byte(0xc1);
/// Is only read.
const READ: Address = Address::repeat_byte(0xc2);

/// For every slot from the first word of the input to the second: adds one to it.
const INCREMENTS: &[u8] = &hex!("6000356020355b81546001018255906001019080821060065700");
/// For every slot from the first word of the input to the second: reads it.
const READS: &[u8] = &hex!("6000356020355b815450906001019080821060065700");

fn contract(address: Address, code: &'static [u8], slots: u64) -> AccountChange {
    AccountChange {
        nonce: Some(1),
        code: Some(CodeChange::new(Bytes::from_static(code))),
        storage: (1..=slots)
            .map(|slot| (U256::from(slot), U256::from(slot)))
            .collect(),
        ..AccountChange::new(address)
    }
}

fn bed(fork: Fork) -> Bed {
    let sender = AccountChange {
        balance: Some(U256::from(1_u64 << 60)),
        ..AccountChange::new(SENDER)
    };
    let mut accounts = vec![
        sender,
        contract(OLD, INCREMENTS, 300),
        contract(NEW, INCREMENTS, 0),
        contract(READ, READS, 900),
    ];
    accounts.extend(system_contracts());
    let mut bed = Bed::new(fork, &accounts);
    bed.environment.gas_limit = 4_000_000_000;
    bed
}

fn send(bed: &mut Bed, to: Address, input: Bytes) {
    let transaction = TxLegacy {
        chain_id: Some(9),
        nonce: bed.transactions.len() as u64,
        gas_price: 7,
        gas_limit: if input.is_empty() { 300_000 } else { 16_000_000 },
        to: to.into(),
        value: U256::from(u8::from(input.is_empty())),
        input,
    };
    let signature = Signature::new(U256::ONE, U256::ONE, false);
    bed.push(transaction.into_signed(signature), SENDER);
}

fn slots(from: u64, to: u64) -> Bytes {
    let words = [from, to].map(|slot| U256::from(slot).to_be_bytes::<32>());
    words.concat().into()
}

#[test]
fn what_is_in_pieces_is_what_it_is_in_one() {
    for fork in [Fork::Cancun, Fork::Osaka, Fork::Amsterdam] {
        let mut bed = bed(fork);
        // A dozen pieces of the slots of one account, which overlap between transactions.
        for from in (1..3_000).step_by(60) {
            send(&mut bed, OLD, slots(from, from + 70));
        }
        for from in (1..700).step_by(70) {
            send(&mut bed, NEW, slots(from, from + 70));
        }
        send(&mut bed, READ, slots(1, 900));
        for index in 0..600_u64 {
            let to = Address::left_padding_from(&((index << 32) | 0xf00).to_be_bytes());
            send(&mut bed, to, Bytes::new());
        }
        let (result, ..) = bed.sequential();
        let receipts = result.expect("a valid block").receipts;
        assert!(receipts.iter().all(|receipt| receipt.success), "{fork:?}");
        let hint = bed.hint();
        for count in [1, 2, 3, 8] {
            let what = format!("{fork:?} with {count} workers");
            let verdict = bed.assert_equal(&workers(count), hint.clone(), &what);
            assert_eq!(verdict, Some(HintVerdict::Proven), "{what}");
        }
    }
}
