//! Transactions that no node may take: each gets reth's code and words, on every way in, and changes nothing.

use crate::{
    process::Node,
    rpc::{RpcClient, RpcError, parse_quantity},
    wallet::{Action, CHAIN_ID, Wallet},
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A node whose open block stays open, so that nothing changes unless a transaction changes it.
const STILL: [&str; 4] = ["--dev.block-time", "1h", "--http.api", "eth,txpool"];

/// How long the pool may take to notice what was included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Undecodable bytes and bad signatures.
const INVALID_PARAMS: i64 = -32602;
/// The node's rules and the sender's account.
const INVALID_INPUT: i64 = -32000;
/// Never valid on this chain.
const REJECTED: i64 = -32003;
/// EIP-7966: the fee is too low for now, or a nonce is missing; the transaction is not in the pool.
const NOT_READY: i64 = 5;
const NONCE_GAP: i64 = 6;

/// Order of secp256k1.
const CURVE_ORDER: U256 = U256::from_be_bytes(alloy_primitives::hex!(
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
));

/// Gas limit of the blocks of the real-time chain, and EIP-7825's cap of one transaction.
const BLOCK_GAS_LIMIT: u64 = 10_000_000_000;
const TRANSACTION_GAS_CAP: u64 = 1 << 24;

/// EIP-3860's limit in bytes.
const MAX_INITCODE_SIZE: usize = 49_152;

/// Largest encoded transaction in bytes.
const TRANSACTION_BYTES_MAX: usize = 131_072;

/// A transaction and the refusal it must get.
struct Case {
    name: &'static str,
    raw: Bytes,
    code: i64,
    /// Part of the message.
    words: &'static str,
    /// The code of a synchronous send where it asks first whether the transaction could run now.
    sync_code: Option<i64>,
}

impl Case {
    fn new(name: &'static str, raw: impl Into<Bytes>, code: i64, words: &'static str) -> Self {
        Self {
            name,
            raw: raw.into(),
            code,
            words,
            sync_code: None,
        }
    }

    fn with_sync_code(self, code: i64) -> Self {
        Self {
            sync_code: Some(code),
            ..self
        }
    }
}

/// Who sends, and what a good transaction of theirs is.
struct Sender {
    wallet: Wallet,
    nonce: u64,
}

impl Sender {
    /// A transaction that the node takes.
    fn good(&self) -> TxEip1559 {
        TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 2_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(Address::with_last_byte(0x77)),
            value: U256::from(1),
            ..Default::default()
        }
    }

    /// The good one after a change, signed.
    fn but(&self, change: impl FnOnce(&mut TxEip1559)) -> Bytes {
        let mut transaction = self.good();
        change(&mut transaction);
        self.wallet.seal(transaction)
    }

    /// The good one with a signature made from its own.
    fn signed_as(&self, change: impl FnOnce(Signature) -> Signature) -> Bytes {
        let transaction = self.good();
        let signature = self.wallet.signature(transaction.signature_hash());
        TxEnvelope::Eip1559(transaction.into_signed(change(signature)))
            .encoded_2718()
            .into()
    }
}

/// No transaction of any chain.
fn not_transactions(sender: &Sender) -> Vec<Case> {
    let good = sender.but(|_| ());
    let mut trailing = good.to_vec();
    trailing.push(0);
    let truncated = good[..good.len() - 1].to_vec();
    let mut unknown_type = good.to_vec();
    unknown_type[0] = 5;
    // A field with a leading zero: the same transaction to a lenient reader, and another hash.
    let mut not_canonical = good.to_vec();
    let chain_id = CHAIN_ID.to_be_bytes();
    let chain_id = &chain_id[chain_id.iter().position(|byte| *byte != 0).unwrap()..];
    let at = good
        .windows(chain_id.len())
        .position(|bytes| bytes == chain_id)
        .unwrap();
    not_canonical[at - 1] += 1;
    not_canonical.insert(at, 0);
    not_canonical[2] += 1;
    let undecodable =
        |name, raw: Vec<u8>| Case::new(name, raw, INVALID_PARAMS, "failed to decode signed transaction");
    vec![
        Case::new("empty", Bytes::new(), INVALID_PARAMS, "empty transaction data"),
        undecodable("noise", vec![0xde, 0xad, 0xbe, 0xef]),
        undecodable("empty list of type 2", vec![2, 0xc0]),
        undecodable(
            "list that claims 2^56 bytes",
            [&[2, 0xff][..], &[0xff; 40]].concat(),
        ),
        undecodable("lists in lists", [&[2][..], &[0xc1; 60_000]].concat()),
        undecodable("trailing byte", trailing),
        undecodable("truncated", truncated),
        undecodable("unknown type", unknown_type),
        undecodable("not canonical", not_canonical),
    ]
}

/// Signatures that are none, or not the sender's for this chain.
fn badly_signed(sender: &Sender) -> Vec<Case> {
    let bad = |name, raw| Case::new(name, raw, INVALID_PARAMS, "invalid transaction signature");
    vec![
        bad(
            "high s",
            sender.signed_as(|good| Signature::new(good.r(), CURVE_ORDER - good.s(), !good.v())),
        ),
        bad(
            "zero signature",
            sender.signed_as(|_| Signature::new(U256::ZERO, U256::ZERO, false)),
        ),
        bad(
            "r beyond the curve",
            sender.signed_as(|good| Signature::new(U256::MAX, good.s(), good.v())),
        ),
        Case::new(
            "wrong chain",
            sender.but(|tx| tx.chain_id = 1),
            INVALID_INPUT,
            "invalid chain ID",
        ),
        Case::new(
            "wrong chain, legacy",
            sender.wallet.seal(TxLegacy {
                chain_id: Some(1),
                nonce: sender.nonce,
                gas_price: 2_000_000_000,
                gas_limit: 21_000,
                to: TxKind::Call(Address::with_last_byte(0x77)),
                ..Default::default()
            }),
            INVALID_INPUT,
            "invalid chain ID",
        ),
    ]
}

/// Fees and gas.
fn badly_priced(sender: &Sender) -> Vec<Case> {
    let refused = |name, raw, words| Case::new(name, raw, INVALID_INPUT, words);
    vec![
        refused(
            "fee cap below 7 wei",
            sender.but(|tx| (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (6, 0)),
            "transaction underpriced",
        )
        .with_sync_code(NOT_READY),
        refused(
            "fee above one ether",
            sender.but(|tx| tx.max_fee_per_gas = 10u128.pow(18)),
            "exceeds the configured cap",
        ),
        Case::new(
            "tip above the fee cap",
            sender.but(|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1),
            REJECTED,
            "max priority fee per gas higher than max fee per gas",
        ),
        refused(
            "gas above the block's",
            sender.but(|tx| tx.gas_limit = BLOCK_GAS_LIMIT + 1),
            "exceeds block gas limit",
        ),
        Case::new(
            "gas above EIP-7825's cap",
            sender.but(|tx| tx.gas_limit = TRANSACTION_GAS_CAP + 1),
            REJECTED,
            "gas limit too high",
        ),
        refused(
            "intrinsic gas",
            sender.but(|tx| tx.gas_limit = 20_999),
            "intrinsic gas too low",
        ),
        refused(
            "calldata floor of EIP-7623",
            // 100 bytes cost 16 each, the floor is 40 each.
            sender.but(|tx| (tx.gas_limit, tx.input) = (24_999, vec![1; 100].into())),
            "intrinsic gas too low",
        ),
    ]
}

/// Forms that this chain or this pool does not take.
fn badly_formed(sender: &Sender) -> Vec<Case> {
    let blob = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: sender.nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_blob_gas: 1,
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        ..Default::default()
    };
    let without_authorisations = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: sender.nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        ..Default::default()
    };
    vec![
        Case::new(
            "blob transaction",
            sender.wallet.seal(blob),
            REJECTED,
            "transaction type not supported",
        ),
        Case::new(
            "type 4 without authorisations",
            sender.wallet.seal(without_authorisations),
            INVALID_INPUT,
            "no items in authorization list",
        ),
        Case::new(
            "oversized",
            sender.but(|tx| (tx.gas_limit, tx.input) = (2_000_000, vec![0; TRANSACTION_BYTES_MAX].into())),
            INVALID_INPUT,
            "oversized data",
        ),
        Case::new(
            "initcode above EIP-3860's limit",
            sender.but(|tx| {
                tx.to = TxKind::Create;
                tx.gas_limit = 5_000_000;
                tx.input = vec![0; MAX_INITCODE_SIZE + 1].into();
            }),
            REJECTED,
            "max initcode size exceeded",
        ),
    ]
}

/// What the sender's account does not allow. `spent` was included before.
fn not_allowed(sender: &Sender, spent: &Bytes) -> Vec<Case> {
    let poor = Sender {
        wallet: Wallet::dev(1_000),
        nonce: 0,
    };
    let insufficient = "insufficient funds for gas * price + value: have";
    vec![
        Case::new(
            "replayed",
            spent.clone(),
            INVALID_INPUT,
            "nonce too low: next nonce 1, tx nonce 0",
        ),
        Case::new(
            "used nonce",
            sender.but(|tx| tx.nonce = 0),
            INVALID_INPUT,
            "nonce too low: next nonce 1, tx nonce 0",
        ),
        Case::new(
            "last nonce of EIP-2681",
            sender.but(|tx| tx.nonce = u64::MAX),
            REJECTED,
            "nonce has max value",
        )
        .with_sync_code(NONCE_GAP),
        Case::new("account without funds", poor.but(|_| ()), REJECTED, insufficient),
        Case::new(
            "value above the balance",
            sender.but(|tx| tx.value = U256::MAX >> 1),
            REJECTED,
            insufficient,
        ),
        Case::new(
            "cost above 2^256",
            sender.but(|tx| tx.value = U256::MAX),
            REJECTED,
            insufficient,
        ),
    ]
}

/// Everything a refused transaction could have changed.
fn observed(rpc: &mut RpcClient, sender: Address) -> Value {
    let recipient = Address::with_last_byte(0x77);
    let pending = rpc.call("eth_getBlockByNumber", json!(["pending", false]));
    let latest = rpc.call("eth_getBlockByNumber", json!(["latest", false]));
    json!({
        "pool": rpc.call("txpool_status", json!([])),
        "head": latest["hash"],
        "open block": pending["transactions"],
        "gas used": pending["gasUsed"],
        "nonce": rpc.call("eth_getTransactionCount", json!([sender, "latest"])),
        "next nonce": rpc.call("eth_getTransactionCount", json!([sender, "pending"])),
        "balance": rpc.call("eth_getBalance", json!([sender, "latest"])),
        "recipient": rpc.call("eth_getBalance", json!([recipient, "latest"])),
    })
}

fn refusal(rpc: &mut RpcClient, method: &str, raw: &Bytes) -> RpcError {
    rpc.try_call(method, json!([raw])).unwrap().expect_err("taken")
}

#[test]
fn refused_transactions_change_nothing() {
    let datadir = tempfile::tempdir().unwrap();
    let node = Node::start(datadir.path(), &STILL);
    let mut rpc = node.rpc();
    let mut sender = Sender {
        wallet: Wallet::dev(0),
        nonce: 0,
    };
    let spent = sender.but(|_| ());
    let receipt = rpc.call("eth_sendRawTransactionSync", json!([spent]));
    assert_eq!(receipt["status"], "0x1");
    sender.nonce = 1;

    let before = observed(&mut rpc, sender.wallet.address());
    assert_eq!(before["open block"], json!([keccak256(&spent)]));
    assert_eq!(before["pool"], json!({"pending": "0x0", "queued": "0x0"}));
    let cases: Vec<_> = [
        not_transactions(&sender),
        badly_signed(&sender),
        badly_priced(&sender),
        badly_formed(&sender),
        not_allowed(&sender, &spent),
    ]
    .into_iter()
    .flatten()
    .collect();
    for case in &cases {
        let plain = refusal(&mut rpc, "eth_sendRawTransaction", &case.raw);
        assert_eq!(plain.code, case.code, "{}: {plain:?}", case.name);
        assert!(plain.message.contains(case.words), "{}: {plain:?}", case.name);
        for method in ["eth_sendRawTransactionSync", "realtime_sendRawTransaction"] {
            let error = refusal(&mut rpc, method, &case.raw);
            let expected = case.sync_code.unwrap_or(case.code);
            assert_eq!(error.code, expected, "{} by {method}: {error:?}", case.name);
        }
    }
    assert_eq!(observed(&mut rpc, sender.wallet.address()), before);

    // All in one batch, where signatures are recovered together, with a good one in their midst.
    let mut raws: Vec<_> = cases.iter().map(|case| case.raw.clone()).collect();
    let middle = raws.len() / 2;
    raws.insert(middle, sender.but(|_| ()));
    let answers = rpc.batch("eth_sendRawTransaction", &raws);
    for (case, answer) in cases
        .iter()
        .zip(answers.iter().enumerate().filter(|(i, _)| *i != middle))
    {
        assert_eq!(
            answer.1["error"]["code"], case.code,
            "{} in a batch: {}",
            case.name, answer.1
        );
    }
    assert_eq!(answers[middle]["result"], json!(keccak256(&raws[middle])));
    sender.nonce = 2;

    let receipt = rpc.call("eth_sendRawTransactionSync", json!([sender.but(|_| ())]));
    assert_eq!(
        (&receipt["status"], &receipt["transactionIndex"]),
        (&json!("0x1"), &json!("0x2"))
    );
    assert!(node.stop().success());
}

#[test]
fn a_gap_waits_and_a_replacement_pays() {
    let datadir = tempfile::tempdir().unwrap();
    let node = Node::start(datadir.path(), &STILL);
    let mut rpc = node.rpc();
    let mut sender = Sender {
        wallet: Wallet::dev(1),
        nonce: 1,
    };
    let early = sender.but(|_| ());
    for method in ["eth_sendRawTransactionSync", "realtime_sendRawTransaction"] {
        let answer = rpc.answer(method, json!([early]));
        assert_eq!(answer["error"]["code"], NONCE_GAP, "{answer}");
        assert_eq!(answer["error"]["data"], "0x0", "the nonce that comes next");
    }
    let status = |rpc: &mut RpcClient| rpc.call("txpool_status", json!([]));
    assert_eq!(status(&mut rpc), json!({"pending": "0x0", "queued": "0x0"}));

    let queued = rpc.call("eth_sendRawTransaction", json!([early]));
    let waiting = json!({"pending": "0x0", "queued": "0x1"});
    assert_eq!(status(&mut rpc), waiting);
    let known = refusal(&mut rpc, "eth_sendRawTransaction", &early);
    assert_eq!(
        (known.code, known.message.as_str()),
        (INVALID_INPUT, "already known")
    );
    // One wei per gas short of ten percent more; and the tip, which counts as well.
    let short = |tx: &mut TxEip1559| {
        tx.max_fee_per_gas = tx.max_fee_per_gas * 11 / 10 - 1;
        tx.max_priority_fee_per_gas *= 2;
    };
    let short_of_tip = |tx: &mut TxEip1559| tx.max_fee_per_gas *= 2;
    for raw in [sender.but(short), sender.but(short_of_tip)] {
        let error = refusal(&mut rpc, "eth_sendRawTransaction", &raw);
        assert_eq!(
            (error.code, error.message.as_str()),
            (INVALID_INPUT, "replacement transaction underpriced")
        );
    }
    assert_eq!(status(&mut rpc), waiting);
    let better = sender.but(|tx| {
        tx.max_fee_per_gas = tx.max_fee_per_gas * 11 / 10;
        tx.max_priority_fee_per_gas = tx.max_priority_fee_per_gas * 11 / 10;
    });
    let better = rpc.call("eth_sendRawTransaction", json!([better]));
    assert_eq!(status(&mut rpc), waiting);

    // The gap is filled: both run, and what was replaced never does.
    sender.nonce = 0;
    let first = rpc.call("eth_sendRawTransactionSync", json!([sender.but(|_| ())]));
    assert_eq!(first["status"], "0x1");
    sender.nonce = 2;
    let third = rpc.call(
        "eth_sendRawTransactionSync",
        json!([sender.wallet.sign(2, Action::Pay(Address::with_last_byte(0x77)))]),
    );
    assert_eq!(parse_quantity(&third["transactionIndex"]), 2);
    let second = rpc.call("eth_getTransactionReceipt", json!([better]));
    assert_eq!(
        (&second["status"], &second["transactionIndex"]),
        (&json!("0x1"), &json!("0x1"))
    );
    assert_eq!(
        rpc.call("eth_getTransactionReceipt", json!([queued])),
        Value::Null
    );
    assert_eq!(rpc.call("eth_getTransactionByHash", json!([queued])), Value::Null);
    // The pool lets go of a transaction right after its receipt is out.
    let begin = Instant::now();
    while status(&mut rpc) != json!({"pending": "0x0", "queued": "0x0"}) {
        assert!(begin.elapsed() < PATIENCE, "{}", status(&mut rpc));
    }
    assert!(node.stop().success());
}
