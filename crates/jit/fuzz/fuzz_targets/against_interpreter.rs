//! Compiled code against the interpreter, on programs made of the fuzzer's bytes.
//!
//! `cargo +nightly fuzz run against_interpreter` in this folder's parent. A crash prints the case as text, which
//! `jit-differential --replay` reads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rapid_testing::differential::{Check, Choices, Dimensions, Sweep, generate};

fuzz_target!(|bytes: &[u8]| {
    let case = generate(&mut Choices::from_bytes(bytes), &Dimensions::default());
    let check = Check {
        // Compilations cost more than runs, and the fuzzer wants many different programs.
        sweep: Sweep {
            limits_max: 24,
            gas_max: 500_000,
        },
        ..Check::default()
    };
    if let Err(finding) = check.run(&case) {
        panic!("{finding}\n{case}");
    }
});
