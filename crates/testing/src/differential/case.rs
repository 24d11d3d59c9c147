//! What is executed.

use revm::primitives::{Address, U256, hardfork::SpecId};

use crate::differential::Prices;

/// Contracts and calls. Each call is a transaction on the same state: the contracts as they are written here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The fork.
    pub spec: SpecId,
    /// Decides the gas limits of the sweep and the places of forced exits.
    pub seed: u64,
    /// From Amsterdam on: gas above it can only pay for state (EIP-8037).
    pub gas_cap: Option<u64>,
    /// What instructions cost.
    pub prices: Prices,
    /// Bytes of memory that frames may have together, if that is limited.
    pub memory_limit: Option<u64>,
    /// The contracts. Number `i` has the address [`Case::address`]`(i)`.
    pub contracts: Vec<Contract>,
    /// The calls.
    pub calls: Vec<Call>,
}

/// An account with code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Its code.
    pub code: Vec<u8>,
    /// Its balance.
    pub balance: u64,
    /// Its storage.
    pub storage: Vec<(U256, U256)>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whom it calls.
    pub target: Target,
    /// Its gas limit.
    pub gas: u64,
    /// Value it sends.
    pub value: u64,
    /// Its input; for a creation it follows the code.
    pub data: Vec<u8>,
}

/// Whom a transaction calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first contract.
    Contract,
    /// Nobody: the first contract's code is run as initialisation code.
    Create,
}

/// The low 16 bits of the first contract's address. Above the precompiles', and two bytes to push.
const FIRST_ADDRESS: u16 = 0xc0d0;

impl Case {
    /// The address of a contract.
    #[must_use]
    pub fn address(contract: usize) -> Address {
        let mut address = Address::ZERO;
        let low = FIRST_ADDRESS + contract as u16;
        address[18..].copy_from_slice(&low.to_be_bytes());
        address
    }

    /// The fork of a name, such as `CANCUN`.
    #[must_use]
    pub fn spec_of_name(name: &str) -> Option<SpecId> {
        (0..=SpecId::NEXT as u8)
            .filter_map(SpecId::try_from_u8)
            .find(|spec| format!("{spec:?}").eq_ignore_ascii_case(name))
    }

    /// The address that sends the transactions.
    #[must_use]
    pub const fn sender() -> Address {
        Address::with_last_byte(0xfe)
    }
}
