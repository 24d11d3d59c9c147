//! What the roots of a block's transactions and receipts cost: `cargo bench -p rapid-consensus`.
//!
//! Ours and alloy's, which hashes one node after the other, alternate on one thread, timed by its CPU clock. Each line
//! gives the median of both and the ratio, which is what to look at on a busy machine.

use std::hint::black_box;

use alloy_consensus::{SignableTransaction, TxEip1559, proofs};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, U256, keccak256};
use rapid_consensus::{ReceiptsDigest, TransactionsDigester};
use rapid_primitives::{Receipt, TransactionSigned};
use rustix::time::{ClockId, clock_gettime};

/// Measurements of each side.
const ROUNDS: usize = 200;

fn main() {
    println!("{:<28} {:>9} {:>9} {:>6}", "", "ours us", "alloy us", "ratio");
    for count in [1, 10, 200, 2000] {
        let transactions: Vec<_> = (0..count).map(transaction).collect();
        compare(
            &format!("{count} transactions"),
            || TransactionsDigester::digest(&transactions),
            || proofs::calculate_transaction_root(&transactions),
        );
        let receipts: Vec<_> = (0..count).map(receipt).collect();
        compare(
            &format!("{count} receipts, a log each"),
            || ReceiptsDigest::of(&receipts).root,
            || Receipt::calculate_receipt_root_no_memo(&receipts),
        );
    }
}

/// A transfer of a token.
fn transaction(index: u64) -> TransactionSigned {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce: index,
        gas_limit: 60_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: Address::repeat_byte(0xda).into(),
        input: Bytes::from(vec![0x5a; 68]),
        ..TxEip1559::default()
    };
    let [r, s] = [2 * index, 2 * index + 1].map(|seed| U256::from_be_bytes(keccak256(seed.to_be_bytes()).0));
    transaction.into_signed(Signature::new(r, s, false)).into()
}

/// What a transfer of a token leaves behind.
fn receipt(index: u64) -> Receipt {
    let topics = [0, index, index + 1]
        .map(|seed| keccak256(seed.to_be_bytes()))
        .to_vec();
    Receipt {
        cumulative_gas_used: 50_000 * (index + 1),
        success: true,
        logs: vec![Log {
            address: Address::repeat_byte(0xda),
            data: LogData::new_unchecked(topics, Bytes::from(vec![1; 32])),
        }],
        ..Receipt::default()
    }
}

fn compare(class: &str, ours: impl Fn() -> B256, theirs: impl Fn() -> B256) {
    assert_eq!(ours(), theirs(), "{class}");
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|_| (timed(&ours), timed(&theirs))).unzip();
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{class:<28} {ours:>9.1} {theirs:>9.1} {:>6.2}", ours / theirs);
}

/// Microseconds.
fn timed(root: impl Fn() -> B256) -> f64 {
    let start = cpu_nanoseconds();
    black_box(root());
    (cpu_nanoseconds() - start) / 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn cpu_nanoseconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}
