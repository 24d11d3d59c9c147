//! The same chain, made by many workers.

use std::time::Duration;

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use rapid_chain::{Chain, Importer};
use rapid_chainspec::ChainSpec;
use rapid_executor::{ExecutorConfig, WorkerCount};
use rapid_primitives::ReadState;
use rapid_sequencer::{SequencerConfig, WorkersUse};

use crate::bed::{Bed, Wallet, chain_config, interval_blocks};

/// Deploys what follows: a contract of at most 32 bytes.
pub(crate) fn init_code(code: &[u8]) -> Bytes {
    let mut init = vec![0x5f + code.len() as u8];
    init.extend_from_slice(code);
    // mstore(0, code), return its bytes.
    init.extend_from_slice(&[
        0x5f,
        0x52,
        0x60,
        code.len() as u8,
        0x60,
        32 - code.len() as u8,
        0xf3,
    ]);
    init.into()
}

/// Counts its calls in slot 0.
const COUNTER: &[u8] = &hex!("5f546001015f55");
/// Adds the balance of the beneficiary to slot 0.
const LOOKS_AT_BENEFICIARY: &[u8] = &hex!("413160010180545f55");
/// Stores the hash of the parent under the number of the block.
const PARENT_HASH: &[u8] = &hex!("60014303404355");
/// Counts in the slot of the caller.
const OWN_COUNTER: &[u8] = &hex!("33546001013355");
/// Never ends.
const BURNS: &[u8] = &hex!("5b5f56");
/// Never ends either, and looks at the beneficiary each time round.
const BURNS_ALONE: &[u8] = &hex!("5b4131505f56");

fn always(workers: usize, blocks: Duration) -> SequencerConfig {
    SequencerConfig {
        executor: ExecutorConfig {
            workers: WorkerCount::new(workers).unwrap(),
            ..ExecutorConfig::default()
        },
        workers_use: WorkersUse::Always,
        beneficiary: Address::repeat_byte(0xbe),
        ..interval_blocks(blocks)
    }
}

/// Imports every block of a stopped node into another one, which executes them in order.
pub(crate) fn assert_reproducible(bed: &Bed) {
    let dir = tempfile::tempdir().unwrap();
    let opened = Chain::open(bed.spec.clone(), &chain_config(&dir)).unwrap();
    let mut importer = Importer::new(opened).unwrap();
    let head = bed.chain.view().head.number();
    assert!(head > 0);
    for number in 1..=head {
        let block = bed.chain.block_by_number(number).unwrap().unwrap();
        let imported = importer.import(block.to_block()).unwrap();
        assert_eq!(imported.block.hash, block.hash);
        assert_eq!(imported.block.receipts, block.receipts);
    }
    importer.finish().unwrap();
}

#[tokio::test]
async fn what_many_workers_make_is_what_one_after_the_other_gives() {
    for workers in [2, 3, 8] {
        let mut bed = Bed::start(ChainSpec::realtime(), always(workers, Duration::from_millis(100)));
        let mut wallets: Vec<_> = (0..16).map(|index| Wallet::dev(index, &bed.spec)).collect();
        let codes = [COUNTER, LOOKS_AT_BENEFICIARY, PARENT_HASH, OWN_COUNTER, BURNS];
        let mut contracts = Vec::new();
        for (nonce, code) in codes.into_iter().enumerate() {
            let at = bed.execute(&wallets[0].create(init_code(code))).await;
            assert!(at.receipt.success);
            contracts.push(wallets[0].address().create(nonce as u64));
        }
        let mut waiters = Vec::new();
        for round in 0..30_u64 {
            for (index, wallet) in wallets.iter_mut().enumerate() {
                let transaction = match (index as u64 + round) % 8 {
                    0 => wallet.call(contracts[0], Bytes::new()),
                    1 => wallet.call(contracts[1], Bytes::new()),
                    2 => wallet.call(contracts[2], Bytes::new()),
                    3 if round % 10 == 0 => wallet.call(contracts[4], Bytes::new()),
                    4 => wallet.transfer(Address::repeat_byte(0xbe), 1),
                    5 => wallet.create(init_code(COUNTER)),
                    6 => wallet.transfer(Address::repeat_byte(round as u8 + 1), 7),
                    _ => wallet.call(contracts[3], Bytes::new()),
                };
                waiters.push(bed.chain.wait_for(*transaction.tx_hash()));
                bed.submit(&transaction).unwrap();
            }
        }
        let count = waiters.len() as u64;
        for waiter in waiters {
            tokio::time::timeout(Duration::from_secs(30), waiter)
                .await
                .unwrap()
                .unwrap();
        }
        let view = bed.chain.view();
        let nonces: u64 = wallets
            .iter()
            .map(|wallet| view.state.account(&wallet.address()).unwrap().unwrap().nonce)
            .sum();
        assert_eq!(nonces, count + codes.len() as u64);
        let sealed = view.head.number() + 2;
        bed.execute(&wallets[0].transfer(Address::ZERO, 1)).await;
        bed.sealed(sealed - 1).await;
        bed.stop();
        assert_reproducible(&bed);
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_and_its_successors_run_when_they_can() {
    let bed = Bed::start(ChainSpec::realtime(), always(3, Duration::from_millis(200)));
    let mut poor = Wallet::dev(1, &bed.spec);
    let mut rich = Wallet::dev(2, &bed.spec);
    // All but the fees.
    let balance = bed
        .chain
        .view()
        .state
        .account(&poor.address())
        .unwrap()
        .unwrap()
        .balance;
    let all = balance - U256::from(10_u64.pow(15));
    let sent = poor.sign(TxKind::Call(Address::repeat_byte(1)), all, Bytes::new(), 21_000);
    assert!(bed.execute(&sent).await.receipt.success);
    for round in 0..40 {
        let transaction = rich.transfer(Address::repeat_byte(2), round);
        bed.submit(&transaction).unwrap();
    }
    let last = rich.transfer(poor.address(), 5);
    assert!(bed.execute(&last).await.receipt.success);
    let state = &bed.chain.view().state;
    let received = state.account(&Address::repeat_byte(2)).unwrap().unwrap().balance;
    assert_eq!(received, U256::from((0..40_u64).sum::<u64>()));
}

#[tokio::test]
async fn one_sender_with_many_nonces_is_executed_in_their_order() {
    let mut bed = Bed::start(ChainSpec::realtime(), always(4, Duration::from_millis(300)));
    let mut wallet = Wallet::dev(3, &bed.spec);
    let mut last = None;
    for nonce in 0..600 {
        let transaction = wallet.transfer(Address::repeat_byte(9), nonce);
        last = Some(bed.chain.wait_for(*transaction.tx_hash()));
        // The pool takes a limited number per sender: the rest waits for room.
        while bed.submit(&transaction).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tokio::time::timeout(Duration::from_secs(30), last.unwrap())
        .await
        .unwrap()
        .unwrap();
    let sealed = bed.chain.view().head.number() + 1;
    bed.sealed(sealed).await;
    bed.stop();
    assert_reproducible(&bed);
}

/// One sends nothing but what stops all workers. Another's single one comes within a few mini-blocks, and so does what needs
/// no such thing.
#[tokio::test]
async fn who_sends_only_what_runs_alone_keeps_nobody_waiting() {
    const FLOOD: usize = 48;
    /// The one that runs when it comes, the one that is made up for, and what a busy machine adds.
    const MINI_BLOCKS_MAX: u64 = 40;
    let mut bed = Bed::start(ChainSpec::realtime(), always(3, Duration::from_millis(200)));
    let mut wallets: Vec<_> = (0..8).map(|index| Wallet::dev(index, &bed.spec)).collect();
    let mut contracts = Vec::new();
    for code in [BURNS_ALONE, LOOKS_AT_BENEFICIARY] {
        let nonce = contracts.len() as u64;
        assert!(
            bed.execute(&wallets[0].create(init_code(code)))
                .await
                .receipt
                .success
        );
        contracts.push(wallets[0].address().create(nonce));
    }
    let (victim, flooder) = (1, 0);
    let executed = |bed: &Bed, wallet: &Wallet| {
        let account = bed.chain.view().state.account(&wallet.address()).unwrap();
        account.unwrap().nonce
    };
    let flood: Vec<_> = (0..FLOOD)
        .map(|_| wallets[flooder].sign(TxKind::Call(contracts[0]), U256::ZERO, Bytes::new(), 8_000_000))
        .collect();
    let begin = executed(&bed, &wallets[flooder]);
    let mut waiters: Vec<_> = flood
        .iter()
        .map(|sent| bed.chain.wait_for(*sent.tx_hash()))
        .collect();
    for sent in &flood {
        bed.submit(sent).unwrap();
    }
    let first = waiters.remove(0);
    tokio::time::timeout(Duration::from_secs(30), first)
        .await
        .unwrap()
        .unwrap();
    let from = bed.chain.view().mini_block.0;
    let alone = wallets[victim].call(contracts[1], Bytes::new());
    assert!(bed.execute(&alone).await.receipt.success);
    let to = bed.chain.view().mini_block.0;
    assert!(to - from <= MINI_BLOCKS_MAX, "{from} to {to}");
    for wallet in &mut wallets[2..] {
        let from = bed.chain.view().mini_block.0;
        assert!(
            bed.execute(&wallet.transfer(Address::ZERO, 1))
                .await
                .receipt
                .success
        );
        let to = bed.chain.view().mini_block.0;
        assert!(to - from <= MINI_BLOCKS_MAX, "{from} to {to}");
    }
    let done = executed(&bed, &wallets[flooder]) - begin;
    assert!(done < FLOOD as u64, "the flood was over: {done}");
    for waiter in waiters {
        tokio::time::timeout(Duration::from_secs(60), waiter)
            .await
            .unwrap()
            .unwrap();
    }
    let sealed = bed.chain.view().head.number() + 1;
    bed.execute(&wallets[2].transfer(Address::ZERO, 1)).await;
    bed.sealed(sealed).await;
    bed.stop();
    assert_reproducible(&bed);
}
