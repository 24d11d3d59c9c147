//! Blocks as a busy chain has them: payments, transfers of tokens, swaps, and one contract that computes.

use super::{
    artifact::{artifact, creation},
    computation::small_picture,
    pools::routed_swap,
    tokens::{holder, mint, transfer},
};
use crate::jit::workload::{CALLER, Call, Workload};
use alloy_primitives::{Address, Bytes, U256};

/// Payments in a block.
const PAYMENTS: u64 = 200;
/// Transfers of a token in a block.
const TRANSFERS: u64 = 150;
/// Swaps over two pairs in a block.
const SWAPS: u64 = 60;
/// Pictures in a block.
const PICTURES: u64 = 1;

/// Contracts that are set up, and blocks of calls to them, all by one sender.
#[derive(Debug)]
pub(crate) struct MixedBlocks {
    /// Sets them up; has no transactions.
    pub(crate) workload: Workload,
    token: Address,
    swap: Call,
    picture: Call,
}

impl MixedBlocks {
    /// All contracts.
    ///
    /// # Errors
    /// If a committed program is damaged.
    pub(crate) fn new() -> eyre::Result<Self> {
        let mut workload = Workload::new("mixed");
        let token = workload.create(creation(artifact!("Erc20"), &[])?);
        workload.setup.push(Call::to(token, mint(CALLER)));
        let swap = routed_swap(&mut workload)?.with_gas(500_000);
        let picture = small_picture(&mut workload)?.with_gas(16_000_000);
        Ok(Self {
            workload,
            token,
            swap,
            picture,
        })
    }

    /// The transactions of a block. Blocks differ in who receives.
    pub(crate) fn block(&self, number: u64) -> Vec<Call> {
        let payment = |index| {
            let to = holder(1_000_000 + number * PAYMENTS + index);
            Call::to(to, Bytes::new())
                .with_value(U256::from(1))
                .with_gas(21_000)
        };
        let transfer = |index| {
            let to = holder(number * TRANSFERS / 2 + index);
            Call::to(self.token, transfer(to)).with_gas(100_000)
        };
        let mut calls: Vec<_> = (0..PAYMENTS).map(payment).collect();
        calls.extend((0..TRANSFERS).map(transfer));
        calls.extend((0..SWAPS).map(|_| self.swap.clone()));
        calls.extend((0..PICTURES).map(|_| self.picture.clone()));
        // Interleaved, as they would come: a stride that is coprime to the length visits every one.
        let count = calls.len();
        let order = (0..count).map(|index| (index * STRIDE) % count);
        order.map(|index| calls[index].clone()).collect()
    }
}

/// A prime that is no factor of a block's length.
const STRIDE: usize = 97;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_every_transaction_once() {
        let block = MixedBlocks::new().unwrap().block(3);
        let count = |pick: &dyn Fn(&Call) -> bool| block.iter().filter(|call| pick(call)).count() as u64;
        assert_eq!(count(&|call| call.data.is_empty()), PAYMENTS);
        assert_eq!(count(&|call| call.gas == 100_000), TRANSFERS);
        assert_eq!(count(&|call| call.gas == 500_000), SWAPS);
        assert_eq!(count(&|call| call.gas == 16_000_000), PICTURES);
    }
}
