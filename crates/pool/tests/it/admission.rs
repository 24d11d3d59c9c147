//! Each admission rule, with the message and code a client sees.

use alloy_consensus::{TxEip2930, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rapid_pool::{HeadInfo, Limit, Origin, Pool, PoolConfig, PoolError};
use rapid_primitives::Account;
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};

use crate::support::{
    Accounts, Bench, CHAIN_ID, ETHER, GWEI, Spec, TRANSFER_COST, address, config, decode, delegation, head,
    key, legacy, sign,
};

/// Submits one transaction to an empty pool.
fn submit(config: PoolConfig, head: &HeadInfo, origin: Origin, spec: &Spec) -> Result<B256, PoolError> {
    Pool::new(config, head).submit(origin, spec.by(0), &Accounts::default(), head)
}

fn refusal(spec: &Spec) -> (i32, String) {
    let error = submit(config(), &head(), Origin::External, spec).expect_err("refused");
    (error.code(), error.to_string())
}

fn create(input: Bytes, gas: u64) -> Spec {
    Spec {
        to: TxKind::Create,
        input,
        gas,
        ..Spec::default()
    }
}

#[test]
fn admits_every_type_it_should() {
    let bench = Bench::new(config());
    let access_list = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_price: GWEI,
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        value: U256::ZERO,
        access_list: Default::default(),
        input: Bytes::new(),
    };
    bench
        .submit(decode(&sign(legacy(0, GWEI, Some(CHAIN_ID)), key(0))))
        .unwrap();
    bench.submit(decode(&sign(access_list, key(1)))).unwrap();
    bench.submit(Spec::default().by(2)).unwrap();
    bench.submit(delegation(0, 3, &[4])).unwrap();
    assert_eq!(bench.pool.status().pending, 4);
}

#[test]
fn types_wait_for_their_fork() {
    for (spec, admitted) in [(SpecId::BERLIN, false), (SpecId::LONDON, true)] {
        let head = HeadInfo { spec, ..head() };
        let result = submit(config(), &head, Origin::External, &Spec::default());
        assert_eq!(result.is_ok(), admitted, "{result:?}");
        if let Err(error) = result {
            assert_eq!(
                (error.code(), error.to_string().as_str()),
                (-32003, "transaction type not supported")
            );
        }
    }
    let cancun = HeadInfo {
        spec: SpecId::CANCUN,
        ..head()
    };
    let pool = Pool::new(config(), &cancun);
    let result = pool.submit(
        Origin::External,
        delegation(0, 0, &[1]),
        &Accounts::default(),
        &cancun,
    );
    assert_eq!(result, Err(PoolError::TypeNotSupported));
}

#[test]
fn shape_rules() {
    let text = |message: &str| message.to_owned();
    assert_eq!(
        refusal(&Spec::nonce(u64::MAX)),
        (-32003, text("nonce has max value"))
    );
    assert_eq!(
        refusal(&Spec {
            tip: 2,
            fee_cap: 1,
            ..Spec::default()
        }),
        (
            -32003,
            text("max priority fee per gas higher than max fee per gas")
        )
    );
    assert_eq!(
        refusal(&Spec {
            gas: 30_000_001,
            ..Spec::default()
        }),
        (-32000, text("exceeds block gas limit"))
    );
    assert_eq!(
        refusal(&Spec {
            fee_cap: 6,
            tip: 0,
            ..Spec::default()
        }),
        (-32000, text("transaction underpriced"))
    );
    assert!(
        submit(
            config(),
            &head(),
            Origin::External,
            &Spec {
                fee_cap: 7,
                tip: 0,
                ..Spec::default()
            }
        )
        .is_ok()
    );
    // The chain is checked again at admission, since decoding may have been against another configuration.
    let other = PoolConfig::new(CHAIN_ID + 1);
    let error = submit(other, &head(), Origin::External, &Spec::default()).expect_err("another chain");
    assert_eq!(
        (error.code(), error.to_string()),
        (-32000, text("invalid chain ID"))
    );
    let small = PoolConfig {
        transaction_bytes_max: 100,
        ..config()
    };
    let error = submit(small, &head(), Origin::External, &Spec::default()).expect_err("too large");
    assert_eq!(error.code(), -32000);
    assert!(
        error
            .to_string()
            .starts_with("oversized data: transaction size 1"),
        "{error}"
    );
    assert!(error.to_string().ends_with(", limit 100"), "{error}");
}

#[test]
fn initcode_is_limited_from_shanghai() {
    let initcode = |len: usize| create(vec![0; len].into(), 5_000_000);
    assert!(submit(config(), &head(), Origin::External, &initcode(49_152)).is_ok());
    assert_eq!(
        refusal(&initcode(49_153)),
        (-32003, "max initcode size exceeded".to_owned())
    );
    let paris = HeadInfo {
        spec: SpecId::MERGE,
        ..head()
    };
    assert!(submit(config(), &paris, Origin::External, &initcode(49_153)).is_ok());
}

#[test]
fn gas_must_cover_intrinsic_and_floor() {
    let low = (-32000, "intrinsic gas too low".to_owned());
    assert_eq!(
        refusal(&Spec {
            gas: 20_999,
            ..Spec::default()
        }),
        low
    );
    assert_eq!(refusal(&create(Bytes::new(), 52_999)), low);
    assert!(submit(config(), &head(), Origin::External, &create(Bytes::new(), 53_000)).is_ok());
    // 100 non-zero bytes: 1,600 by EIP-2028, 4,000 by the floor of EIP-7623, which counts from Prague.
    let data = |gas| Spec {
        input: vec![1; 100].into(),
        gas,
        ..Spec::default()
    };
    assert_eq!(refusal(&data(24_999)), low);
    assert!(submit(config(), &head(), Origin::External, &data(25_000)).is_ok());
    let cancun = HeadInfo {
        spec: SpecId::CANCUN,
        ..head()
    };
    assert!(submit(config(), &cancun, Origin::External, &data(22_600)).is_ok());
    assert_eq!(
        submit(config(), &cancun, Origin::External, &data(22_599)),
        Err(PoolError::IntrinsicGasTooLow)
    );
}

#[test]
fn gas_caps() {
    let at = |gas| Spec {
        gas,
        fee_cap: GWEI,
        ..Spec::default()
    };
    let osaka = HeadInfo {
        spec: SpecId::OSAKA,
        ..head()
    };
    assert!(submit(config(), &osaka, Origin::External, &at(16_777_216)).is_ok());
    let error = submit(config(), &osaka, Origin::External, &at(16_777_217)).expect_err("above the cap");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32003, "gas limit too high")
    );
    assert!(submit(config(), &head(), Origin::External, &at(16_777_217)).is_ok());
    let capped = PoolConfig {
        transaction_gas_max: Some(50_000),
        ..config()
    };
    let error = submit(capped, &head(), Origin::External, &at(50_001)).expect_err("above the operator's cap");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32000, "max transaction gas limit exceeded")
    );
}

#[test]
fn fee_cap_binds_local_and_tip_floor_binds_external() {
    // 10 million gas at 101 gwei is 1.01 ether.
    let dear = Spec {
        gas: 10_000_000,
        fee_cap: 101 * GWEI,
        ..Spec::default()
    };
    let error = submit(config(), &head(), Origin::Local, &dear).expect_err("above one ether");
    assert_eq!(error.code(), -32000);
    assert_eq!(
        error.to_string(),
        "tx fee (1010000000000000000 wei) exceeds the configured cap (1000000000000000000 wei)"
    );
    assert!(submit(config(), &head(), Origin::External, &dear).is_ok());
    assert!(
        submit(
            PoolConfig {
                local_fee_cap: 0,
                ..config()
            },
            &head(),
            Origin::Local,
            &dear
        )
        .is_ok()
    );
    assert!(
        submit(
            PoolConfig {
                no_local_exemptions: true,
                ..config()
            },
            &head(),
            Origin::Local,
            &dear
        )
        .is_ok()
    );

    let floor = PoolConfig {
        minimum_priority_fee: Some(2 * GWEI),
        ..config()
    };
    let error =
        submit(floor.clone(), &head(), Origin::External, &Spec::default()).expect_err("tip of one gwei");
    assert_eq!(error, PoolError::TipBelowMinimum { minimum: 2 * GWEI });
    assert_eq!(error.code(), -32000);
    assert!(submit(floor.clone(), &head(), Origin::Local, &Spec::default()).is_ok());
    let mut named = floor;
    named.local_addresses.insert(address(0));
    assert!(submit(named, &head(), Origin::External, &Spec::default()).is_ok());
}

#[test]
fn account_rules() {
    let mut bench = Bench::new(config());
    bench.accounts = Accounts::with(0, 3, TRANSFER_COST);
    let error = bench.submit(Spec::nonce(2).by(0)).expect_err("used");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32000, "nonce too low: next nonce 3, tx nonce 2")
    );
    let over = Spec {
        value: U256::from(1),
        ..Spec::nonce(3)
    };
    let error = bench.submit(over.by(0)).expect_err("one wei short");
    assert_eq!(error.code(), -32003);
    assert_eq!(
        error.to_string(),
        format!(
            "insufficient funds for gas * price + value: have {TRANSFER_COST} want {}",
            TRANSFER_COST + 1
        )
    );
    assert!(bench.submit(Spec::nonce(3).by(0)).is_ok());
    let error = bench.submit(Spec::nonce(3).by(0)).expect_err("twice");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32000, "already known")
    );
}

/// An account of the first key with this code.
fn with_code(code: Bytecode) -> Accounts {
    let hash = code.hash_slow();
    let mut accounts = Accounts::default();
    let account = Account {
        balance: U256::from(ETHER),
        code_hash: hash,
        nonce: 0,
    };
    accounts.accounts.insert(address(0), account);
    accounts.codes.insert(hash, code);
    accounts
}

#[test]
fn contracts_do_not_send() {
    let mut bench = Bench::new(config());
    bench.accounts = with_code(Bytecode::new_legacy(Bytes::from_static(&[0x60, 0x00])));
    let error = bench.submit(Spec::default().by(0)).expect_err("EIP-3607");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32003, "sender is not an EOA")
    );
}

#[test]
fn delegated_accounts_have_one_in_flight_and_no_gap() {
    let mut bench = Bench::new(config());
    bench.accounts = with_code(Bytecode::new_eip7702(Address::repeat_byte(0xcc)));
    let error = bench.submit(Spec::nonce(1).by(0)).expect_err("a gap");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32000, "gapped-nonce tx from delegated accounts")
    );
    bench.submit(Spec::nonce(0).by(0)).unwrap();
    let error = bench.submit(Spec::nonce(1).by(0)).expect_err("one is in flight");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (
            -32000,
            "in-flight transaction limit reached for delegated accounts"
        )
    );
    bench
        .submit(
            Spec {
                tip: 2 * GWEI,
                fee_cap: 200 * GWEI,
                ..Spec::nonce(0)
            }
            .by(0),
        )
        .expect("a replacement");
    let popped = bench.drain();
    bench.publish(&popped);
    bench
        .submit(Spec::nonce(1).by(0))
        .expect("the first is published");
}

#[test]
fn authorities_and_their_transactions_exclude_each_other() {
    let mut bench = Bench::new(config());
    bench.submit(Spec::default().by(1)).unwrap();
    let error = bench
        .submit(delegation(0, 0, &[1]))
        .expect_err("the authority has a transaction");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32000, "authority already reserved")
    );
    // The refusal left no reservation behind.
    bench.submit(Spec::nonce(1).by(1)).unwrap();

    bench.submit(delegation(0, 0, &[2])).unwrap();
    bench.submit(Spec::nonce(0).by(2)).expect("one is allowed");
    assert_eq!(
        bench.submit(Spec::nonce(1).by(2)),
        Err(PoolError::DelegatedInFlightLimit)
    );
    assert_eq!(bench.submit(Spec::nonce(1).by(3)).err(), None);
    // Once the delegation is published (and changed no account here), the authority is free again.
    let popped = bench.drain();
    bench.publish(&popped);
    bench.submit(Spec::nonce(1).by(2)).unwrap();
    bench.submit(Spec::nonce(2).by(2)).unwrap();
}

#[test]
fn a_type_4_transaction_needs_authorisations() {
    let bench = Bench::new(config());
    let error = bench.submit(delegation(0, 0, &[])).expect_err("an empty list");
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (-32000, "no items in authorization list for EIP7702 transaction")
    );
}

#[test]
fn replacement_needs_the_bump_on_cap_and_tip() {
    let bench = Bench::new(config());
    bench
        .submit(
            Spec {
                tip: 10,
                fee_cap: 1001,
                ..Spec::default()
            }
            .by(0),
        )
        .unwrap();
    for (tip, fee_cap) in [(11, 1101), (10, 1102), (100, 1101)] {
        let error = bench
            .submit(
                Spec {
                    tip,
                    fee_cap,
                    ..Spec::default()
                }
                .by(0),
            )
            .expect_err("too little");
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (-32000, "replacement transaction underpriced")
        );
    }
    bench
        .submit(
            Spec {
                tip: 11,
                fee_cap: 1102,
                ..Spec::default()
            }
            .by(0),
        )
        .unwrap();
    // Without a tip on one side only the cap counts; a legacy transaction names none.
    bench
        .submit(decode(&sign(
            TxLegacy {
                gas_price: 1213,
                ..legacy(0, 0, Some(CHAIN_ID))
            },
            key(0),
        )))
        .unwrap();
    assert_eq!(bench.pool.status().pending, 1);
    let content = bench.pool.content_of(&address(0));
    assert_eq!(content.pending.len(), 1);
    assert_eq!(content.pending[0].fee_cap(), 1213);
}

#[test]
fn no_room_is_reported_alike() {
    for limit in [Limit::Lane, Limit::BaseFee, Limit::Queued, Limit::Sender] {
        let error = PoolError::Full(limit);
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (-32003, "txpool is full")
        );
    }
    assert_eq!(PoolError::StateUnavailable("gone".to_owned()).code(), -32603);
}
