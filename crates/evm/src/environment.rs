//! From a block environment to what revm runs in.

use alloy_consensus::Header;
use alloy_eips::{eip7825::MAX_TX_GAS_LIMIT_OSAKA, eip7840::BlobParams};
use alloy_evm::EvmEnv;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::U256;
use rapid_chainspec::ChainSpec;
use rapid_primitives::BlockEnvironment;
use revm::{
    context::{BlockEnv, CfgEnv},
    context_interface::block::BlobExcessGasAndPrice,
};

/// The EVM environment of a block: fork, chain id, fees, and the limits that forks after the merge set per
/// transaction (EIP-7825 gas cap, EIP-7594 blob count).
#[must_use]
pub fn evm_environment(spec: &ChainSpec, environment: &BlockEnvironment) -> EvmEnv {
    let fork = alloy_evm::spec_by_timestamp_and_block_number(spec, environment.timestamp, environment.number);
    let blob_params = spec.blob_params_at_timestamp(environment.timestamp);
    let mut cfg = CfgEnv::new_with_spec(fork).with_chain_id(spec.chain_id());
    if let Some(params) = &blob_params {
        cfg.set_max_blobs_per_tx(params.max_blobs_per_tx);
    }
    if spec.is_osaka_active_at_timestamp(environment.timestamp) {
        cfg.tx_gas_limit_cap = Some(MAX_TX_GAS_LIMIT_OSAKA);
    }
    let merged = spec.is_paris_active_at_block(environment.number);
    let block = BlockEnv {
        number: U256::from(environment.number),
        beneficiary: environment.beneficiary,
        timestamp: U256::from(environment.timestamp),
        gas_limit: environment.gas_limit,
        basefee: environment.base_fee_per_gas.unwrap_or_default(),
        difficulty: if merged {
            U256::ZERO
        } else {
            environment.difficulty
        },
        prevrandao: merged.then_some(environment.prev_randao),
        blob_excess_gas_and_price: blob_price(environment, blob_params),
        slot_num: environment.slot_number.unwrap_or_default(),
    };
    EvmEnv::new(cfg, block)
}

fn blob_price(environment: &BlockEnvironment, params: Option<BlobParams>) -> Option<BlobExcessGasAndPrice> {
    let (excess_blob_gas, params) = environment.excess_blob_gas.zip(params)?;
    Some(BlobExcessGasAndPrice {
        excess_blob_gas,
        blob_gasprice: params.calc_blob_fee(excess_blob_gas),
    })
}

/// The environment an existing block was executed in.
#[must_use]
pub fn environment_of_header(header: &Header) -> BlockEnvironment {
    BlockEnvironment {
        number: header.number,
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
        gas_limit: header.gas_limit,
        base_fee_per_gas: header.base_fee_per_gas,
        difficulty: header.difficulty,
        prev_randao: header.mix_hash,
        excess_blob_gas: header.excess_blob_gas,
        parent_beacon_block_root: header.parent_beacon_block_root,
        extra_data: header.extra_data.clone(),
        slot_number: header.slot_number,
    }
}
