//! An execution that breaks a worker: nothing is said of the block, and the workers go on with the next.

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, hex};
use rapid_evm::BlockHashes;
use rapid_executor::{HintVerdict, ValidationError, validate};
use rapid_primitives::{AccountChange, CodeChange, TransactionSigned};

use crate::bed::{Bed, Fork, workers};

const SENDERS: [Address; 4] = [
    Address::repeat_byte(0xa0),
    Address::repeat_byte(0xa1),
    Address::repeat_byte(0xa2),
    Address::repeat_byte(0xa3),
];
const CONTRACT: Address = Address::repeat_byte(0xc0);

/// Whoever asks for a hash is broken.
#[derive(Debug)]
struct Breaking;

impl BlockHashes for Breaking {
    fn block_hash(&self, _: u64) -> Option<B256> {
        panic!("a hash is asked for")
    }
}

/// Calls of a contract that keeps the hash of block 0.
fn bed() -> Bed {
    let mut accounts = SENDERS
        .map(|sender| AccountChange {
            balance: Some(U256::from(1_u64 << 40)),
            ..AccountChange::new(sender)
        })
        .to_vec();
    accounts.push(AccountChange {
        nonce: Some(1),
        code: Some(CodeChange::new(Bytes::from_static(&hex!("5f405f55")))),
        ..AccountChange::new(CONTRACT)
    });
    let mut bed = Bed::new(Fork::Cancun, &accounts);
    for sender in SENDERS {
        let call = TxLegacy {
            gas_price: 10,
            gas_limit: 100_000,
            to: CONTRACT.into(),
            ..TxLegacy::default()
        };
        let signed = call.into_signed(Signature::new(U256::ONE, U256::ONE, false));
        bed.push(TransactionSigned::from(signed), sender);
    }
    bed
}

#[test]
fn a_worker_that_panics_says_nothing_of_the_block_and_works_on() {
    let bed = bed();
    for count in [1, 2, 4] {
        let workers = workers(count);
        for _ in 0..3 {
            let broken = validate(&workers, bed.input_with(&Breaking), bed.draft(), bed.hint());
            assert!(
                matches!(broken, Err(ValidationError::Panicked)),
                "{count} workers: {broken:?}"
            );
            let verdict = bed.assert_equal(&workers, bed.hint(), "the same block, unbroken");
            assert_eq!(verdict, Some(HintVerdict::Proven));
        }
    }
}
