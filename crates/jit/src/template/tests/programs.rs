//! Programs for one thing each.

use revm::bytecode::opcode::*;

use super::{Features, ForcedExitPoints, ForcedExits, Program};

const INPUT: &[u8] = &[0x5a; 70];

fn check(code: &[u8]) {
    for gas in [0, 3, 20, 100, 1_000_000] {
        Program {
            code,
            input: INPUT,
            gas,
        }
        .check();
    }
}

/// Adds up the numbers from 1000 down.
fn sum() -> Vec<u8> {
    vec![
        PUSH1, 0, PUSH2, 3, 0xe8, JUMPDEST, SWAP1, DUP2, ADD, SWAP1, PUSH1, 1, SWAP1, SUB, DUP1, PUSH1, 5,
        JUMPI, POP, PUSH1, 0, MSTORE, PUSH1, 32, PUSH1, 0, RETURN,
    ]
}

#[test]
fn loops_stay_in_compiled_code() {
    let code = sum();
    check(&code);
    let program = Program {
        code: &code,
        input: &[],
        gas: 1_000_000,
    };
    let compiled = program.compile(Features::detect(), ForcedExitPoints::Absent);
    let (outcome, counts) = program.run(&compiled, &mut ForcedExits::seeded(u64::MAX));
    assert_eq!(outcome, program.interpret());
    assert_eq!(counts.entered, 1);
}

#[test]
fn words_change_places() {
    check(&[
        PUSH1, 1, PUSH1, 2, PUSH1, 3, PUSH1, 4, JUMPDEST, SWAP3, SWAP1, DUP2, SWAP2, DUP4, SWAP4, GAS, PUSH1,
        8, JUMP,
    ]);
    check(&[
        CALLER,
        ADDRESS,
        CALLVALUE,
        CALLDATASIZE,
        SWAP3,
        SWAP1,
        GAS,
        MSIZE,
        SWAP2,
        STOP,
    ]);
}

#[test]
fn memory_grows_and_is_read() {
    check(&[
        PUSH1,
        7,
        CALLDATALOAD,
        PUSH1,
        64,
        CALLDATALOAD,
        PUSH1,
        3,
        MSTORE,
        PUSH2,
        1,
        0,
        MSTORE,
        PUSH1,
        32,
        MLOAD,
        PUSH1,
        40,
        PUSH1,
        3,
        KECCAK256,
        PUSH1,
        9,
        MSTORE8,
        PUSH1,
        3,
        MLOAD,
        MSIZE,
        STOP,
    ]);
    check(&[CALLER, MLOAD, STOP]);
    check(&[PUSH0, NOT, MLOAD, STOP]);
    check(&[
        PUSH8,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xf0,
        PUSH0,
        CALLDATALOAD,
        SWAP1,
        MSTORE,
        STOP,
    ]);
    check(&[PUSH0, CALLDATALOAD, PUSH1, 200, SHR, MLOAD, STOP]);
}

#[test]
fn jumps_go_where_they_say() {
    check(&[PUSH0, CALLDATALOAD, PUSH1, 249, SHR, JUMP, JUMPDEST, STOP]);
    check(&[PUSH1, 0x6b, PUSH0, CALLDATALOAD, PUSH1, 248, SHR, SUB, JUMP]);
    check(&[
        PUSH1, 8, PUSH1, 5, JUMP, JUMPDEST, JUMP, INVALID, JUMPDEST, PUSH1, 1, STOP,
    ]);
    check(&[
        PUSH0,
        CALLDATALOAD,
        PUSH1,
        0x52,
        PUSH0,
        CALLDATALOAD,
        PUSH1,
        248,
        SHR,
        SUB,
        JUMPI,
        JUMPDEST,
        STOP,
    ]);
}

#[test]
fn stack_bounds_are_the_interpreters() {
    check(&[ADD]);
    check(&[JUMPDEST, PUSH1, 1, PUSH1, 0, JUMP]);
    check(&[JUMPDEST, CALLER, DUP1, ADD, PUSH0, JUMP]);
}

/// MSIZE makes a point to go back to, at which the words are written, and the instruction of the table writes one again.
#[test]
fn a_word_is_written_twice_in_a_row() {
    check(&[
        PUSH1, 1, MSIZE, PUSH0, PUSH0, KECCAK256, PUSH1, 0, PUSH1, 0, TSTORE, SHR, PUSH1, 0, MCOPY,
    ]);
}
