//! Blocks of Amsterdam: judged, and rebuilt from the log.

use std::sync::Arc;

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, proofs::calculate_transaction_root,
    transaction::SignerRecoverable,
};
use alloy_eips::{eip4895::Withdrawals, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::B256;
use rapid_chain::ImportError;
use rapid_chainspec::ChainSpec;
use rapid_consensus::PostExecutionError;
use rapid_primitives::{Block, BlockBody, Header};

use crate::by_hand::{import, open, transfer};

/// Everything at genesis; the request contracts return nothing.
pub(crate) fn spec() -> Arc<ChainSpec> {
    let sender = transfer().recover_signer().expect("a canonical signature");
    let contracts = [
        "00000961Ef480Eb55e80D19ad83579A64c007002",
        "0000BBdDc7CE488642fb579F8B00f3a590007251",
        "0000bFF46984e3725691FA540a8C7589300D8282",
        "000064D678505ad48F8cCb093BC65613800E8282",
    ]
    .map(|address| format!(r#""0x{address}":{{"balance":"0x0","nonce":"0x1","code":"0x00"}}"#))
    .join(",");
    let spec = ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
        "shanghaiTime":0,"cancunTime":0,"pragueTime":0,"osakaTime":0,"amsterdamTime":0}},
        "gasLimit":"0x1c9c380","baseFeePerGas":"0x0",
        "alloc":{{{contracts},"{sender}":{{"balance":"0xde0b6b3a7640000"}}}}}}"#
    ));
    Arc::new(spec.expect("a well-formed test chain"))
}

/// A block with a transfer on genesis.
pub(crate) fn block(genesis: &Header) -> Block {
    let transactions = vec![transfer()];
    let header = Header {
        parent_hash: genesis.hash_slow(),
        number: 1,
        timestamp: 12,
        gas_limit: genesis.gas_limit,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: calculate_transaction_root(&transactions),
        base_fee_per_gas: Some(0),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        block_access_list_hash: Some(B256::ZERO),
        slot_number: Some(0),
        ..Header::default()
    };
    let body = BlockBody {
        transactions,
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
    };
    Block { header, body }
}

#[test]
fn a_restart_rebuilds_the_block() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let imported = import(&mut importer, block(&genesis));
    assert!(
        imported.header.gas_used > 0 && imported.header.block_access_list_hash != Some(B256::ZERO),
        "filled in"
    );
    importer.finish().unwrap();
    let reopened = open(spec(), dir.path());
    let head = reopened.chain().view().head.header.clone();
    assert_eq!(head, imported.header);
}

#[test]
fn another_access_list_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let genesis = importer.chain().view().head.header.clone();
    let valid = import(&mut importer, block(&genesis));

    let dir = tempfile::tempdir().unwrap();
    let mut importer = open(spec(), dir.path());
    let mut wrong = valid.clone();
    wrong.header.block_access_list_hash = Some(B256::ZERO);
    let error = importer.import(wrong).expect_err("the hash of another list");
    let expected = valid.header.block_access_list_hash;
    assert!(
        matches!(
            error,
            ImportError::PostExecution {
                error: PostExecutionError::BlockAccessListHash { expected: e, .. },
                ..
            } if e == expected
        ),
        "{error}"
    );
    importer.import(valid).expect("the valid block");
}
