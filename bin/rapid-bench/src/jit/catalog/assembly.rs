//! Small programs in assembly.

use crate::jit::{assembler::assemble, workload::Workload};
use alloy_primitives::{Bytes, U256};

/// Fibonacci number `calldata[0]`, modulo 2^256: three words of state, additions only.
const FIBONACCI: &str = "
    0 CALLDATALOAD 0 1              ; n a b
    next: DUP3 ISZERO @end JUMPI
    DUP1 SWAP2 ADD                  ; n b a+b
    SWAP2 1 SWAP1 SUB SWAP2         ; n-1 b a+b
    @next JUMP
    end: POP 0 MSTORE 32 0 RETURN
";

/// Factorial of `calldata[0]`, modulo 2^256, without its factors of two so that it never becomes zero.
const FACTORIAL: &str = "
    0 CALLDATALOAD 1                ; n product
    next: DUP2 ISZERO @end JUMPI
    DUP2 1 OR MUL
    SWAP1 1 SWAP1 SUB SWAP1
    @next JUMP
    end: 0 MSTORE 32 0 RETURN
";

/// Counts down `calldata[0]`, a 64-bit number.
const COUNTER_LOOP: &str = "
    0 CALLDATALOAD 0xffffffffffffffff AND
    next: 1 SWAP1 SUB DUP1 @next JUMPI
    0 MSTORE 32 0 RETURN
";

/// The same with a comparison and a sum, as compilers write it.
const SUM_LOOP: &str = "
    0 0                             ; sum i
    next: 0 CALLDATALOAD DUP2 LT ISZERO @end JUMPI
    DUP1 DUP3 ADD SWAP2 POP
    1 ADD @next JUMP
    end: POP 0 MSTORE 32 0 RETURN
";

/// Adds one to slot 0.
const COUNTER: &str = "0 SLOAD 1 ADD 0 SSTORE STOP";

/// Copies 8 KiB of memory to and fro, `calldata[0]` times.
const MEMORY_COPY: &str = "
    0x1122334455667788 0x1ff0 MSTORE
    0 CALLDATALOAD
    next: 0x2000 0 0x2000 MCOPY
    0x1fe0 0x2000 0x20 MCOPY
    1 SWAP1 SUB DUP1 @next JUMPI
    32 0x1ff0 RETURN
";

/// Writes and reads transient slots, `calldata[0]` times.
const TRANSIENT: &str = "
    0 CALLDATALOAD
    next: DUP1 63 AND TLOAD DUP2 ADD DUP2 63 AND TSTORE
    1 SWAP1 SUB DUP1 @next JUMPI
    1 TLOAD 0 MSTORE 32 0 RETURN
";

/// Calls itself with one less, down to zero, and returns the sum of the depths.
const CALL_CHAIN: &str = "
    0 CALLDATALOAD DUP1 ISZERO @end JUMPI
    1 DUP2 SUB 0 MSTORE
    32 0 32 0 0 ADDRESS GAS CALL ISZERO @fail JUMPI
    0 MLOAD ADD
    end: 0 MSTORE 32 0 RETURN
    fail: 0 0 REVERT
";

/// Emits `calldata[0]` logs with three topics and 64 bytes.
const LOGS: &str = "
    0 CALLDATALOAD DUP1 0 MSTORE
    next: DUP1 32 MSTORE
    CALLER ADDRESS DUP3 64 0 LOG3
    1 SWAP1 SUB DUP1 @next JUMPI
    STOP
";

/// Writes `calldata[0]` slots, each twice.
const STORES: &str = "
    0 CALLDATALOAD
    next: DUP1 DUP2 SSTORE CALLER DUP2 SSTORE
    1 SWAP1 SUB DUP1 @next JUMPI
    STOP
";

/// Reads 16 slots in turn, `calldata[0]` times.
const LOADS: &str = "
    0 0 CALLDATALOAD                ; sum i
    next: DUP1 15 AND SLOAD DUP3 ADD SWAP2 POP
    1 SWAP1 SUB DUP1 @next JUMPI
    POP 0 MSTORE 32 0 RETURN
";

/// Reverses the bytes of a 64-bit number by masks and shifts, `calldata[0]` times over a running number.
const BYTE_SWAP: &str = "
    0x0123456789abcdef 0 CALLDATALOAD       ; x i
    next: SWAP1
    DUP1 0x00ff00ff00ff00ff AND 8 SHL SWAP1 8 SHR 0x00ff00ff00ff00ff AND OR
    DUP1 0x0000ffff0000ffff AND 16 SHL SWAP1 16 SHR 0x0000ffff0000ffff AND OR
    DUP1 32 SHR SWAP1 32 SHL OR 0xffffffffffffffff AND
    DUP2 ADD
    SWAP1 1 SWAP1 SUB DUP1 @next JUMPI
    POP 0 MSTORE 32 0 RETURN
";

/// Hashes 64 bytes, `calldata[0]` times, each time with the last hash in them.
const HASH_CHAIN: &str = "
    0 CALLDATALOAD
    next: 64 0 KECCAK256 0 MSTORE DUP1 32 MSTORE
    1 SWAP1 SUB DUP1 @next JUMPI
    32 0 RETURN
";

/// Each program with its argument.
const PROGRAMS: &[(&str, &str, u64)] = &[
    ("fibonacci", FIBONACCI, 1_000),
    ("factorial", FACTORIAL, 1_000),
    ("counter_loop", COUNTER_LOOP, 20_000),
    ("sum_loop", SUM_LOOP, 10_000),
    ("memory_copy", MEMORY_COPY, 200),
    ("transient", TRANSIENT, 1_000),
    ("call_chain", CALL_CHAIN, 1_000),
    ("logs", LOGS, 500),
    ("stores", STORES, 500),
    ("loads", LOADS, 2_000),
    ("byte_swap", BYTE_SWAP, 1_000),
    ("hash_chain", HASH_CHAIN, 2_000),
];

/// Transactions of a run whose transactions are tiny: a block of them.
const TINY_TRANSACTIONS: usize = 100;

pub(super) fn workloads() -> eyre::Result<Vec<Workload>> {
    let mut workloads = PROGRAMS
        .iter()
        .map(|&(name, source, argument)| {
            let data = Bytes::from(U256::from(argument).to_be_bytes::<32>());
            Ok(Workload::of_code(name, assemble(source)?, data))
        })
        .collect::<eyre::Result<Vec<_>>>()?;
    workloads
        .push(Workload::of_code("counter", assemble(COUNTER)?, Bytes::new()).repeated(TINY_TRANSACTIONS));
    workloads
        .push(Workload::of_code("empty_code", assemble("STOP")?, Bytes::new()).repeated(TINY_TRANSACTIONS));
    Ok(workloads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::prepared::Prepared;

    fn output(source: &str, argument: u64) -> U256 {
        let data = Bytes::from(U256::from(argument).to_be_bytes::<32>());
        let workload = Workload::of_code("test", assemble(source).unwrap(), data);
        let outcome = Prepared::of(&workload).unwrap().outcome().unwrap();
        U256::from_be_slice(outcome.result[0].output().unwrap())
    }

    #[test]
    fn programs_compute_what_they_say() {
        assert_eq!(output(FIBONACCI, 10), U256::from(55));
        assert_eq!(output(FACTORIAL, 5), U256::from(5 * 5 * 3 * 3));
        assert_eq!(output(COUNTER_LOOP, 7), U256::ZERO);
        assert_eq!(output(SUM_LOOP, 5), U256::from(10));
        assert_eq!(output(CALL_CHAIN, 4), U256::from(10));
        assert_eq!(output(TRANSIENT, 64), U256::from(1));
        assert_eq!(output(BYTE_SWAP, 1), U256::from(0xefcd_ab89_6745_2302_u64));
        assert_ne!(output(HASH_CHAIN, 2), output(HASH_CHAIN, 3));
    }
}
