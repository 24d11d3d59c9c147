//! Loops that spend their gas on one cheap opcode: what a block can be filled with at worst.

use crate::jit::{assembler::assemble, workload::Workload};
use alloy_primitives::Bytes;

/// Times that a loop goes round.
const ITERATIONS: usize = 500;
/// Copies of the body in the loop.
const COPIES: usize = 16;

/// A 256-bit odd number without a pattern.
const WIDE: &str = "0xd6e8feb86659fd93a5a3564a1bf2a1c7e2b1f2c0d3a4b5968778695a4b3c2d1f";
/// A 128-bit number without a pattern.
const HALF: &str = "0x9e3779b97f4a7c15f39cc0605cedc835";

/// Name and body. A body finds `counter x y` on the stack, `y` on top, and leaves as many words.
const BODIES: &[(&str, &str)] = &[
    ("add", "DUP2 ADD"),
    ("mul", "DUP2 MUL"),
    ("sub", "DUP2 SUB"),
    ("div", "DUP2 DIV"),
    ("div_64", "DUP2 PUSH8 #0123456789abcdef SWAP1 DIV XOR"),
    ("div_constant", "PUSH8 #0de0b6b3a7640000 DUP3 DIV XOR"),
    ("sdiv", "DUP2 SDIV"),
    ("mod", "DUP2 MOD NOT"),
    ("smod", "DUP2 SMOD NOT"),
    ("addmod", "DUP2 SWAP1 DUP1 ADDMOD"),
    ("mulmod", "DUP2 SWAP1 DUP1 MULMOD"),
    ("exp_short", "3 SWAP1 EXP"),
    ("exp_wide", "DUP2 SWAP1 EXP"),
    ("signextend", "DUP2 ADD 6 SIGNEXTEND"),
    ("lt", "DUP2 LT"),
    ("slt", "DUP2 SLT"),
    ("eq", "DUP2 EQ"),
    ("iszero", "ISZERO"),
    ("and_or_xor", "DUP2 XOR DUP3 OR DUP2 AND"),
    ("not", "NOT"),
    ("shl", "1 SHL DUP2 XOR"),
    ("shr_variable", "DUP1 31 AND SHR DUP2 XOR"),
    ("sar", "7 SAR DUP2 XOR"),
    ("byte", "DUP1 31 AND BYTE DUP2 ADD"),
    ("clz", "CLZ DUP2 XOR"),
    ("keccak256", "0 MSTORE 32 0 KECCAK256"),
    ("keccak256_empty", "POP 0 0 KECCAK256"),
    ("mload", "0 MLOAD ADD"),
    ("mload_variable", "DUP1 0xff AND MLOAD ADD 1 ADD"),
    ("mstore", "DUP1 0 MSTORE"),
    ("mstore8", "DUP1 5 MSTORE8"),
    ("calldataload", "4 CALLDATALOAD ADD"),
    ("calldatacopy", "32 0 0 CALLDATACOPY"),
    ("codecopy", "32 0 0 CODECOPY"),
    ("caller", "CALLER ADD"),
    ("address", "ADDRESS ADD"),
    (
        "environment",
        "TIMESTAMP ADD NUMBER ADD BASEFEE ADD CHAINID ADD CALLVALUE ADD ORIGIN ADD GASPRICE ADD",
    ),
    ("selfbalance", "SELFBALANCE ADD"),
    ("balance_warm", "ADDRESS BALANCE ADD"),
    ("extcodesize", "ADDRESS EXTCODESIZE ADD"),
    ("extcodehash", "ADDRESS EXTCODEHASH ADD"),
    ("blockhash", "NUMBER 1 SWAP1 SUB BLOCKHASH ADD"),
    ("sload_warm", "7 SLOAD ADD"),
    ("sstore_warm", "DUP1 7 SSTORE 1 ADD"),
    ("tload", "7 TLOAD ADD"),
    ("tstore", "DUP1 7 TSTORE"),
    ("dup_swap", "DUP1 SWAP2 SWAP1 POP DUP2 SWAP1 POP"),
    ("swap", "SWAP1"),
    ("push_pop", "1 POP"),
    (
        "push32_pop",
        "PUSH32 #d6e8feb86659fd93a5a3564a1bf2a1c7e2b1f2c0d3a4b5968778695a4b3c2d1f POP",
    ),
    ("push0_pop", "PUSH0 POP"),
    ("gas", "GAS XOR"),
    ("pc", "PC ADD"),
    ("msize", "MSIZE ADD"),
    ("returndatasize", "RETURNDATASIZE ADD"),
    ("codesize", "CODESIZE ADD"),
    ("jumpdest", "JUMPDEST"),
    ("mcopy", "32 0 32 MCOPY"),
    ("call_empty_account", "0 0 0 0 0 0xeeee GAS CALL ADD"),
    ("call_identity", "32 0 32 0 4 GAS STATICCALL ADD"),
];

/// Jumps need labels, one per copy.
const JUMPS: &[(&str, &str)] = &[
    ("jump", "@LABEL JUMP LABEL:"),
    ("jumpi_taken", "1 @LABEL JUMPI LABEL:"),
    ("jumpi_not_taken", "0 @LABEL JUMPI LABEL:"),
    (
        "jump_dynamic",
        "DUP2 MUL 3 ADD DUP1 1 AND @LABEL ADD JUMP LABEL: JUMPDEST",
    ),
    (
        "jumpi_data",
        "DUP2 MUL 1 ADD DUP1 0x80 AND @LABEL JUMPI NOT LABEL:",
    ),
];

pub(super) fn workloads() -> eyre::Result<Vec<Workload>> {
    let repeated = BODIES
        .iter()
        .map(|&(name, body)| (name, format!("{body} ").repeat(COPIES)));
    let labelled = JUMPS.iter().map(|&(name, body)| {
        let copies = (0..COPIES).map(|copy| body.replace("LABEL", &format!("copy{copy}")));
        (name, copies.collect::<Vec<_>>().join(" "))
    });
    repeated
        .chain(labelled)
        .map(|(name, body)| {
            let source = format!(
                "{ITERATIONS} {WIDE} {HALF} 
                 next: {body} SWAP2 1 SWAP1 SUB SWAP2 DUP3 @next JUMPI
                 0 MSTORE 32 0 RETURN"
            );
            let data = Bytes::from_static(&[0x5a; 64]);
            Ok(Workload::of_code(format!("gas_{name}"), assemble(&source)?, data))
        })
        .collect()
}
