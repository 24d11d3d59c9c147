//! Plain transfers, which enter no EVM, at all their edges.

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, U256, hex};
use rapid_executor::HintVerdict;
use rapid_primitives::{AccountChange, CodeChange, Fate, TransactionSigned};

use crate::{
    bed::{BENEFICIARY, Bed, Fork, workers},
    dice::Dice,
    random::seeds,
};

const RICH: [Address; 3] = [
    Address::repeat_byte(0xa0),
    Address::repeat_byte(0xa1),
    Address::repeat_byte(0xa2),
];
const CONTRACT: Address = Address::repeat_byte(0xc0);
const EMPTY: Address = Address::repeat_byte(0xe0);
/// Has as much as there can be.
const FULL: Address = Address::repeat_byte(0xf0);
const FORKS: [Fork; 3] = [Fork::London, Fork::Cancun, Fork::Osaka];

fn legacy(nonce: u64, gas_price: u128, gas_limit: u64, to: Address, value: U256) -> TransactionSigned {
    let transaction = TxLegacy {
        chain_id: gas_limit.is_multiple_of(2).then_some(9),
        nonce,
        gas_price,
        gas_limit,
        to: to.into(),
        value,
        ..TxLegacy::default()
    };
    transaction
        .into_signed(Signature::new(U256::ONE, U256::ONE, false))
        .into()
}

fn bed(fork: Fork, beneficiary_is_empty: bool) -> Bed {
    let with_balance = |address, balance| AccountChange {
        balance: Some(balance),
        ..AccountChange::new(address)
    };
    let mut accounts: Vec<_> = RICH
        .map(|rich| with_balance(rich, U256::from(1_u64 << 40)))
        .to_vec();
    accounts.push(with_balance(FULL, U256::MAX));
    accounts.push(AccountChange {
        nonce: Some(1),
        // Stores what it is sent.
        code: Some(CodeChange::new(Bytes::from_static(&hex!("34600055")))),
        ..AccountChange::new(CONTRACT)
    });
    let empty = |address| AccountChange {
        fate: Fate::CreatedEmpty,
        ..AccountChange::new(address)
    };
    accounts.push(empty(EMPTY));
    if beneficiary_is_empty {
        accounts.push(empty(BENEFICIARY));
    }
    Bed::new(fork, &accounts)
}

#[test]
fn transfers_are_what_the_evm_makes_of_them() {
    let workers = workers(2);
    let (mut valid, mut invalid) = (0, 0);
    for seed in seeds(200) {
        for fork in FORKS {
            let mut dice = Dice::new(seed);
            let mut bed = bed(fork, dice.one_in(3));
            let mut nonces = [0; 3];
            for _ in 0..12 {
                let sender = dice.below(3) as usize;
                let nonce = nonces[sender] + u64::from(dice.one_in(300));
                nonces[sender] += 1;
                let to = dice.of(&[
                    RICH[0],
                    RICH[1],
                    RICH[2],
                    BENEFICIARY,
                    CONTRACT,
                    EMPTY,
                    Address::repeat_byte(0x77),
                    Address::with_last_byte(3),
                    Address::with_last_byte(0x11),
                ]);
                // Nobody else holds as much as there can be, but the sum must not be asked for.
                let to = if dice.one_in(150) { FULL } else { to };
                let value = U256::from(dice.of(&[0_u64, 0, 1, 1000, 1 << 38]));
                let gas_limit = dice.of(&[21_000, 21_001, 50_000, 50_000, 90_000]);
                let gas_limit = if to == CONTRACT {
                    gas_limit.max(50_000)
                } else {
                    gas_limit
                };
                let transaction = if dice.one_in(2) {
                    legacy(nonce, 7 + u128::from(dice.below(3)), gas_limit, to, value)
                } else {
                    let tip = u128::from(dice.below(3));
                    let transaction = TxEip1559 {
                        chain_id: if dice.one_in(300) { 8 } else { 9 },
                        nonce,
                        gas_limit,
                        max_fee_per_gas: 7 + u128::from(dice.below(4)) + u128::from(!dice.one_in(200)) * tip,
                        max_priority_fee_per_gas: tip,
                        to: to.into(),
                        value,
                        ..TxEip1559::default()
                    };
                    transaction
                        .into_signed(Signature::new(U256::ONE, U256::ONE, false))
                        .into()
                };
                bed.push(transaction, RICH[sender]);
            }
            let what = format!("seed {seed} of {fork:?}");
            match bed.assert_equal(&workers, bed.hint(), &what) {
                Some(verdict) => {
                    assert_eq!(verdict, HintVerdict::Proven, "{what}");
                    valid += 1;
                }
                None => invalid += 1,
            }
        }
    }
    assert!(invalid > 0 && valid > invalid, "{valid} valid, {invalid} invalid");
}
