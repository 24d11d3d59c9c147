//! The built-in chains against the mnemonic, the file in `etc/chains` and their own state root.

use alloy_consensus::{
    Header,
    constants::{DEV_GENESIS_HASH, EMPTY_WITHDRAWALS},
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_primitives::{B256, U256, address, b256, keccak256};
use alloy_signer_local::{MnemonicBuilder, coins_bip39::English};
use rapid_chainspec::{
    BlobParams, ChainSpec, DEV_BALANCE_WEI, DEV_MNEMONIC, EthereumHardfork, EthereumHardforks, ForkCondition,
    RequestPredeploys, dev_accounts,
};

#[test]
fn funded_accounts_derive_from_the_mnemonic() {
    for (index, account) in dev_accounts().iter().enumerate() {
        let signer = MnemonicBuilder::<English>::default()
            .phrase(DEV_MNEMONIC)
            .index(u32::try_from(index).expect("small"))
            .expect("a valid index")
            .build()
            .expect("a valid mnemonic");
        assert_eq!(signer.address(), *account);
    }
    assert_eq!(dev_accounts().len(), 20);
    assert_eq!(DEV_BALANCE_WEI, U256::from(10).pow(U256::from(24)));
}

#[test]
fn dev_genesis_header() {
    let spec = ChainSpec::dev();
    let header = spec.genesis_header();
    assert_eq!(spec.chain_id(), 1337);
    assert_eq!(header.timestamp, 0x6490_fdd2);
    assert_eq!(header.gas_limit, 30_000_000);
    assert_eq!(header.difficulty, U256::ZERO);
    assert_eq!(header.base_fee_per_gas, Some(1_000_000_000));
    assert_eq!(header.withdrawals_root, Some(EMPTY_WITHDRAWALS));
    assert_eq!((header.blob_gas_used, header.excess_blob_gas), (Some(0), Some(0)));
    assert_eq!(header.parent_beacon_block_root, Some(B256::ZERO));
    assert_eq!(header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    assert_eq!((header.block_access_list_hash, header.slot_number), (None, None));
    // The hash published for this chain dates from when Shanghai was its last fork: without the later fields the
    // header is that one, so allocation and everything else agree.
    let at_shanghai = Header {
        blob_gas_used: None,
        excess_blob_gas: None,
        parent_beacon_block_root: None,
        requests_hash: None,
        ..header.inner().clone()
    };
    assert_eq!(at_shanghai.hash_slow(), DEV_GENESIS_HASH);
    assert_eq!(spec.genesis_hash(), header.hash_slow());
    assert_eq!(spec.request_predeploys(), RequestPredeploys::Optional);
}

#[test]
fn dev_forks_are_the_published_dev_list() {
    let spec = ChainSpec::dev();
    let expected = EthereumHardfork::devnet();
    assert_eq!(spec.forks().iter().collect::<Vec<_>>(), expected);
    assert!(!spec.is_amsterdam_active_at_timestamp(u64::MAX));
    assert_eq!(spec.blob_params_at_timestamp(u64::MAX), Some(BlobParams::osaka()));
    assert!(spec.fork_table().contains("- Osaka"), "{}", spec.fork_table());
}

#[test]
fn realtime_file_and_built_in_agree() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../etc/chains/realtime.json");
    let file = ChainSpec::parse(path).expect("the file is a genesis");
    let built_in = ChainSpec::realtime();
    assert_eq!(file, built_in);
    assert_eq!(built_in.name(), "realtime");
}

#[test]
fn realtime_genesis() {
    let spec = ChainSpec::realtime();
    assert_eq!(spec.genesis_header().gas_limit, 10_000_000_000);
    assert_eq!(spec.genesis_header().base_fee_per_gas, Some(1_000_000));
    assert_eq!(spec.request_predeploys(), RequestPredeploys::Required);
    assert!(spec.deposit_contract_address().is_some());
    assert_eq!(
        spec.ethereum_fork_activation(EthereumHardfork::Osaka),
        ForkCondition::Timestamp(0),
        "Osaka from genesis"
    );
    assert_eq!(
        spec.blob_params_at_timestamp(spec.genesis_header().timestamp),
        Some(BlobParams::osaka())
    );
    let allocation = &spec.genesis().alloc;
    assert_eq!(allocation.len(), 25);
    let code_hash = |address| {
        let account = allocation.get(&address).expect("deployed");
        assert_eq!(account.nonce, Some(1));
        keccak256(account.code.as_ref().expect("has code"))
    };
    // Code hash of the factory's keyless deployment, the same on every public chain.
    assert_eq!(
        code_hash(address!("0x4e59b44847b379578588920cA78FbF26c0B4956C")),
        b256!("0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989")
    );
    assert_eq!(
        code_hash(address!("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02")),
        b256!("0xf57acd40259872606d76197ef052f3d35588dadf919ee1f0e3cb9b62d3f4b02c")
    );
}
