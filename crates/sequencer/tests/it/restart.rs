//! What a restart finds, and what another node makes of the exported chain.

use std::{sync::Arc, time::Duration};

use alloy_primitives::Address;
use rapid_chain::{Chain, Importer};
use rapid_chainspec::ChainSpec;
use rapid_primitives::ReadState;

use rapid_sequencer::{Sequencer, SequencerError, SystemHost};

use crate::bed::{Bed, Wallet, blocks_when_idle, chain_config, interval_blocks, pool_of};

#[tokio::test]
async fn an_open_block_is_continued_after_a_restart() {
    let mut bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_secs(3_600)));
    let mut alice = Wallet::dev(0, &bed.spec);
    let mut receipts = Vec::new();

    for round in 0..4 {
        for _ in 0..3 {
            receipts.push(bed.execute(&alice.transfer(Address::repeat_byte(9), round)).await);
        }
        bed = bed.restart();
    }

    for (index, before) in receipts.iter().enumerate() {
        let after = bed
            .chain
            .transaction(*before.transaction.tx_hash())
            .unwrap()
            .unwrap();
        assert_eq!(&after, before);
        assert_eq!(after.index, index as u64);
        assert_eq!(after.block_number, 1);
    }
    let view = bed.chain.view();
    assert_eq!(view.open.as_ref().unwrap().position.transaction_index, 12);
    assert_eq!(view.state.account(&alice.address()).unwrap().unwrap().nonce, 12);
}

#[tokio::test]
async fn another_node_imports_the_chain_and_agrees_on_every_hash() {
    let mut bed = Bed::start(ChainSpec::realtime(), interval_blocks(Duration::from_millis(30)));
    let mut wallets: Vec<_> = (0..5).map(|index| Wallet::dev(index, &bed.spec)).collect();
    for round in 1..=3u8 {
        while bed.chain.view().head.number() < 2 * u64::from(round) {
            for wallet in &mut wallets {
                bed.execute(&wallet.transfer(Address::with_last_byte(100 + round), 7))
                    .await;
            }
        }
        bed = bed.restart();
    }
    let last = bed.chain.view().head.number();

    let other = tempfile::tempdir().unwrap();
    let opened = Chain::open(Arc::clone(&bed.spec), &chain_config(&other)).unwrap();
    let mut importer = Importer::new(opened).unwrap();
    for number in 1..=last {
        let block = bed.chain.block_by_number(number).unwrap().unwrap();
        let imported = importer.import(block.to_block()).unwrap();
        assert_eq!(imported.block, block);
    }
    let chain = importer.chain().clone();
    importer.finish().unwrap();
    drop(chain);

    let reopened = Chain::open(Arc::clone(&bed.spec), &chain_config(&other)).unwrap();
    assert_eq!(
        reopened.chain.view().head.hash,
        bed.chain.block_hash(last).unwrap().unwrap()
    );
}

#[tokio::test]
async fn an_invalid_block_leaves_no_trace() {
    let bed = Bed::start(ChainSpec::dev(), blocks_when_idle());
    let mut alice = Wallet::dev(0, &bed.spec);
    bed.execute(&alice.transfer(Address::repeat_byte(1), 1)).await;
    bed.sealed(1).await;
    let good = bed.chain.block_by_number(1).unwrap().unwrap().to_block();

    let other = tempfile::tempdir().unwrap();
    let opened = Chain::open(Arc::clone(&bed.spec), &chain_config(&other)).unwrap();
    let mut importer = Importer::new(opened).unwrap();
    let sequence = importer.chain().state().sequence();
    let mut wrong_root = good.clone();
    wrong_root.header.state_root.0[0] ^= 1;
    let mut wrong_gas = good.clone();
    wrong_gas.header.gas_used += 1;
    let mut wrong_time = good.clone();
    wrong_time.header.timestamp = 0;
    for bad in [wrong_root, wrong_gas, wrong_time] {
        importer.import(bad).unwrap_err();
        assert_eq!(importer.chain().view().head.number(), 0);
        assert_eq!(importer.chain().state().sequence(), sequence);
    }

    assert_eq!(importer.import(good).unwrap().block.number(), 1);
}

#[tokio::test]
async fn a_checkpoint_shortens_the_log_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = chain_config(&dir);
    config.checkpoint_log_bytes = 1;
    let spec = Arc::new(ChainSpec::dev());
    let mut source = Bed::start(ChainSpec::dev(), blocks_when_idle());
    let mut alice = Wallet::dev(0, &spec);
    let mut importer = Importer::new(Chain::open(Arc::clone(&spec), &config).unwrap()).unwrap();
    for number in 1..=20 {
        source
            .execute(&alice.transfer(Address::with_last_byte(number), 1))
            .await;
        source.sealed(number.into()).await;
        let block = source.chain.block_by_number(number.into()).unwrap().unwrap();
        importer.import(block.to_block()).unwrap();
    }
    source.stop();
    // A checkpoint is written in the background, after the last block too if need be.
    let written = || std::fs::read_dir(dir.path().join("checkpoints")).map_or(0, Iterator::count);
    let began = std::time::Instant::now();
    while written() == 0 && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    importer.finish().unwrap();
    assert!(written() > 0, "no checkpoint was written");

    let reopened = Chain::open(spec, &config).unwrap();
    assert_eq!(reopened.chain.view().head, source.chain.view().head);
    let account = reopened
        .chain
        .view()
        .state
        .account(&alice.address())
        .unwrap()
        .unwrap();
    assert_eq!(account.nonce, 20);
}

#[tokio::test]
async fn a_chain_before_its_merge_is_not_produced() {
    let spec =
        ChainSpec::parse(r#"{"config":{"chainId":9,"homesteadBlock":0},"difficulty":"0x40000","alloc":{}}"#);
    let spec = Arc::new(spec.unwrap());
    let dir = tempfile::tempdir().unwrap();
    let opened = Chain::open(Arc::clone(&spec), &chain_config(&dir)).unwrap();
    let pool = pool_of(&opened.chain, &spec);
    let refused = Sequencer::start(interval_blocks(Duration::from_secs(1)), SystemHost, opened, pool);
    assert!(
        matches!(refused, Err(SequencerError::BeforeMerge(1))),
        "{refused:?}"
    );
}
