//! Bodies: transactions by themselves, sums, sizes; and the digests against the one-shot roots.

use alloy_consensus::{
    Header, SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy, TxReceipt, proofs,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, LogData, Signature, U256, b256};
use proptest::prelude::*;
use rapid_chainspec::{ChainSpec, EthereumHardfork};
use rapid_consensus::{
    BodyError, MAX_BLOCK_RLP_BYTES, Mismatch, ReceiptsDigest, ReceiptsDigester, TransactionError,
    TransactionRules, TransactionsDigester, verify_body,
};
use rapid_primitives::{BlockBody, Receipt, TransactionSigned};

use crate::chains::chain;

fn signed<T: SignableTransaction<Signature>>(transaction: T) -> TransactionSigned
where
    TransactionSigned: From<alloy_consensus::Signed<T>>,
{
    transaction
        .into_signed(Signature::new(U256::ONE, U256::ONE, false))
        .into()
}

fn legacy(gas_limit: u64, input: Bytes) -> TransactionSigned {
    signed(TxLegacy {
        gas_limit,
        input,
        ..TxLegacy::default()
    })
}

fn blobs(count: usize, version: u8) -> TransactionSigned {
    signed(TxEip4844 {
        blob_versioned_hashes: vec![B256::repeat_byte(version); count],
        ..TxEip4844::default()
    })
}

/// A header that fits the body on the dev chain (Osaka).
fn header_for(body: &BlockBody) -> Header {
    let spec = ChainSpec::dev();
    Header {
        number: 1,
        transactions_root: proofs::calculate_transaction_root(&body.transactions),
        ..spec.genesis_header().inner().clone()
    }
}

fn body_of(transactions: Vec<TransactionSigned>) -> BlockBody {
    BlockBody {
        transactions,
        withdrawals: Some(Withdrawals::default()),
        ..BlockBody::default()
    }
}

#[test]
fn types_are_refused_before_their_fork() {
    let at = |forks| TransactionRules::at(&chain(forks), 1, 1);
    let dynamic = signed(TxEip1559::default());
    let fork = EthereumHardfork::London;
    assert_eq!(
        at(8).verify(&dynamic),
        Err(TransactionError::Type { found: 2, fork })
    );
    assert_eq!(at(9).verify(&dynamic), Ok(()));
    let fork = EthereumHardfork::Cancun;
    assert_eq!(
        at(11).verify(&blobs(1, 1)),
        Err(TransactionError::Type { found: 3, fork })
    );
    assert_eq!(at(12).verify(&blobs(1, 1)), Ok(()));
    let fork = EthereumHardfork::Prague;
    let set_code = signed(TxEip7702::default());
    assert_eq!(
        at(12).verify(&set_code),
        Err(TransactionError::Type { found: 4, fork })
    );
    assert_eq!(
        at(13).verify(&set_code),
        Err(TransactionError::AuthorizationsMissing)
    );
}

/// EIP-155: a legacy transaction names its chain from Spurious Dragon on.
#[test]
fn replay_protection_starts_at_spurious_dragon() {
    let protected = signed(TxLegacy {
        chain_id: Some(9),
        ..TxLegacy::default()
    });
    let at = |forks| TransactionRules::at(&chain(forks), 1, 1);
    let (found, fork) = (9, EthereumHardfork::SpuriousDragon);
    assert_eq!(
        at(2).verify(&protected),
        Err(TransactionError::ChainId { found, fork })
    );
    assert_eq!(at(3).verify(&protected), Ok(()));
    assert_eq!(at(2).verify(&legacy(21_000, Bytes::new())), Ok(()));
}

/// EIP-2: the same signature with `s` in the upper half of the curve's order is valid in Frontier alone.
#[test]
fn signatures_are_canonical_from_homestead_on() {
    let order = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .unwrap();
    let low = Signature::new(U256::ONE, U256::from(7), false);
    let high = Signature::new(low.r(), order - low.s(), !low.v());
    let with = |signature| TransactionSigned::from(TxLegacy::default().into_signed(signature));
    let (frontier, homestead) = (
        TransactionRules::at(&chain(0), 1, 1),
        TransactionRules::at(&chain(1), 1, 1),
    );
    let sender = homestead.recover_sender(&with(low)).expect("canonical");
    assert_eq!(frontier.recover_sender(&with(low)), Ok(sender));
    assert_eq!(frontier.recover_sender(&with(high)), Ok(sender));
    let found = Box::new(high);
    assert_eq!(
        homestead.recover_sender(&with(high)),
        Err(TransactionError::Signature { found })
    );
}

/// EIP-7825: 2^24 gas from Osaka on, no cap before.
#[test]
fn gas_cap_starts_at_osaka() {
    let (at_cap, above) = (legacy(1 << 24, Bytes::new()), legacy((1 << 24) + 1, Bytes::new()));
    let (prague, osaka) = (
        TransactionRules::at(&chain(13), 1, 1),
        TransactionRules::at(&chain(14), 1, 1),
    );
    assert_eq!(prague.verify(&above), Ok(()));
    assert_eq!(osaka.verify(&at_cap), Ok(()));
    let (found, max) = ((1 << 24) + 1, 1 << 24);
    assert_eq!(
        osaka.verify(&above),
        Err(TransactionError::GasLimit { found, max })
    );
}

#[test]
fn blob_transactions() {
    let (prague, osaka) = (
        TransactionRules::at(&chain(13), 1, 1),
        TransactionRules::at(&chain(14), 1, 1),
    );
    assert_eq!(prague.verify(&blobs(9, 1)), Ok(()));
    assert_eq!(osaka.verify(&blobs(6, 1)), Ok(()));
    assert_eq!(
        osaka.verify(&blobs(7, 1)),
        Err(TransactionError::BlobCount { found: 7, max: 6 })
    );
    assert_eq!(osaka.verify(&blobs(0, 1)), Err(TransactionError::BlobsMissing));
    let found = B256::repeat_byte(2);
    assert_eq!(
        osaka.verify(&blobs(1, 2)),
        Err(TransactionError::BlobVersion { found })
    );
}

#[test]
fn blob_gas_is_the_sum_over_the_transactions() {
    let body = body_of(vec![blobs(2, 1), legacy(21_000, Bytes::new()), blobs(3, 1)]);
    let header = header_for(&body);
    let expected = 5 * 131_072;
    let error = verify_body(&ChainSpec::dev(), &header, &body).expect_err("the header says 0");
    assert_eq!(error, BodyError::BlobGasUsed(Mismatch { found: 0, expected }));
    let header = Header {
        blob_gas_used: Some(expected),
        ..header
    };
    assert_eq!(verify_body(&ChainSpec::dev(), &header, &body), Ok(()));
}

/// EIP-7934: 8 MiB of RLP, the last byte included, from Osaka on.
#[test]
fn block_size_is_bounded_from_osaka_on() {
    let spec = ChainSpec::dev();
    let block_of = |bytes: usize| body_of(vec![legacy(1, Bytes::from(vec![1; bytes]))]);
    let overhead =
        rapid_primitives::Block::rlp_length_for(&header_for(&block_of(1 << 20)), &block_of(1 << 20))
            - (1 << 20);
    // Lengths of 1 MiB and 8 MiB take three bytes each, so the overhead is the same.
    let fits = block_of(MAX_BLOCK_RLP_BYTES - overhead);
    assert_eq!(verify_body(&spec, &header_for(&fits), &fits), Ok(()));
    let large = block_of(MAX_BLOCK_RLP_BYTES - overhead + 1);
    let (found, max) = (MAX_BLOCK_RLP_BYTES + 1, MAX_BLOCK_RLP_BYTES);
    assert_eq!(
        verify_body(&spec, &header_for(&large), &large),
        Err(BodyError::Size { found, max })
    );
    assert_eq!(
        verify_body(&chain(13), &header_for(&large), &large),
        Ok(()),
        "Prague has no bound"
    );
}

#[test]
fn a_bad_transaction_is_named_by_its_index() {
    let body = body_of(vec![legacy(1, Bytes::new()), blobs(0, 1)]);
    let error = verify_body(&ChainSpec::dev(), &header_for(&body), &body).expect_err("no blobs");
    assert_eq!(
        error,
        BodyError::Transaction {
            index: 1,
            error: TransactionError::BlobsMissing
        }
    );
}

#[test]
fn withdrawals_are_present_when_their_root_is() {
    let body = body_of(Vec::new());
    let header = header_for(&body);
    let without = BlockBody {
        withdrawals: None,
        ..body.clone()
    };
    assert_eq!(
        verify_body(&ChainSpec::dev(), &header, &without),
        Err(BodyError::WithdrawalsMissing)
    );
    let header = Header {
        withdrawals_root: None,
        ..header
    };
    assert_eq!(
        verify_body(&ChainSpec::dev(), &header, &body),
        Err(BodyError::WithdrawalsUnexpected)
    );
}

fn receipt(index: u64) -> Receipt {
    let topics = vec![B256::from(U256::from(index))];
    let log = Log {
        address: Address::with_last_byte(7),
        data: LogData::new_unchecked(topics, Bytes::new()),
    };
    let logs = vec![log; usize::try_from(index % 3).expect("small")];
    Receipt {
        cumulative_gas_used: 21_000 * (index + 1),
        success: !index.is_multiple_of(5),
        logs,
        ..Receipt::default()
    }
}

/// The order of keys changes at 1, 127, 128 and 256 items.
#[test]
fn digests_equal_the_one_shot_roots_at_every_length() {
    let transactions: Vec<_> = (0..300)
        .map(|index| legacy(21_000 + index, Bytes::new()))
        .collect();
    let receipts: Vec<_> = (0..300).map(receipt).collect();
    for count in (0..6).chain(125..131).chain(254..259).chain([300]) {
        let mut digester = TransactionsDigester::default();
        transactions[..count]
            .iter()
            .for_each(|transaction| digester.push(transaction));
        assert_eq!(
            digester.finish(),
            proofs::calculate_transaction_root(&transactions[..count]),
            "{count}"
        );
        let digest = ReceiptsDigest::of(&receipts[..count]);
        assert_eq!(
            digest.root,
            Receipt::calculate_receipt_root_no_memo(&receipts[..count]),
            "{count}"
        );
    }
}

/// Block 46147 of mainnet, the first with a transaction: its receipts root holds the state root after that
/// (EIP-658), which is not the block's, as the reward comes after it.
#[test]
fn receipts_before_byzantium_hold_state_roots() {
    let receipt = Receipt {
        cumulative_gas_used: 21_000,
        success: true,
        ..Receipt::default()
    };
    let post_state = b256!("0x96a8e009d2b88b1483e6941e6812e32263b05683fac202abc622a3e31aed1957");
    let digest = ReceiptsDigest::with_post_states([(&receipt, post_state)]);
    assert_eq!(
        digest.root,
        b256!("0xfe2bf2a941abf41d72637e5b91750332a30283efd40c424dc522b77e6f0ed8c4")
    );
    assert_eq!(digest.logs_bloom, Bloom::ZERO);
    assert_ne!(digest, ReceiptsDigest::with_post_states([(&receipt, B256::ZERO)]));
    assert_ne!(digest, ReceiptsDigest::of(&[receipt]));
}

proptest! {
    #[test]
    fn receipts_digest_is_independent_of_how_it_is_fed(cuts in prop::collection::vec(0usize..40, 0..12)) {
        let mut digester = ReceiptsDigester::default();
        let mut fed = Vec::new();
        for cut in cuts {
            let known = fed.len();
            fed.extend((known..known + cut).map(|index| receipt(index as u64)));
            digester.push_all(&fed[known..]);
            // A digest so far, as a draft of the block takes it, does not disturb the digester.
            prop_assert_eq!(digester.clone().finish(), ReceiptsDigest::of(&fed));
        }
        let bloom = fed.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
        prop_assert_eq!(digester.clone().finish().logs_bloom, bloom);
        prop_assert_eq!(digester.finish().root, Receipt::calculate_receipt_root_no_memo(&fed));
    }
}
