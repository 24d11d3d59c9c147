//! From bytes to transactions: what is refused, and recovering many at once.

use std::num::NonZeroUsize;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, Signature, U256, uint};
use alloy_signer::SignerSync;
use proptest::prelude::*;
use rapid_pool::{DecodeLimits, PoolError, RECOVERY_CHUNK, Recovery, RecoveryConfig, decode_and_recover};
use rapid_primitives::TransactionSigned;

use crate::support::{CHAIN_ID, GWEI, Spec, address, config, key, legacy, sign};

const CURVE_ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

fn refusal(raw: &[u8]) -> PoolError {
    decode_and_recover(raw, &config().decode_limits()).expect_err("refused")
}

#[test]
fn decodes_what_was_signed() {
    let raw = Spec::nonce(5).sign(key(0));
    let transaction = decode_and_recover(&raw, &config().decode_limits()).unwrap();
    assert_eq!(transaction.sender(), address(0));
    assert_eq!(transaction.nonce(), 5);
    assert_eq!(transaction.encoded(), &raw);
    assert_eq!(transaction.encoded_len(), raw.len());
    assert_eq!(transaction.hash(), alloy_primitives::keccak256(&raw));
    assert_eq!((transaction.fee_cap(), transaction.tip_cap()), (100 * GWEI, GWEI));
    assert_eq!(transaction.cost(), U256::from(21_000 * 100 * GWEI));
}

#[test]
fn legacy_may_name_no_chain() {
    for chain_id in [None, Some(CHAIN_ID)] {
        let raw = sign(legacy(0, GWEI, chain_id), key(1));
        assert_eq!(
            decode_and_recover(&raw, &config().decode_limits())
                .unwrap()
                .sender(),
            address(1)
        );
    }
}

#[test]
fn refuses_what_is_no_transaction() {
    let raw = Spec::default().sign(key(0));
    assert_eq!(refusal(&[]), PoolError::Empty);
    assert_eq!(refusal(&[0xc0]), PoolError::Undecodable);
    assert_eq!(refusal(&raw[..raw.len() - 1]), PoolError::Undecodable);
    assert_eq!(refusal(&[raw.as_ref(), &[0]].concat()), PoolError::Undecodable);
    assert_eq!(refusal(&[0x05, 0xc0]), PoolError::Undecodable);
    assert_eq!(refusal(&[0x03, 0xf8, 0x70]), PoolError::TypeNotSupported);
    assert_eq!(
        refusal(
            &Spec {
                chain_id: 1,
                ..Spec::default()
            }
            .sign(key(0))
        ),
        PoolError::InvalidChainId
    );
    for error in [
        PoolError::Empty,
        PoolError::Undecodable,
        PoolError::InvalidSignature,
    ] {
        assert_eq!(error.code(), -32602);
    }
}

#[test]
fn refuses_oversized_before_decoding() {
    let size = 131_073;
    assert_eq!(
        refusal(&vec![0x02; size]),
        PoolError::Oversized { size, limit: 131_072 }
    );
    // At the limit the bytes are looked at.
    assert_eq!(refusal(&vec![0x02; size - 1]), PoolError::Undecodable);
}

#[test]
fn refuses_the_upper_half_of_s_and_unrecoverable_signatures() {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        ..TxEip1559::default()
    };
    let good = key(0).sign_hash_sync(&transaction.signature_hash()).unwrap();
    let mirrored = Signature::new(good.r(), CURVE_ORDER - good.s(), !good.v());
    let nobody = Signature::new(U256::ZERO, U256::ZERO, false);
    for signature in [mirrored, nobody] {
        let raw = TransactionSigned::from(transaction.clone().into_signed(signature)).encoded_2718();
        assert_eq!(refusal(&raw), PoolError::InvalidSignature);
    }
}

proptest! {
    /// Whatever decodes is its own canonical encoding, so the bytes can stand in for the transaction.
    #[test]
    fn mutated_bytes_decode_to_themselves_or_not_at_all(at in 0usize..120, byte: u8, cut in 0usize..4) {
        let mut raw = Spec::nonce(3).sign(key(2)).to_vec();
        let at = at % raw.len();
        raw[at] = byte;
        raw.truncate(raw.len() - cut);
        if let Ok(transaction) = decode_and_recover(&raw, &config().decode_limits()) {
            prop_assert_eq!(transaction.transaction().encoded_2718(), raw);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_and_recover(&raw, &config().decode_limits());
    }
}

fn recovery(workers: usize, queue_max: usize) -> Recovery {
    let limits = DecodeLimits {
        chain_id: CHAIN_ID,
        bytes_max: 131_072,
    };
    let workers = NonZeroUsize::new(workers).expect("at least one");
    Recovery::start(RecoveryConfig {
        workers,
        queue_max,
        limits,
    })
    .expect("threads")
}

#[test]
fn batches_keep_order_and_single_refusals() {
    let recovery = recovery(3, 65_536);
    let good: Vec<Bytes> = (0..16)
        .map(|index| Spec::nonce(index as u64).sign(key(index)))
        .collect();
    for count in [0, 1, RECOVERY_CHUNK, RECOVERY_CHUNK + 1, 10 * RECOVERY_CHUNK + 7] {
        let raw: Vec<Bytes> = (0..count)
            .map(|index| {
                if index % 13 == 5 {
                    Bytes::from_static(&[0xc0])
                } else {
                    good[index % 16].clone()
                }
            })
            .collect();
        let results = recovery.recover_batch(raw).unwrap();
        assert_eq!(results.len(), count);
        for (index, result) in results.iter().enumerate() {
            match result {
                Ok(transaction) => {
                    assert_ne!(index % 13, 5);
                    assert_eq!(transaction.sender(), address(index % 16));
                }
                Err(error) => assert_eq!((index % 13, error), (5, &PoolError::Undecodable)),
            }
        }
        assert_eq!(recovery.queued(), 0);
    }
}

#[test]
fn many_callers_share_the_workers() {
    let recovery = recovery(2, 65_536);
    let raw: Vec<Bytes> = (0..100)
        .map(|index| Spec::nonce(index as u64).sign(key(index % 16)))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let results = recovery.recover_batch(raw.clone()).unwrap();
                assert!(
                    results
                        .iter()
                        .enumerate()
                        .all(|(index, r)| r.as_ref().unwrap().nonce() == index as u64)
                );
            });
        }
    });
}

#[test]
fn a_batch_that_does_not_fit_is_refused_whole() {
    let recovery = recovery(1, 2);
    let raw = Spec::default().sign(key(0));
    let busy = recovery
        .recover_batch(vec![raw.clone(); 3])
        .expect_err("three do not fit two");
    assert_eq!((busy.clone(), busy.code()), (PoolError::Busy, -32000));
    assert_eq!(recovery.recover_batch(vec![raw; 2]).unwrap().len(), 2);
}
