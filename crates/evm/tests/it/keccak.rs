//! The KECCAK256 instruction with its memo against revm's.

use alloy_primitives::hex;
use rapid_evm::Compiler;
use revm::primitives::hardfork::SpecId;

use crate::alike::{CONTRACT, assert_alike, call, ours, reference, state};

/// Programs around every way the instruction can go; those that succeed return what they hashed.
const PROGRAMS: [(&str, &[u8]); 11] = [
    // Two words, twice.
    (
        "two words",
        &hex!("335f52600360205260405f2060405f20015f5260205ff3"),
    ),
    ("one word", &hex!("335f5260205f2060205f20015f5260205ff3")),
    (
        "two words at an odd place",
        &hex!("33600152600360215260406001205f5260205ff3"),
    ),
    ("two words that are new memory", &hex!("6040611000205f5260205ff3")),
    ("nothing", &hex!("5f61ffff205f5260205ff3")),
    ("nothing, from nowhere", &hex!("5f5f19205f5260205ff3")),
    ("65 bytes", &hex!("60415f205f5260205ff3")),
    ("more than there is gas for", &hex!("63ffffffff5f2000")),
    ("a length that is no length", &hex!("5f195f2000")),
    ("a place that is no place", &hex!("60405f192000")),
    ("too few words", &hex!("60402000")),
];

#[test]
fn it_is_revms_at_every_amount_of_gas() {
    for (name, code) in PROGRAMS {
        let state = state(&[(CONTRACT, code)]);
        for fork in [SpecId::SHANGHAI, SpecId::OSAKA, SpecId::AMSTERDAM] {
            for gas in (21_000..21_400).chain([30_000, 100_000, 1_000_000]) {
                let transaction = call(gas, &[]);
                let expected = reference(fork, &state, &transaction);
                let given = ours(fork, &state, &transaction, &Compiler::none());
                assert_alike(&expected, &given, &format!("{name} with {gas} gas in {fork:?}"));
            }
        }
    }
}

#[test]
fn the_programs_succeed_and_fail_as_they_are_meant_to() {
    for (name, code) in PROGRAMS {
        let outcome = reference(SpecId::OSAKA, &state(&[(CONTRACT, code)]), &call(1_000_000, &[]));
        let result = outcome.unwrap().result;
        let fails = name.starts_with("more") || name.starts_with("a ") || name.starts_with("too");
        assert_eq!(result.is_success(), !fails, "{name}: {result:?}");
    }
}
