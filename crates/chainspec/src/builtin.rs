//! The chains that come with the program.

use std::collections::BTreeMap;

use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip7840::BlobParams,
};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, Bytes, U256, address, bytes};

use crate::ChainSpec;

/// Chain id of the dev chain, reth's.
pub const DEV_CHAIN_ID: u64 = 1337;

/// Chain id of the real-time chain: "rapid" on a telephone keypad, and its ten milliseconds. No public network uses it.
pub const REALTIME_CHAIN_ID: u64 = 7_274_310;

/// Mnemonic (BIP-39) of the funded accounts, path `m/44'/60'/0'/0/index`. Public: never use its keys for anything real.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Balance of each funded account at genesis: 10^24 wei, which is 1,000,000 ether.
pub const DEV_BALANCE_WEI: U256 = U256::from_limbs([0x1bce_cced_a100_0000, 0xd3c2, 0, 0]);

/// Genesis time of both chains, in seconds.
const GENESIS_TIMESTAMP: u64 = 0x6490_fdd2;

/// Initial base fee of the real-time chain in wei. Low, because the chain's capacity is far above its usual demand, so
/// the fee would fall there anyway; not so low that its first blocks could not move it in both directions.
const REALTIME_BASE_FEE_WEI: u128 = 1_000_000;

/// Gas limit of the real-time chain: 10 Ggas for each EVM block of one second.
const REALTIME_GAS_LIMIT: u64 = 10_000_000_000;

/// The CREATE2 factory that tools expect on every chain, at the address of its keyless deployment.
const CREATE2_FACTORY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_FACTORY_CODE: Bytes = bytes!(
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

const DEV_ACCOUNTS: [Address; 20] = [
    address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
    address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
    address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
    address!("0xBcd4042DE499D14e55001CcbB24a551F3b954096"),
    address!("0x71bE63f3384f5fb98995898A86B02Fb2426c5788"),
    address!("0xFABB0ac9d68B0B445fB7357272Ff202C5651694a"),
    address!("0x1CBd3b2770909D4e10f157cABC84C7264073C9Ec"),
    address!("0xdF3e18d64BC6A983f673Ab319CCaE4f1a57C7097"),
    address!("0xcd3B766CCDd6AE721141F452C550Ca635964ce71"),
    address!("0x2546BcD3c84621e976D8185a91A922aE77ECEc30"),
    address!("0xbDA5747bFD65F08deb54cb465eB87D40e51B197E"),
    address!("0xdD2FD4581271e230360230F9337D5c0430Bf44C0"),
    address!("0x8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199"),
];

/// The funded accounts of both built-in chains: the first 20 of [`DEV_MNEMONIC`], in derivation order.
#[must_use]
pub const fn dev_accounts() -> &'static [Address] {
    &DEV_ACCOUNTS
}

impl ChainSpec {
    /// reth's dev chain: id 1337, 30 Mgas, every fork to Osaka active at genesis, 20 funded accounts and no contracts.
    ///
    /// Blob-parameter forks 1 and 2 are on its schedule, as they are on reth's, without parameters of their own: Osaka's
    /// hold.
    #[must_use]
    pub fn dev() -> Self {
        let config = ChainConfig {
            bpo1_time: Some(0),
            bpo2_time: Some(0),
            ..forks_at_genesis(DEV_CHAIN_ID)
        };
        let genesis = Genesis {
            config,
            timestamp: GENESIS_TIMESTAMP,
            gas_limit: 30_000_000,
            alloc: funded_accounts(),
            ..Genesis::default()
        };
        Self::from_genesis(genesis)
            .expect("the built-in dev chain is well formed")
            .with_optional_request_predeploys()
    }

    /// The real-time chain: 10 Ggas, a low base fee, every fork to Osaka active at genesis, the same 20 funded accounts
    /// as [`Self::dev`], and the system contracts and the CREATE2 factory deployed. `etc/chains/realtime.json` is the
    /// same chain as a file.
    #[must_use]
    pub fn realtime() -> Self {
        let mut alloc = funded_accounts();
        alloc.extend(realtime_contracts());
        // An entry holds target, max and fraction only, in which Osaka does not differ from Prague (EIP-7691).
        let blob_schedule = [
            ("cancun".to_owned(), BlobParams::cancun()),
            ("prague".to_owned(), BlobParams::prague()),
            ("osaka".to_owned(), BlobParams::prague()),
        ];
        let config = ChainConfig {
            deposit_contract_address: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
            blob_schedule: blob_schedule.into(),
            ..forks_at_genesis(REALTIME_CHAIN_ID)
        };
        let genesis = Genesis {
            config,
            timestamp: GENESIS_TIMESTAMP,
            gas_limit: REALTIME_GAS_LIMIT,
            base_fee_per_gas: Some(REALTIME_BASE_FEE_WEI),
            alloc,
            ..Genesis::default()
        };
        Self::from_genesis(genesis).expect("the built-in real-time chain is well formed")
    }
}

fn funded_accounts() -> BTreeMap<Address, GenesisAccount> {
    let funded = GenesisAccount::default().with_balance(DEV_BALANCE_WEI);
    DEV_ACCOUNTS
        .into_iter()
        .map(|address| (address, funded.clone()))
        .collect()
}

/// Contracts with nonce 1, as EIP-161 gives every created contract. The request contracts start with empty storage,
/// which is how they stand after their first system call has cleared the inhibitor.
fn realtime_contracts() -> impl Iterator<Item = (Address, GenesisAccount)> {
    [
        (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
        (
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (CREATE2_FACTORY, CREATE2_FACTORY_CODE),
    ]
    .into_iter()
    .map(|(address, code)| {
        (
            address,
            GenesisAccount::default()
                .with_nonce(Some(1))
                .with_code(Some(code)),
        )
    })
}

fn forks_at_genesis(chain_id: u64) -> ChainConfig {
    ChainConfig {
        chain_id,
        homestead_block: Some(0),
        dao_fork_block: Some(0),
        dao_fork_support: true,
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(0),
        osaka_time: Some(0),
        ..ChainConfig::default()
    }
}
