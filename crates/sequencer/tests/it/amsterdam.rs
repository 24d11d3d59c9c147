//! Blocks from Amsterdam on: their access lists (EIP-7928), their gas (EIP-8037), and what is continued in their middle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_primitives::{Address, Bytes, TxKind, U256, address, hex};
use rapid_chain::{Chain, ChainEvent};
use rapid_chainspec::ChainSpec;
use rapid_executor::{ExecutorConfig, WorkerCount};
use rapid_primitives::{AccessListMerger, ReadState, SealedMiniBlock, TransactionSigned};
use rapid_sequencer::{SequencerConfig, WorkersUse};

use crate::{
    bed::{Bed, Wallet, interval_blocks},
    parallel::{assert_reproducible, init_code},
};

/// Where builders ask for deposits and exits (EIP-8282).
const BUILDER_PREDEPLOYS: [Address; 2] = [
    address!("0x0000BFF46984E3725691FA540A8C7589300D8282"),
    address!("0x000064D678505AD48F8CCB093BC65613800E8282"),
];
const BENEFICIARY: Address = Address::repeat_byte(0xbe);

/// Counts its calls in slot 0.
const COUNTER: &[u8] = &hex!("5f546001015f55");
/// Adds the balance of the beneficiary to slot 0.
const LOOKS_AT_BENEFICIARY: &[u8] = &hex!("413160010180545f55");
/// Stores the hash of the parent under the number of the block.
const PARENT_HASH: &[u8] = &hex!("60014303404355");
/// Counts in the slot of the caller.
const OWN_COUNTER: &[u8] = &hex!("33546001013355");
/// Reads slot 1 and the balance of account 0x77, writes slot 2 and fails.
const FAILS: &[u8] = &hex!("600154506077315060016002555f5ffd");
/// Stores the number of the beacon slot in slot 3, and then what was there.
const STORES_AND_RESTORES: &[u8] = &hex!("6003544b60035560035500");
/// Creates an account, at an address by its nonce, that destroys itself in favour of the caller.
const CREATES_WHAT_ENDS: &[u8] = &hex!("6133ff5f526002601e34f000");
/// Reads as many slots as the second word of the input says, from the one that the first says.
const READS_MANY: &[u8] = &hex!("5f356020355b8154509060010190600190038060055700");

fn spec(gas_limit: Option<u64>) -> ChainSpec {
    let mut genesis = ChainSpec::realtime().genesis().clone();
    genesis.config.amsterdam_time = Some(0);
    genesis.gas_limit = gas_limit.unwrap_or(genesis.gas_limit);
    for predeploy in BUILDER_PREDEPLOYS {
        genesis.alloc.entry(predeploy).or_default().code = Some(Bytes::from_static(&[0]));
    }
    ChainSpec::from_genesis(genesis).unwrap()
}

/// With one worker the loop executes everything by itself.
fn config(workers: usize, blocks: Duration) -> SequencerConfig {
    SequencerConfig {
        executor: ExecutorConfig {
            workers: WorkerCount::new(workers).unwrap(),
            ..ExecutorConfig::default()
        },
        workers_use: WorkersUse::Always,
        beneficiary: BENEFICIARY,
        ..interval_blocks(blocks)
    }
}

/// All mini-blocks of a chain from now on.
#[derive(Clone, Default)]
struct Published(Arc<Mutex<Vec<Arc<SealedMiniBlock>>>>);

impl Published {
    fn of(chain: &Chain) -> Self {
        let published = Self::default();
        let (all, mut events) = (Arc::clone(&published.0), chain.subscribe());
        tokio::spawn(async move {
            while let Ok(event) = events.recv().await {
                if let ChainEvent::MiniBlock(mini_block) = event {
                    all.lock().unwrap().push(mini_block);
                }
            }
        });
        published
    }

    /// The access lists that the mini-blocks of each block make together.
    fn lists(&self) -> BTreeMap<u64, BlockAccessList> {
        let mut lists: BTreeMap<u64, AccessListMerger> = BTreeMap::new();
        for mini_block in self.0.lock().unwrap().iter() {
            let list = mini_block.body().access_list().expect("all say what they touch");
            let number = mini_block.header().environment.number;
            lists.entry(number).or_default().push(list);
        }
        let lists = lists.into_iter();
        lists.map(|(number, list)| (number, list.finish())).collect()
    }
}

/// Mini-blocks say exactly what the headers of their blocks do.
fn assert_lists(bed: &Bed, lists: &BTreeMap<u64, BlockAccessList>) {
    let head = bed.chain.view().head.number();
    assert!(head > 0);
    for number in 1..=head {
        let header = &bed.chain.block_by_number(number).unwrap().unwrap().header;
        let list = &lists[&number];
        assert_eq!(
            Some(compute_block_access_list_hash(list)),
            header.block_access_list_hash,
            "block {number}"
        );
        assert!(total_bal_items(list) <= header.gas_limit / 2_000);
        assert_eq!(header.slot_number, Some(number));
    }
}

struct Contracts(Vec<Address>);

impl Contracts {
    async fn deploy(bed: &Bed, wallet: &mut Wallet) -> Self {
        let codes = [
            COUNTER,
            LOOKS_AT_BENEFICIARY,
            PARENT_HASH,
            OWN_COUNTER,
            FAILS,
            STORES_AND_RESTORES,
            CREATES_WHAT_ENDS,
        ];
        let mut contracts = Vec::new();
        for code in codes {
            let at = bed.execute(&wallet.create(init_code(code))).await;
            assert!(at.receipt.success);
            contracts.push(at.sender.create(at.transaction_nonce()));
        }
        Self(contracts)
    }

    /// One of many kinds of transactions.
    fn transaction(&self, wallet: &mut Wallet, round: u64, kind: u64) -> TransactionSigned {
        let value = U256::from(round);
        let pay =
            |wallet: &mut Wallet, to: Address| wallet.sign(TxKind::Call(to), value, Bytes::new(), 400_000);
        match kind % 12 {
            number @ 0..=5 => wallet.call(self.0[number as usize], Bytes::new()),
            6 => pay(wallet, self.0[6]),
            7 => pay(wallet, BENEFICIARY),
            8 => wallet.create(init_code(COUNTER)),
            9 => pay(wallet, Address::repeat_byte(round as u8 + 1)),
            // One that ends before its state is paid for.
            10 => {
                let nobody = Address::repeat_byte(0xa0 + round as u8);
                wallet.sign(TxKind::Call(nobody), value, Bytes::new(), 30_000)
            }
            _ => wallet.sign(
                TxKind::Create,
                value,
                Bytes::from_static(&hex!("60025ffd")),
                500_000,
            ),
        }
    }
}

trait TransactionNonce {
    fn transaction_nonce(&self) -> u64;
}

impl TransactionNonce for rapid_chain::TransactionAt {
    fn transaction_nonce(&self) -> u64 {
        alloy_consensus::Transaction::nonce(&self.transaction)
    }
}

/// Submits them all and waits for the receipts.
async fn execute_all(bed: &Bed, transactions: Vec<TransactionSigned>) {
    let mut waiters = Vec::new();
    for transaction in transactions {
        waiters.push(bed.chain.wait_for(*transaction.tx_hash()));
        bed.submit(&transaction).unwrap();
    }
    for waiter in waiters {
        let waited = tokio::time::timeout(Duration::from_secs(60), waiter).await;
        waited.unwrap().unwrap();
    }
}

async fn seal_what_is_open(bed: &Bed, wallet: &mut Wallet) {
    let open = bed.chain.view().head.number() + 1;
    bed.execute(&wallet.transfer(BENEFICIARY, 1)).await;
    bed.sealed(open).await;
}

#[tokio::test]
async fn blocks_are_what_another_node_verifies() {
    for workers in [1, 2, 3, 4] {
        let mut bed = Bed::start(spec(None), config(workers, Duration::from_millis(100)));
        let published = Published::of(&bed.chain);
        let mut wallets: Vec<_> = (0..16).map(|index| Wallet::dev(index, &bed.spec)).collect();
        let contracts = Contracts::deploy(&bed, &mut wallets[0]).await;
        let mut transactions = Vec::new();
        for round in 0..24 {
            for (index, wallet) in wallets.iter_mut().enumerate() {
                transactions.push(contracts.transaction(wallet, round, index as u64 + round));
            }
        }
        execute_all(&bed, transactions).await;
        seal_what_is_open(&bed, &mut wallets[0]).await;
        let checked = bed.shadow();
        assert!(checked.checked > 0 && checked.mismatches == 0, "{checked:?}");
        bed.stop();
        assert_reproducible(&bed);
        tokio::task::yield_now().await;
        assert_lists(&bed, &published.lists());
    }
}

#[tokio::test]
async fn an_open_block_is_continued_after_a_restart() {
    for workers in [1, 3] {
        let mut bed = Bed::start(spec(None), config(workers, Duration::from_secs(3_600)));
        let mut wallets: Vec<_> = (0..8).map(|index| Wallet::dev(index, &bed.spec)).collect();
        let contracts = Contracts::deploy(&bed, &mut wallets[0]).await;
        for round in 0..4 {
            let transactions = wallets.iter_mut().enumerate();
            let transactions = transactions
                .map(|(index, wallet)| contracts.transaction(wallet, round, index as u64 + 3 * round))
                .collect();
            execute_all(&bed, transactions).await;
            bed = bed.restart();
        }
        let open = bed.chain.view().open.clone().unwrap();
        assert_eq!(open.number(), 1);
        let mut merger = AccessListMerger::default();
        for mini_block in &open.mini_blocks {
            merger.push(mini_block.body().access_list().unwrap());
        }
        let before = total_bal_items(&merger.finish());
        assert!(before > 30, "{before}");
        // It closes at the next start, as its time has come.
        bed.config = config(workers, Duration::from_millis(100));
        bed = bed.restart();
        bed.sealed(1).await;
        bed.stop();
        assert_reproducible(&bed);
        let header = &bed.chain.block_by_number(1).unwrap().unwrap().header;
        assert!(header.gas_used > 0 && header.block_access_list_hash.is_some());
    }
}

#[tokio::test]
async fn a_block_touches_no_more_than_it_may() {
    for workers in [1, 3] {
        // A thousand addresses and slots, of which an eighth is for the end.
        let mut bed = Bed::start(spec(Some(2_000_000)), config(workers, Duration::from_millis(400)));
        let published = Published::of(&bed.chain);
        let mut wallets: Vec<_> = (0..9).map(|index| Wallet::dev(index, &bed.spec)).collect();
        let created = bed.execute(&wallets[0].create(init_code(READS_MANY))).await;
        assert!(created.receipt.success);
        let reader = created.sender.create(0);
        bed.sealed(created.block_number).await;
        let mut transactions = Vec::new();
        for (index, wallet) in wallets.iter_mut().enumerate() {
            // Two of many and one of fewer fit the gas of a block, and touch more than 875.
            let (slots, gas_limit) = match index % 3 {
                2 => (130_u64, 300_000),
                _ => (380, 845_000),
            };
            let first = U256::from(1_000 * index);
            let mut input = first.to_be_bytes_vec();
            input.extend(U256::from(slots).to_be_bytes_vec());
            transactions.push(wallet.sign(TxKind::Call(reader), U256::ZERO, input.into(), gas_limit));
        }
        let hashes: Vec<_> = transactions
            .iter()
            .map(|transaction| *transaction.tx_hash())
            .collect();
        execute_all(&bed, transactions).await;
        let mut by_block: BTreeMap<u64, u64> = BTreeMap::new();
        for hash in hashes {
            let at = bed.chain.transaction(hash).unwrap().unwrap();
            assert!(at.receipt.success);
            *by_block.entry(at.block_number).or_default() += 1;
        }
        seal_what_is_open(&bed, &mut wallets[0]).await;
        bed.stop();
        assert_reproducible(&bed);
        tokio::task::yield_now().await;
        let lists = published.lists();
        assert_lists(&bed, &lists);
        // There was gas for a third.
        assert!(by_block.values().all(|count| *count < 3), "{by_block:?}");
        assert!(lists.values().any(|list| total_bal_items(list) > 700));
    }
}

#[tokio::test]
async fn what_touches_more_than_any_block_may_is_dropped() {
    let mut bed = Bed::start(spec(Some(400_000)), config(2, Duration::from_millis(200)));
    let mut wallet = Wallet::dev(0, &bed.spec);
    let mut other = Wallet::dev(1, &bed.spec);
    let created = bed
        .execute(&wallet.create_with_gas(init_code(READS_MANY), 390_000))
        .await;
    assert!(created.receipt.success);
    let reader = created.sender.create(0);
    bed.sealed(created.block_number).await;
    // 200 addresses and slots, of which 25 are for the end, though the gas would suffice.
    let mut input = U256::ZERO.to_be_bytes_vec();
    input.extend(U256::from(174).to_be_bytes_vec());
    let nonce = bed
        .chain
        .view()
        .state
        .account(&wallet.address())
        .unwrap()
        .unwrap()
        .nonce;
    let much = wallet.sign(TxKind::Call(reader), U256::ZERO, input.into(), 399_000);
    bed.submit(&much).unwrap();
    let at = bed.execute(&other.transfer(BENEFICIARY, 1)).await;
    bed.sealed(at.block_number).await;
    assert_eq!(bed.chain.transaction(*much.tx_hash()).unwrap(), None);
    let state = &bed.chain.view().state;
    assert_eq!(state.account(&wallet.address()).unwrap().unwrap().nonce, nonce);
    bed.stop();
    assert_reproducible(&bed);
}
