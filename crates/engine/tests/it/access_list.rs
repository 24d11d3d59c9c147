//! Block access lists that payloads come with (`engine_newPayloadV5`).

use std::{num::NonZeroUsize, sync::Arc};

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::ExecutionPayloadV4;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rapid_chain::{BlockHint, ExecutionMode};
use rapid_chainspec::ChainSpec;
use rapid_engine::NewPayload;
use rapid_executor::{Pinning, Workers};
use rapid_primitives::Block;

use crate::{
    bed::{Bed, Status},
    maker::{Maker, hash, sender, transfer},
};

/// Amsterdam from genesis on; the request contracts return nothing.
fn amsterdam() -> Arc<ChainSpec> {
    let contracts = [
        "00000961Ef480Eb55e80D19ad83579A64c007002",
        "0000BBdDc7CE488642fb579F8B00f3a590007251",
        "0000bFF46984e3725691FA540a8C7589300D8282",
        "000064D678505ad48F8cCb093BC65613800E8282",
    ]
    .map(|address| format!(r#""0x{address}":{{"balance":"0x0","nonce":"0x1","code":"0x00"}}"#))
    .join(",");
    let spec = ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":1337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
        "shanghaiTime":0,"cancunTime":0,"pragueTime":0,"osakaTime":0,"amsterdamTime":0}},
        "gasLimit":"0x1c9c380",
        "alloc":{{{contracts},"{sender}":{{"balance":"0xd3c21bcecceda1000000"}}}}}}"#,
        sender = sender(),
    ));
    Arc::new(spec.expect("a well-formed test chain"))
}

/// Blocks as this number of workers execute them, whatever is in them.
fn by_workers(workers: usize) -> ExecutionMode {
    let workers = Workers::start(NonZeroUsize::new(workers).unwrap(), &Pinning::Free).unwrap();
    ExecutionMode::Parallel(Arc::new(workers.for_every_block()))
}

/// A block as `engine_newPayloadV5` carries it, with a list that need not be its own.
fn new_payload(block: &Block, list: &BlockAccessList) -> NewPayload {
    let list = Bytes::from(alloy_rlp::encode(list));
    let payload = ExecutionPayloadV4::from_block_unchecked_with_bal(hash(block), block, list);
    NewPayload::v5(payload, Vec::new(), B256::ZERO, Vec::new())
}

/// Blocks that were executed with their list by all workers at once, by what became of the list.
fn counted(metrics: &PrometheusHandle, hint: &str) -> u64 {
    let name = format!(r#"rapid_reth_executor_validated_blocks_total{{hint="{hint}"}} "#);
    let rendered = metrics.render();
    let line = rendered.lines().find_map(|line| line.strip_prefix(name.as_str()));
    line.map_or(0, |count| count.parse().expect("a count"))
}

#[test]
fn the_list_of_a_payload_lets_all_workers_execute_it_and_a_wrong_one_makes_it_invalid() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let mut maker = Maker::on(amsterdam());
    let valid = maker.block(&maker.genesis(), vec![transfer(0), transfer(1), transfer(2)], "");
    let BlockHint::Declared(list) = maker.hint_of(&valid) else {
        panic!("from Amsterdam on a block has a list")
    };
    assert_eq!(
        valid.header.block_access_list_hash,
        Some(compute_block_access_list_hash(&list))
    );
    let bed = Bed::on(amsterdam(), by_workers(3));
    let genesis = bed.head();
    assert_eq!(
        (counted(&metrics, "proven"), counted(&metrics, "refuted")),
        (0, 0)
    );

    // A list that lies, to which the header commits.
    let mut lie = list.clone();
    let mut nonces = lie.iter_mut().flat_map(|account| &mut account.nonce_changes);
    nonces.next().expect("somebody sent it").new_nonce += 1;
    let mut lying = valid.clone();
    lying.header.block_access_list_hash = Some(compute_block_access_list_hash(&lie));
    assert_eq!(
        bed.payload(new_payload(&lying, &lie)),
        Status::Invalid(Some(genesis))
    );
    assert_eq!(
        (counted(&metrics, "proven"), counted(&metrics, "refuted")),
        (0, 1)
    );

    // One that leaves an account out that the block reads.
    let mut short = list.clone();
    short.retain(|account| account.has_changes());
    assert!(short.len() < list.len());
    let mut lying = valid.clone();
    lying.header.block_access_list_hash = Some(compute_block_access_list_hash(&short));
    assert_eq!(
        bed.payload(new_payload(&lying, &short)),
        Status::Invalid(Some(genesis))
    );
    assert_eq!(counted(&metrics, "proven"), 0);
    let refuted = counted(&metrics, "refuted");

    // Another list than the header's is no part of this block, and is not executed.
    assert_eq!(bed.payload(new_payload(&valid, &lie)), Status::Invalid(None));
    assert_eq!(counted(&metrics, "refuted"), refuted);

    assert_eq!(
        bed.payload(new_payload(&valid, &list)),
        Status::Valid(hash(&valid))
    );
    assert_eq!(
        (counted(&metrics, "proven"), counted(&metrics, "refuted")),
        (1, refuted)
    );
    assert_eq!(bed.choose(hash(&valid)), Status::Valid(hash(&valid)));
}
