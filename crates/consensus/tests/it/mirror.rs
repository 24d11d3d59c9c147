//! What the builder makes, the rules accept; what the rules determine, nobody can change; what they leave free, the
//! hash covers.

use alloy_consensus::{Header, proofs::calculate_withdrawals_root};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Log, LogData, U256, keccak256};
use proptest::prelude::*;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_consensus::{
    BlockResult, ExecutionOutcome, NextBlockAttributes, ReceiptsDigest, TransactionsDigester,
    assemble_header, next_block_environment, verify_body, verify_header, verify_header_against_parent,
    verify_post_execution,
};
use rapid_primitives::{BlockBody, BlockEnvironment, Receipt};

use crate::chains::{CHAINS, chain};

const GAS_PER_BLOB: u64 = 131_072;

/// A built block with all that the rules look at.
struct Built {
    spec: ChainSpec,
    parent: Header,
    header: Header,
    body: BlockBody,
    receipts: ReceiptsDigest,
    requests: Option<Requests>,
}

impl Built {
    /// Every rule, on `header` in the place of the built one.
    fn verify(&self, header: &Header) -> Result<(), String> {
        let outcome = ExecutionOutcome {
            gas_used: self.header.gas_used,
            blob_gas_used: self.header.blob_gas_used.unwrap_or_default(),
            receipts: self.receipts,
            requests: self.requests.as_ref(),
            block_access_list_hash: None,
            block_access_list_items: 0,
            state_root: self.header.state_root,
        };
        verify_header(&self.spec, header).map_err(|error| error.to_string())?;
        verify_header_against_parent(&self.spec, header, &self.parent, self.parent.hash_slow())
            .map_err(|error| error.to_string())?;
        verify_body(&self.spec, header, &self.body).map_err(|error| error.to_string())?;
        verify_post_execution(header, &outcome).map_err(|error| error.to_string())
    }
}

/// What varies from case to case.
#[derive(Clone, Debug)]
struct Case {
    forks: usize,
    gas_limit: u64,
    gas_used_share: f64,
    base_fee: u64,
    blobs: u64,
    excess_blobs: u64,
    number: u64,
    gas_limit_target: u64,
    seconds: u64,
    withdrawals: usize,
    seed: B256,
}

fn cases() -> impl Strategy<Value = Case> {
    let parent = (
        5000u64..1 << 40,
        0.0f64..=1.0,
        0u64..1 << 60,
        0u64..=6,
        0u64..2000,
        0u64..1 << 40,
    );
    let child = (
        0..CHAINS,
        any::<u64>(),
        1u64..100_000,
        0usize..4,
        any::<[u8; 32]>(),
    );
    (parent, child).prop_map(|(parent, child)| {
        let (gas_limit, gas_used_share, base_fee, blobs, excess_blobs, number) = parent;
        let (forks, gas_limit_target, seconds, withdrawals, seed) = child;
        let seed = B256::from(seed);
        Case {
            forks,
            gas_limit,
            gas_used_share,
            base_fee,
            blobs,
            excess_blobs,
            number,
            gas_limit_target,
            seconds,
            withdrawals,
            seed,
        }
    })
}

fn parent(spec: &ChainSpec, case: &Case) -> Header {
    let cancun = spec.is_cancun_active_at_timestamp(1000);
    Header {
        number: case.number,
        timestamp: 1000,
        gas_limit: case.gas_limit,
        gas_used: (case.gas_limit as f64 * case.gas_used_share) as u64,
        difficulty: if spec.is_paris_active_at_block(0) {
            U256::ZERO
        } else {
            U256::from(1u64 << 40)
        },
        base_fee_per_gas: spec.is_london_active_at_block(0).then_some(case.base_fee),
        blob_gas_used: cancun.then_some(case.blobs * GAS_PER_BLOB),
        excess_blob_gas: cancun.then_some(case.excess_blobs * GAS_PER_BLOB),
        ..Header::default()
    }
}

fn body(spec: &ChainSpec, case: &Case) -> BlockBody {
    let withdrawals = (0..case.withdrawals as u64)
        .map(|index| Withdrawal {
            index,
            amount: index + 1,
            ..Withdrawal::default()
        })
        .collect::<Vec<_>>();
    let withdrawals = spec
        .is_shanghai_active_at_timestamp(1001)
        .then(|| withdrawals.into());
    BlockBody {
        withdrawals,
        ..BlockBody::default()
    }
}

fn build(case: &Case) -> Built {
    let spec = chain(case.forks);
    let parent = parent(&spec, case);
    let attributes = NextBlockAttributes {
        timestamp: parent.timestamp + case.seconds,
        beneficiary: Address::from_word(case.seed),
        prev_randao: case.seed,
        parent_beacon_block_root: spec.is_cancun_active_at_timestamp(1001).then_some(case.seed),
        gas_limit_target: case.gas_limit_target,
        extra_data: Bytes::from_static(b"mirror"),
        slot_number: None,
    };
    let environment: BlockEnvironment =
        next_block_environment(&spec, &parent, attributes).expect("the attributes fit the fork");
    let body = body(&spec, case);
    let receipt = Receipt {
        logs: vec![Log {
            address: Address::ZERO,
            data: LogData::new_unchecked(vec![case.seed], Bytes::new()),
        }],
        cumulative_gas_used: 21_000,
        ..Receipt::default()
    };
    let receipts = ReceiptsDigest::of(&[receipt]);
    let requests = spec
        .is_prague_active_at_timestamp(1001)
        .then(|| Requests::new(vec![Bytes::copy_from_slice(&[0x01, case.seed[0]])]));
    let result = BlockResult {
        parent_hash: parent.hash_slow(),
        state_root: keccak256(case.seed),
        transactions_root: TransactionsDigester::digest(&[]),
        receipts,
        gas_used: environment.gas_limit / 3,
        blob_gas_used: 0,
        withdrawals_root: body
            .withdrawals
            .as_ref()
            .map(|list| calculate_withdrawals_root(list)),
        requests_hash: requests.as_ref().map(Requests::requests_hash),
        block_access_list_hash: None,
    };
    let header = assemble_header(&spec, &environment, &result);
    Built {
        spec,
        parent,
        header,
        body,
        receipts,
        requests,
    }
}

/// One change of one field.
type Mutation = (&'static str, fn(&mut Header));

fn flip(hash: &mut B256) {
    hash[7] ^= 1;
}

fn toggle<T>(field: &mut Option<T>, value: T) {
    *field = if field.is_some() { None } else { Some(value) };
}

const DETERMINED: [Mutation; 29] = [
    ("parent hash", |h| flip(&mut h.parent_hash)),
    ("ommers hash", |h| flip(&mut h.ommers_hash)),
    ("state root", |h| flip(&mut h.state_root)),
    ("transactions root", |h| flip(&mut h.transactions_root)),
    ("receipts root", |h| flip(&mut h.receipts_root)),
    ("logs bloom", |h| h.logs_bloom = Bloom::repeat_byte(0x55)),
    ("difficulty", |h| h.difficulty += U256::ONE),
    ("number up", |h| h.number += 1),
    ("number down", |h| h.number -= 1),
    ("gas limit doubled", |h| h.gas_limit *= 2),
    ("gas limit halved", |h| h.gas_limit /= 2),
    ("gas limit above all", |h| h.gas_limit = u64::MAX),
    ("gas used up", |h| h.gas_used += 1),
    ("gas used above limit", |h| h.gas_used = h.gas_limit + 1),
    ("timestamp of the parent", |h| h.timestamp = 1000),
    ("extra data", |h| h.extra_data = Bytes::from(vec![0; 33])),
    ("base fee", |h| {
        h.base_fee_per_gas = Some(h.base_fee_per_gas.unwrap_or_default() + 1)
    }),
    ("base fee presence", |h| toggle(&mut h.base_fee_per_gas, 7)),
    ("withdrawals root", |h| {
        h.withdrawals_root = Some(B256::repeat_byte(3))
    }),
    ("withdrawals root presence", |h| {
        toggle(&mut h.withdrawals_root, B256::ZERO)
    }),
    ("blob gas used", |h| h.blob_gas_used = Some(GAS_PER_BLOB)),
    ("blob gas used unit", |h| h.blob_gas_used = Some(1)),
    ("blob gas used presence", |h| toggle(&mut h.blob_gas_used, 0)),
    ("excess blob gas", |h| {
        h.excess_blob_gas = Some(h.excess_blob_gas.unwrap_or_default() + 1)
    }),
    ("excess blob gas presence", |h| toggle(&mut h.excess_blob_gas, 0)),
    ("beacon root presence", |h| {
        toggle(&mut h.parent_beacon_block_root, B256::ZERO)
    }),
    ("requests hash", |h| h.requests_hash = Some(B256::repeat_byte(3))),
    ("requests hash presence", |h| {
        toggle(&mut h.requests_hash, B256::ZERO)
    }),
    ("access list hash", |h| {
        h.block_access_list_hash = Some(B256::ZERO)
    }),
];

const FREE: [Mutation; 4] = [
    ("beneficiary", |h| h.beneficiary = Address::repeat_byte(1)),
    ("extra data", |h| h.extra_data = Bytes::from_static(b"other")),
    ("mix hash", |h| flip(&mut h.mix_hash)),
    ("beacon root", |h| {
        if let Some(root) = &mut h.parent_beacon_block_root {
            flip(root);
        }
    }),
];

proptest! {
    #[test]
    fn free_fields_are_accepted_under_another_hash(case in cases()) {
        let built = build(&case);
        let hash = built.header.hash_slow();
        for (name, mutate) in FREE {
            let mut header = built.header.clone();
            mutate(&mut header);
            prop_assert_eq!(built.verify(&header), Ok(()), "{}", name);
            prop_assert_eq!(header == built.header, header.hash_slow() == hash, "{}", name);
        }
        // The difficulty before the merge follows from the timestamp.
        if built.spec.is_paris_active_at_block(built.header.number) {
            let header = Header { timestamp: built.header.timestamp + 1, ..built.header.clone() };
            prop_assert_eq!(built.verify(&header), Ok(()), "timestamp, from the merge on");
            prop_assert!(header.hash_slow() != hash);
        }
    }

    #[test]
    fn built_headers_are_accepted_and_no_determined_field_can_change(case in cases()) {
        let built = build(&case);
        prop_assert_eq!(built.verify(&built.header), Ok(()));
        for (name, mutate) in DETERMINED {
            let mut header = built.header.clone();
            mutate(&mut header);
            prop_assert!(built.verify(&header).is_err(), "{} changed and was accepted", name);
        }
        let header = Header { slot_number: Some(1), ..built.header.clone() };
        prop_assert!(built.verify(&header).is_err(), "slot number before Amsterdam");
        let header = Header { nonce: B64::repeat_byte(1), ..built.header.clone() };
        let merged = built.spec.is_paris_active_at_block(header.number);
        prop_assert_eq!(built.verify(&header).is_err(), merged, "nonce, from the merge on");
    }

    /// The gas limit reaches its target as fast as the bound allows, and stays there.
    #[test]
    fn gas_limit_moves_to_its_target(case in cases()) {
        let built = build(&case);
        let (from, to) = (built.parent.gas_limit, built.header.gas_limit);
        let target = case.gas_limit_target.clamp(5000, i64::MAX as u64);
        let step = from / 1024 - 1;
        prop_assert_eq!(from.abs_diff(to), from.abs_diff(target).min(step));
        prop_assert!(to.abs_diff(target) <= from.abs_diff(target));
    }
}
