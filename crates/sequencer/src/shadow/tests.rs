//! Honest mini-blocks are passed, and each way in which a record or the state can be wrong is found.

use std::time::Instant;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use rapid_chain::ChainConfig;
use rapid_chainspec::{ChainSpec, DEV_MNEMONIC};
use rapid_pool::{DecodeLimits, PooledTransaction, decode_and_recover};
use rapid_primitives::{
    AccessDelta, BlockClose, BlockPosition, MiniBlock, MiniBlockNumber, TransactionSigned,
};
use tempfile::TempDir;

use super::*;
use crate::{
    cut::{Cut, Gathered},
    open_block::OpenBlock,
};

/// Deploys a contract that stores the first word of its input in slot 0, logs it under topic 42 and answers it.
const DEPLOY: [u8; 34] = hex!("60198060095f395ff3366007575f5ffd5b5f35805f555f52602a60205fa160205ff3");

/// A chain, and a block on its head that is produced as the loop does it, one transaction after the other.
struct Bed {
    chain: Chain,
    wallet: Wallet,
    block: OpenBlock,
    gathered: Gathered,
    from: BlockPosition,
    earlier: Option<PublishedBlock>,
    before: Snapshot,
    number: u64,
    _directory: TempDir,
}

struct Wallet {
    signer: PrivateKeySigner,
    nonce: u64,
    chain_id: u64,
}

impl Wallet {
    fn sign(&mut self, to: TxKind, value: u64, input: Bytes) -> Arc<PooledTransaction> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: 1_000_000,
            max_fee_per_gas: 5_000_000_000,
            max_priority_fee_per_gas: 1,
            to,
            value: U256::from(value),
            input,
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        let signed = TransactionSigned::Eip1559(transaction.into_signed(signature));
        let limits = DecodeLimits {
            chain_id: self.chain_id,
            bytes_max: 1 << 17,
        };
        Arc::new(decode_and_recover(&signed.encoded_2718(), &limits).unwrap())
    }
}

impl Bed {
    fn new() -> Self {
        Self::on(ChainSpec::dev())
    }

    /// On a chain that begins with Amsterdam.
    fn amsterdam() -> Self {
        let mut genesis = ChainSpec::realtime().genesis().clone();
        genesis.config.amsterdam_time = Some(0);
        // Of builders (EIP-8282).
        for predeploy in [
            address!("0x0000BFF46984E3725691FA540A8C7589300D8282"),
            address!("0x000064D678505AD48F8CCB093BC65613800E8282"),
        ] {
            genesis.alloc.entry(predeploy).or_default().code = Some(Bytes::from_static(&[0]));
        }
        Self::on(ChainSpec::from_genesis(genesis).unwrap())
    }

    fn on(spec: ChainSpec) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = ChainConfig::new(directory.path().to_owned());
        config.log.min_free_bytes = 0;
        let spec = Arc::new(spec);
        let chain = Chain::open(Arc::clone(&spec), &config).unwrap().chain;
        let environment = chain
            .simulation_environment(&chain.view(), 1_900_000_000)
            .unwrap();
        let before = chain.state().pin(chain.state().published_sequence()).unwrap();
        let (block, changes) = OpenBlock::open(&chain, environment).unwrap();
        let mut gathered = Gathered::default();
        gathered.changed(0, changes);
        let signer = MnemonicBuilder::<English>::default()
            .phrase(DEV_MNEMONIC)
            .build()
            .unwrap();
        Self {
            wallet: Wallet {
                signer,
                nonce: 0,
                chain_id: spec.chain_id(),
            },
            chain,
            block,
            gathered,
            from: BlockPosition::default(),
            earlier: None,
            before,
            number: 0,
            _directory: directory,
        }
    }

    fn execute(&mut self, transaction: Arc<PooledTransaction>) {
        let executed = self.block.execute(&transaction).unwrap();
        self.gathered.changed(self.block.access_index(), executed.changes);
        self.gathered.receipts.push(executed.receipt);
        self.gathered.transactions.push(transaction);
    }

    fn transfer(&mut self, wei: u64) {
        let transaction = self
            .wallet
            .sign(TxKind::Call(Address::repeat_byte(0xb0)), wei, Bytes::new());
        self.execute(transaction);
    }

    fn deploy_and_call(&mut self) {
        let contract = self.wallet.signer.address().create(self.wallet.nonce);
        let deployment = self.wallet.sign(TxKind::Create, 0, DEPLOY.into());
        self.execute(deployment);
        let word = B256::repeat_byte(7).to_vec().into();
        let call = self.wallet.sign(TxKind::Call(contract), 0, word);
        self.execute(call);
    }

    fn store_parent_hash(&mut self) {
        let changes = self.block.store_parent_hash(self.chain.view().head.hash).unwrap();
        self.gathered.changed(0, changes);
    }

    fn close(&mut self) -> Sample {
        let withdrawals = Vec::new();
        let end = self.block.finish(Some(&withdrawals)).unwrap();
        self.gathered.changed(self.block.access_index() + 1, end.changes);
        self.cut(Some(BlockClose {
            withdrawals: Some(withdrawals),
            requests: end.requests,
            ..BlockClose::default()
        }))
    }

    fn cut(&mut self, close: Option<BlockClose>) -> Sample {
        self.number += 1;
        let version = self.chain.state().cut();
        let cut = Cut {
            number: MiniBlockNumber(self.number),
            time_us: self.number,
            environment: self.block.environment().clone(),
            block_parent_hash: self.block.parent_hash(),
            position: self.from,
            close,
            content: std::mem::take(&mut self.gathered),
            amsterdam: self.block.take_amsterdam_part(),
            version,
            cut_at: Instant::now(),
        };
        self.block.mini_block_cut();
        self.from = self.block.position();
        let mini_block = Arc::new(cut.seal(B256::ZERO));
        let after = self.chain.state().pin(version).unwrap();
        let earlier = self.earlier.clone().map(Arc::new);
        let known = self.earlier.get_or_insert_with(|| PublishedBlock {
            environment: self.block.environment().clone(),
            parent_hash: None,
            mini_blocks: Vec::new(),
            position: BlockPosition::default(),
        });
        known.parent_hash = mini_block.header().block_parent_hash;
        known.position = mini_block.position_after();
        known.mini_blocks.push(Arc::clone(&mini_block));
        Sample {
            mini_block,
            earlier,
            before: std::mem::replace(&mut self.before, after.clone()),
            after,
        }
    }
}

impl Sample {
    /// The same with another record.
    fn with(&self, change: impl FnOnce(&mut MiniBlock)) -> Self {
        let mut mini_block = MiniBlock {
            header: self.mini_block.header().clone(),
            body: self.mini_block.body().clone(),
        };
        change(&mut mini_block);
        Self {
            mini_block: Arc::new(mini_block.seal()),
            earlier: self.earlier.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
        }
    }
}

#[test]
fn honest_mini_blocks_of_a_whole_block_are_passed() {
    pass_a_whole_block(Bed::new());
    pass_a_whole_block(Bed::amsterdam());
}

fn pass_a_whole_block(mut bed: Bed) {
    bed.transfer(1);
    let first = bed.cut(None);
    bed.transfer(2);
    // The hash comes in the middle of a mini-block.
    bed.store_parent_hash();
    bed.deploy_and_call();
    let second = bed.cut(None);
    bed.transfer(3);
    let third = bed.cut(None);
    bed.transfer(4);
    let last = bed.close();
    assert!(
        last.mini_block
            .header()
            .close
            .as_ref()
            .unwrap()
            .requests
            .is_some()
    );
    for sample in [&first, &second, &third, &last] {
        recheck(&bed.chain, sample).unwrap();
    }
    // Also when the chain has gone on, and more than once.
    recheck(&bed.chain, &first).unwrap();
}

#[test]
fn a_block_that_is_one_mini_block_without_transactions_is_passed() {
    for mut bed in [Bed::new(), Bed::amsterdam()] {
        bed.store_parent_hash();
        let only = bed.close();
        recheck(&bed.chain, &only).unwrap();
    }
}

#[test]
fn what_is_wrong_about_accesses_is_found() {
    let mut bed = Bed::amsterdam();
    bed.transfer(1);
    bed.store_parent_hash();
    let _ = bed.cut(None);
    bed.transfer(2);
    bed.deploy_and_call();
    let honest = bed.close();
    recheck(&bed.chain, &honest).unwrap();
    let found = |change: fn(&mut MiniBlock)| recheck(&bed.chain, &honest.with(change)).unwrap_err();
    let nothing =
        found(|mini_block| mini_block.body.amsterdam.as_mut().unwrap().accesses = AccessDelta::default());
    assert!(matches!(nothing, Disagreement::Accesses { .. }), "{nothing}");
    let gas = found(|mini_block| mini_block.body.amsterdam.as_mut().unwrap().state_gas += 1);
    assert!(matches!(gas, Disagreement::Gas { .. }), "{gas}");
    let missing = found(|mini_block| mini_block.body.amsterdam = None);
    assert!(matches!(missing, Disagreement::AccessesPresence), "{missing}");
}

/// What is changed in a record, and how.
type Corruption = (&'static str, fn(&mut MiniBlock));

#[test]
fn every_corruption_of_a_record_is_found() {
    let mut bed = Bed::new();
    bed.transfer(1);
    bed.store_parent_hash();
    let _ = bed.cut(None);
    bed.transfer(2);
    bed.deploy_and_call();
    let honest = bed.close();
    recheck(&bed.chain, &honest).unwrap();
    let found = |what: &str, sample: &Sample| match recheck(&bed.chain, sample) {
        Ok(()) => panic!("{what} is passed"),
        Err(Disagreement::Unavailable(gone)) => panic!("{what}: {gone}"),
        Err(disagreement) => disagreement,
    };
    let corrupted = |change: fn(&mut MiniBlock)| honest.with(change);

    let receipts: [Corruption; 3] = [
        ("gas", |mini_block| {
            mini_block.body.receipts[1].cumulative_gas_used += 1
        }),
        ("status", |mini_block| mini_block.body.receipts[0].success = false),
        ("log", |mini_block| mini_block.body.receipts[2].logs.clear()),
    ];
    for (what, change) in receipts {
        let disagreement = found(what, &corrupted(change));
        assert!(
            matches!(disagreement, Disagreement::Receipt { .. }),
            "{what}: {disagreement}"
        );
    }

    let diffs: [Corruption; 6] = [
        ("balance", |mini_block| {
            let accounts = &mut mini_block.body.diff.accounts;
            let account = accounts
                .iter_mut()
                .find(|account| !account.balance_changes.is_empty())
                .unwrap();
            account.balance_changes[0].post_balance += U256::ONE;
        }),
        ("slot", |mini_block| {
            let accounts = &mut mini_block.body.diff.accounts;
            let account = accounts
                .iter_mut()
                .find(|account| !account.storage_changes.is_empty())
                .unwrap();
            account.storage_changes[0].changes[0].new_value += U256::ONE;
        }),
        ("index", |mini_block| {
            let account = mini_block.body.diff.accounts.first_mut().unwrap();
            account
                .balance_changes
                .iter_mut()
                .for_each(|change| change.block_access_index.0 += 1);
            account
                .storage_changes
                .iter_mut()
                .for_each(|slot| slot.changes[0].block_access_index.0 += 1);
        }),
        ("first account missing", |mini_block| {
            mini_block.body.diff.accounts.remove(0);
        }),
        ("last account missing", |mini_block| {
            mini_block.body.diff.accounts.pop();
        }),
        ("account too many", |mini_block| {
            let mut more = mini_block.body.diff.accounts.last().unwrap().clone();
            more.address = Address::repeat_byte(0xff);
            mini_block.body.diff.accounts.push(more);
        }),
    ];
    for (what, change) in diffs {
        let disagreement = found(what, &corrupted(change));
        assert!(
            matches!(disagreement, Disagreement::Diff { .. }),
            "{what}: {disagreement}"
        );
    }

    let other_order = corrupted(|mini_block| mini_block.body.transactions.swap(0, 1));
    assert!(matches!(
        found("order", &other_order),
        Disagreement::Fails { index: 2, .. }
    ));
    let no_requests = corrupted(|mini_block| {
        mini_block.header.close.as_mut().unwrap().requests = None;
    });
    assert!(matches!(found("requests", &no_requests), Disagreement::Requests));
    let other_state = Sample {
        after: honest.before.clone(),
        ..honest.with(|_| {})
    };
    assert!(matches!(found("state", &other_state), Disagreement::State { .. }));
}

#[test]
fn a_wrong_record_raises_the_alarm_and_an_honest_one_does_not() {
    let mut bed = Bed::new();
    bed.store_parent_hash();
    bed.transfer(1);
    let honest = bed.cut(None);
    let wrong = honest.with(|mini_block| mini_block.body.receipts[0].cumulative_gas_used += 1);
    let meter = ShadowMeter::new();
    let (feed, shadow) = Shadow::new(MiniBlockShadow::one_in(1), bed.chain.clone(), &meter);
    let thread = std::thread::spawn(move || shadow.run());
    for sample in [honest, wrong] {
        feed.samples.send(sample).unwrap();
    }
    drop(feed);
    thread.join().unwrap();
    let expected = ShadowCounts {
        checked: 2,
        mismatches: 1,
        skipped: 0,
    };
    assert_eq!(meter.counts(), expected);
}

#[test]
fn what_comes_while_the_shadow_is_busy_is_passed_over_and_counted() {
    let mut bed = Bed::new();
    bed.store_parent_hash();
    bed.transfer(1);
    let sample = bed.cut(None);
    let meter = ShadowMeter::new();
    let (feed, _shadow) = Shadow::new(MiniBlockShadow::one_in(1), bed.chain.clone(), &meter);
    let version = sample.after.sequence();
    for _ in 0..3 {
        if let Some(before) = feed.choose(&sample.mini_block, &bed.chain) {
            feed.offer(before, &sample.mini_block, version, &bed.chain);
        }
    }
    assert_eq!((feed.samples.len(), meter.counts().skipped), (1, 2));
    let (never, _shadow) = Shadow::new(MiniBlockShadow::NEVER, bed.chain.clone(), &meter);
    assert!(never.choose(&sample.mini_block, &bed.chain).is_none());
    assert_eq!(meter.counts().skipped, 2, "what is not chosen is not passed over");
}
