//! Calls that compute and touch nothing else.

use super::{Draft, world::code_of};
use crate::{
    chain::Intent,
    contracts,
    jit::{catalog::numbers_creation, workload::Workload},
};
use alloy_primitives::{Address, Bytes};

/// What a call of a contract of [`numbers_creation`] computes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Computing {
    /// A product of small matrices: a quarter of a millisecond interpreted, a seventh of that compiled.
    SmallProduct,
    /// One of larger ones: about a millisecond interpreted.
    Product,
    /// Two thousand hashes: half a millisecond and more, also compiled.
    Hashes,
}

impl Computing {
    /// The call.
    pub(crate) fn call(self, computer: Address) -> Intent {
        let input = match self {
            Self::SmallProduct => contracts::matrix_product(6),
            Self::Product => contracts::matrix_product(9),
            Self::Hashes => contracts::hashes(2_000),
        };
        Intent::call(computer, self.gas(), input)
    }

    /// Limit of gas. What may use a million is taken for long, and long ones are kept off the loop.
    pub(crate) const fn gas(self) -> u64 {
        match self {
            Self::SmallProduct | Self::Product => 3_000_000,
            Self::Hashes => 900_000,
        }
    }
}

/// Every transaction hashes, and touches nothing that another does.
pub(super) fn hashing(draft: &mut Draft) -> eyre::Result<()> {
    let computer = draft.world.place(computer()?);
    for _ in 0..draft.count {
        draft.push(draft.sender_in_turn(), Computing::Hashes.call(computer));
    }
    Ok(())
}

/// The code of a contract that computes.
pub(super) fn computer() -> eyre::Result<Bytes> {
    let mut deployment = Workload::new("computer");
    let contract = deployment.create(numbers_creation()?);
    code_of(&deployment, contract)
}
