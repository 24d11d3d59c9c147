//! Random programs of the shapes that compilers make and of those that none would.
//!
//! Each contract draws its own weights for the kinds of statements (some are off), so that programs differ in what they
//! are made of and not only in its order.

pub(crate) mod assembler;
mod calls;
mod contract;
mod control;
mod expression;
mod loops;
mod memory;
mod odd;
mod values;

use revm::primitives::{U256, hardfork::SpecId};

use crate::differential::{Call, Case, Choices, Contract, Prices, Target};
use contract::Generator;

/// Bounds of a generated case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// The fork; any if there is none.
    pub spec: Option<SpecId>,
    /// Contracts at most.
    pub contracts_max: usize,
    /// Statements of the first contract at most; the others are smaller.
    pub statements_max: usize,
    /// Calls at most.
    pub calls_max: usize,
}

impl Default for Dimensions {
    fn default() -> Self {
        Self {
            spec: None,
            contracts_max: 3,
            statements_max: 36,
            calls_max: 2,
        }
    }
}

/// A case of choices.
#[must_use]
pub fn generate(choices: &mut Choices<'_>, dimensions: &Dimensions) -> Case {
    let spec = dimensions.spec.unwrap_or_else(|| any_spec(choices));
    let contracts = choices.between(1, dimensions.contracts_max);
    let contracts = (0..contracts)
        .map(|index| {
            let share = if index == 0 { 1 } else { 3 };
            let statements = choices.between(1, (dimensions.statements_max / share).max(1));
            contract(choices, spec, statements, contracts)
        })
        .collect();
    let calls = choices.between(1, dimensions.calls_max);
    let calls = (0..calls).map(|_| call(choices, spec)).collect();
    let has_cap = spec.is_enabled_in(SpecId::AMSTERDAM) && choices.percent(60);
    Case {
        spec,
        seed: choices.any(),
        prices: if choices.percent(8) {
            Prices::Odd
        } else {
            Prices::Fork
        },
        memory_limit: choices.percent(6).then(|| choices.below(8_000) as u64),
        gas_cap: has_cap.then(|| choices.between(30_000, 200_000) as u64),
        contracts,
        calls,
    }
}

/// Any fork, the later ones more often: more opcodes are active there.
fn any_spec(choices: &mut Choices<'_>) -> SpecId {
    let last = SpecId::NEXT as u8;
    let number = match choices.below(3) {
        0 => choices.below(usize::from(last) + 1) as u8,
        _ => last - choices.below(4) as u8,
    };
    SpecId::try_from_u8(number).unwrap_or_default()
}

fn contract(choices: &mut Choices<'_>, spec: SpecId, statements: usize, contracts: usize) -> Contract {
    let delegates = spec.is_enabled_in(SpecId::PRAGUE) && contracts > 1 && choices.percent(3);
    let code = if delegates {
        let target = Case::address(choices.below(contracts));
        [&[0xef, 0x01, 0x00], target.as_slice()].concat()
    } else {
        Generator::new(choices, spec, contracts).program(statements)
    };
    let slots = choices.below(4);
    Contract {
        code,
        balance: choices.below(3) as u64 * 1_000,
        storage: (0..slots)
            .map(|_| (U256::from(choices.below(4)), values::word(choices)))
            .filter(|(_, value)| !value.is_zero())
            .collect(),
    }
}

fn call(choices: &mut Choices<'_>, spec: SpecId) -> Call {
    let words = choices.below(6);
    let mut data: Vec<u8> = (0..words)
        .flat_map(|_| values::word(choices).to_be_bytes::<32>())
        .collect();
    if choices.percent(30) {
        let len = choices.below(32);
        data.extend(choices.bytes(len));
    }
    let gas = *choices.pick(&[60_000, 100_000, 150_000, 250_000]);
    // State costs about ten times as much there.
    let factor = if spec.is_enabled_in(SpecId::AMSTERDAM) {
        4
    } else {
        1
    };
    Call {
        target: if choices.percent(12) {
            Target::Create
        } else {
            Target::Contract
        },
        gas: gas * factor,
        value: if choices.percent(30) {
            choices.below(100) as u64
        } else {
            0
        },
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_makes_the_same_case() {
        let case = |seed| generate(&mut Choices::seeded(seed), &Dimensions::default());
        assert_eq!(case(7), case(7));
        assert_ne!(case(7), case(8));
    }

    #[test]
    fn no_bytes_make_a_small_case() {
        let case = generate(&mut Choices::from_bytes(&[]), &Dimensions::default());
        assert_eq!(case.contracts.len(), 1);
        assert!(
            case.contracts[0].code.len() < 100,
            "{}",
            case.contracts[0].code.len()
        );
    }

    #[test]
    fn every_fork_and_every_opcode_comes_up() {
        let mut specs = BTreeSet::new();
        let mut opcodes = BTreeSet::new();
        for seed in 0..2_000 {
            let case = generate(&mut Choices::seeded(seed), &Dimensions::default());
            specs.insert(case.spec);
            for contract in &case.contracts {
                opcodes.extend(
                    crate::differential::program::decode(&contract.code)
                        .iter()
                        .map(|it| it.opcode),
                );
            }
        }
        assert_eq!(specs.len(), usize::from(SpecId::NEXT as u8) + 1);
        assert_eq!(opcodes.len(), 256);
    }
}
