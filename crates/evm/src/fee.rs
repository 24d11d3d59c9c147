//! The fee of a transaction, kept back from the beneficiary: the one account that every transaction of a block writes.

use std::marker::PhantomData;

use alloy_evm::Database;
use alloy_primitives::U256;
use revm::{
    context_interface::{
        Block, ContextTr, Transaction,
        result::{EVMError, HaltReason},
    },
    handler::{FrameResult, Handler},
    primitives::hardfork::SpecId,
};

use crate::RapidEvm;

/// Ethereum's handler, but for the reward of the beneficiary, which is noted in the EVM and not credited.
#[derive(Debug)]
pub(crate) struct FeeWithholding<DB, I>(PhantomData<(DB, I)>);

impl<DB, I> Default for FeeWithholding<DB, I> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<DB: Database, I> Handler for FeeWithholding<DB, I> {
    type Evm = RapidEvm<DB, I>;
    type Error = EVMError<DB::Error>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), Self::Error> {
        let context = &evm.inner.ctx;
        let base_fee = u128::from(context.block().basefee());
        let price = context.tx().effective_gas_price(base_fee);
        // The base fee is burnt (EIP-1559).
        let tip = if context.cfg().spec().is_enabled_in(SpecId::LONDON) {
            price.saturating_sub(base_fee)
        } else {
            price
        };
        let gas = result.gas();
        // What is left of the reservoir is not used (EIP-8037).
        let used = gas.used().saturating_sub(gas.reservoir());
        evm.withheld_fee = U256::from(tip * u128::from(used));
        Ok(())
    }
}
