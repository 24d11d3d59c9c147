//! The public networks against their published hashes, fork identifiers and schedules.

use alloy_primitives::{Address, B256, U256, address, b256};
use rapid_chainspec::{
    BlobParams, ChainSpec, EthereumHardfork as Fork, EthereumHardforks, ForkCondition, ForkHash, ForkId,
    RequestPredeploys,
};

/// A network and what is known of it from elsewhere.
struct Known {
    name: &'static str,
    chain_id: u64,
    genesis_hash: B256,
    accounts: usize,
    deposit_contract: Address,
    /// alloy's list of its forks.
    forks: Vec<(Fork, ForkCondition)>,
    /// Checksum and next activation from each activation on, in order.
    fork_ids: Vec<(Head, u32, u64)>,
}

#[derive(Clone, Copy)]
enum Head {
    Block(u64),
    Time(u64),
}
use Head::{Block, Time};

/// Addresses, hashes and checksums are those published by EIP-2124, EIP-6122, EIP-7569, EIP-7600, EIP-7607 and the
/// networks' own documents.
fn networks() -> [(ChainSpec, Known); 4] {
    [
        (ChainSpec::mainnet(), mainnet()),
        (ChainSpec::sepolia(), sepolia()),
        (ChainSpec::holesky(), holesky()),
        (ChainSpec::hoodi(), hoodi()),
    ]
}

fn mainnet() -> Known {
    Known {
        name: "mainnet",
        chain_id: 1,
        genesis_hash: b256!("0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"),
        accounts: 8893,
        deposit_contract: address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"),
        forks: Fork::mainnet().to_vec(),
        fork_ids: vec![
            (Block(0), 0xfc64ec04, 1_150_000),
            (Block(1_150_000), 0x97c2c34c, 1_920_000),
            (Block(1_920_000), 0x91d1f948, 2_463_000),
            (Block(2_463_000), 0x7a64da13, 2_675_000),
            (Block(2_675_000), 0x3edd5b10, 4_370_000),
            (Block(4_370_000), 0xa00bc324, 7_280_000),
            (Block(7_280_000), 0x668db0af, 9_069_000),
            (Block(9_069_000), 0x879d6e30, 9_200_000),
            (Block(9_200_000), 0xe029e991, 12_244_000),
            (Block(12_244_000), 0x0eb440f6, 12_965_000),
            (Block(12_965_000), 0xb715077d, 13_773_000),
            (Block(13_773_000), 0x20c327fc, 15_050_000),
            (Block(15_050_000), 0xf0afd0e3, 1_681_338_455),
            (Time(1_681_338_455), 0xdce96c2d, 1_710_338_135),
            (Time(1_710_338_135), 0x9f3d2254, 1_746_612_311),
            (Time(1_746_612_311), 0xc376cf8b, 1_764_798_551),
            (Time(1_764_798_551), 0x5167e2a6, 1_765_290_071),
            (Time(1_765_290_071), 0xcba2a1c0, 1_767_747_671),
            (Time(1_767_747_671), 0x07c9462e, 0),
        ],
    }
}

fn sepolia() -> Known {
    Known {
        name: "sepolia",
        chain_id: 11_155_111,
        genesis_hash: b256!("0x25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"),
        accounts: 15,
        deposit_contract: address!("0x7f02C3E3c98b133055B8B348B2Ac625669Ed295D"),
        forks: Fork::sepolia().to_vec(),
        fork_ids: vec![
            (Block(0), 0xfe3366e7, 1_735_371),
            (Block(1_735_371), 0xb96cbd13, 1_677_557_088),
            (Time(1_677_557_088), 0xf7f9bc08, 1_706_655_072),
            (Time(1_706_655_072), 0x88cf81d9, 1_741_159_776),
            (Time(1_741_159_776), 0xed88b5fd, 1_760_427_360),
            (Time(1_760_427_360), 0xe2ae4999, 1_761_017_184),
            (Time(1_761_017_184), 0x56078a1e, 1_761_607_008),
            (Time(1_761_607_008), 0x268956b6, 0),
        ],
    }
}

fn holesky() -> Known {
    Known {
        name: "holesky",
        chain_id: 17_000,
        genesis_hash: b256!("0xb5f7f912443c940f21fd611f12828d75b534364ed9e95ca4e307729a4661bde4"),
        accounts: 317,
        deposit_contract: address!("0x4242424242424242424242424242424242424242"),
        forks: Fork::holesky().to_vec(),
        fork_ids: vec![
            (Block(0), 0xc61a6098, 1_696_000_704),
            (Time(1_696_000_704), 0xfd4f016b, 1_707_305_664),
            (Time(1_707_305_664), 0x9b192ad0, 1_740_434_112),
            (Time(1_740_434_112), 0xdfbd9bed, 1_759_308_480),
            (Time(1_759_308_480), 0x783def52, 1_759_800_000),
            (Time(1_759_800_000), 0xa280a45c, 1_760_389_824),
            (Time(1_760_389_824), 0x9bc6cb31, 0),
        ],
    }
}

fn hoodi() -> Known {
    Known {
        name: "hoodi",
        chain_id: 560_048,
        genesis_hash: b256!("0xbbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b"),
        accounts: 335,
        deposit_contract: address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"),
        forks: Fork::hoodi().to_vec(),
        fork_ids: vec![
            (Block(0), 0xbef71d30, 1_742_999_832),
            (Time(1_742_999_832), 0x0929e24e, 1_761_677_592),
            (Time(1_761_677_592), 0xe7e0e7ff, 1_762_365_720),
            (Time(1_762_365_720), 0x3893353e, 1_762_955_544),
            (Time(1_762_955_544), 0x23aa1351, 0),
        ],
    }
}

#[test]
fn identities_are_the_published_ones() {
    for (spec, known) in networks() {
        assert_eq!((spec.name(), spec.chain_id()), (known.name, known.chain_id));
        assert_eq!(spec.genesis_hash(), known.genesis_hash, "{}", known.name);
        assert_eq!(spec.genesis().alloc.len(), known.accounts, "{}", known.name);
        assert_eq!(
            spec.deposit_contract(),
            Some(known.deposit_contract),
            "{}",
            known.name
        );
        assert_eq!(spec.request_predeploys(), RequestPredeploys::Required);
    }
}

#[test]
fn fork_ids_are_the_published_ones() {
    for (spec, known) in networks() {
        let genesis_time = spec.genesis_header().timestamp;
        let mut before = None;
        for (at, hash, next) in known.fork_ids {
            let id_at = |at| match at {
                Block(number) => spec.fork_id(number, genesis_time),
                Time(timestamp) => spec.fork_id(100_000_000, timestamp),
            };
            let id = ForkId {
                hash: ForkHash(hash.to_be_bytes()),
                next,
            };
            assert_eq!(id_at(at), id, "{} {hash:08x}", known.name);
            let last = match at {
                Block(number) => number.checked_sub(1).map(Block),
                Time(timestamp) => Some(Time(timestamp - 1)),
            };
            assert_eq!(last.map(id_at), before, "{} before {hash:08x}", known.name);
            before = Some(id);
        }
    }
}

/// alloy's lists but for two things: the DAO fork at block 0 of the test networks, where no rule of it can apply and
/// geth has none, and Amsterdam, whose date on Sepolia is a proposal.
#[test]
fn schedules_end_with_the_second_blob_parameter_fork() {
    for (spec, known) in networks() {
        let expected: Vec<_> = known
            .forks
            .into_iter()
            .filter(|item| *item != (Fork::Dao, ForkCondition::Block(0)) && item.0 != Fork::Amsterdam)
            .collect();
        assert_eq!(expected.last().map(|(fork, _)| *fork), Some(Fork::Bpo2));
        assert_eq!(
            spec.forks().iter().collect::<Vec<_>>(),
            expected,
            "{}",
            known.name
        );
        for fork in [Fork::Bpo3, Fork::Bpo4, Fork::Bpo5, Fork::Amsterdam, Fork::Bogota] {
            assert_eq!(spec.ethereum_fork_activation(fork), ForkCondition::Never);
        }
    }
}

#[test]
fn the_merge_is_at_its_block() {
    let first = |spec: &ChainSpec, block: u64| {
        assert!(spec.is_paris_active_at_block(block), "{} at {block}", spec.name());
        assert!(
            block == 0 || !spec.is_paris_active_at_block(block - 1),
            "{} before {block}",
            spec.name()
        );
    };
    first(&ChainSpec::mainnet(), 15_537_394);
    first(&ChainSpec::sepolia(), 1_450_409);
    first(&ChainSpec::holesky(), 0);
    first(&ChainSpec::hoodi(), 0);
}

#[test]
fn the_dao_fork_is_on_mainnet_alone() {
    for (spec, known) in networks() {
        let at = match known.name {
            "mainnet" => ForkCondition::Block(1_920_000),
            _ => ForkCondition::Never,
        };
        assert_eq!(spec.ethereum_fork_activation(Fork::Dao), at, "{}", known.name);
        assert_eq!(spec.genesis().config.dao_fork_support, known.name == "mainnet");
    }
}

#[test]
fn blob_parameters_follow_the_forks() {
    let schedule = [
        (Fork::Cancun, BlobParams::cancun()),
        (Fork::Prague, BlobParams::prague()),
        (Fork::Osaka, BlobParams::osaka()),
        (Fork::Bpo1, BlobParams::bpo1()),
        (Fork::Bpo2, BlobParams::bpo2()),
    ];
    for (spec, known) in networks() {
        let mut before = None;
        for (fork, params) in schedule {
            let at = spec
                .ethereum_fork_activation(fork)
                .as_timestamp()
                .expect("by time");
            assert_eq!(
                spec.blob_params_at_timestamp(at),
                Some(params),
                "{} {fork}",
                known.name
            );
            // Hoodi has Cancun from the beginning of time.
            if let Some(last) = at.checked_sub(1) {
                assert_eq!(
                    spec.blob_params_at_timestamp(last),
                    before,
                    "{} before {fork}",
                    known.name
                );
            }
            before = Some(params);
        }
        assert_eq!(spec.blob_params_at_timestamp(u64::MAX), Some(BlobParams::bpo2()));
    }
}

#[test]
fn a_written_genesis_is_the_same_chain() {
    for (spec, known) in networks() {
        let json = serde_json::to_string(spec.genesis()).expect("a genesis is JSON");
        let read = ChainSpec::parse(&json).expect("a genesis");
        assert_eq!(read, spec, "{}", known.name);
        assert_eq!(ChainSpec::parse(known.name).expect("built in"), spec);
    }
}

/// Allocations beside balances: contracts with code, storage and nonce.
#[test]
fn hoodi_starts_with_its_system_contracts() {
    let spec = ChainSpec::hoodi();
    let deposit = &spec.genesis().alloc[&hoodi().deposit_contract];
    assert!(deposit.code.as_ref().is_some_and(|code| code.len() == 6358));
    assert_eq!(deposit.storage.as_ref().map(|slots| slots.len()), Some(31));
    let beacon_roots = &spec.genesis().alloc[&address!("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02")];
    assert_eq!((beacon_roots.nonce, beacon_roots.balance), (Some(1), U256::ZERO));
}
