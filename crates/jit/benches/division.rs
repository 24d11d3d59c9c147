//! What 256-bit division costs beside ruint and revm: `cargo bench -p rapid-jit --bench division`.
//!
//! Ours and theirs alternate in short batches on one thread, timed by its CPU clock, both called through a pointer as
//! machine code calls them. Each line gives the median batch of both and the ratio, which is what to look at on a busy
//! machine. An operation waits for the result of the one before, as most in a contract do.

#![allow(
    unreachable_pub,
    dead_code,
    missing_docs,
    unused_imports,
    reason = "the division of the crate, which does not export it"
)]

use std::hint::black_box;

use alloy_primitives::U256;
use revm::interpreter::instructions::i256::{i256_div, i256_mod};
use rustix::time::{ClockId, clock_gettime};

#[path = "../src/arithmetic/division/mod.rs"]
mod division;

/// Batches of each side.
const ROUNDS: usize = 400;
/// Operand sets in a batch.
const OPERANDS: usize = 512;

type Operation = fn(&[U256; 3]) -> U256;

/// Name of an operation, ours, theirs.
type Pair = (&'static str, Operation, Operation);

const DIVISIONS: [Pair; 4] = [
    (
        "div",
        |[a, b, _]| division::divide(*a, *b),
        |[a, b, _]| a.checked_div(*b).unwrap_or_default(),
    ),
    (
        "mod",
        |[a, b, _]| division::remainder(*a, *b),
        |[a, b, _]| a.checked_rem(*b).unwrap_or_default(),
    ),
    (
        "sdiv",
        |[a, b, _]| division::divide_signed(*a, *b),
        |[a, b, _]| i256_div(*a, *b),
    ),
    (
        "smod",
        |[a, b, _]| division::remainder_signed(*a, *b),
        |[a, b, _]| i256_mod(*a, *b),
    ),
];
const MODULAR: [Pair; 2] = [
    (
        "addmod",
        |[a, b, m]| division::add_modulo(*a, *b, *m),
        |[a, b, m]| a.add_mod(*b, *m),
    ),
    (
        "mulmod",
        |[a, b, m]| division::multiply_modulo(*a, *b, *m),
        |[a, b, m]| a.mul_mod(*b, *m),
    ),
];

fn main() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    println!(
        "{:<8} {:<28} {:>8} {:>8} {:>6}",
        "", "bits of operands", "ours ns", "theirs", "ratio"
    );
    for pair in DIVISIONS {
        for (a, b) in [
            (64, 64),
            (128, 64),
            (256, 64),
            (128, 128),
            (256, 128),
            (256, 192),
            (256, 256),
            (64, 256),
        ] {
            compare(pair, &format!("{a} / {b}"), || {
                [random.exact(a), random.exact(b), U256::ZERO]
            });
        }
        compare(pair, "256 / 250", || {
            [random.exact(256), random.exact(250), U256::ZERO]
        });
        compare(pair, "a signed number / 64", || {
            let a = random.exact(120);
            [
                if random.next() & 1 == 0 {
                    a
                } else {
                    a.wrapping_neg()
                },
                random.exact(64),
                U256::ZERO,
            ]
        });
        compare(pair, "any / any", || [random.any(), random.any(), U256::ZERO]);
    }
    for pair in MODULAR {
        for (operands, modulus) in [
            (64, 64),
            (128, 64),
            (256, 64),
            (64, 128),
            (128, 128),
            (256, 128),
            (192, 192),
        ] {
            compare(pair, &format!("{operands}, {operands} % {modulus}"), || {
                [
                    random.exact(operands),
                    random.exact(operands),
                    random.exact(modulus),
                ]
            });
        }
        for (operands, modulus) in [(64, 254), (128, 254), (253, 254), (255, 256), (256, 256)] {
            compare(pair, &format!("{operands}, {operands} % {modulus}"), || {
                [
                    random.exact(operands),
                    random.exact(operands),
                    random.exact(modulus),
                ]
            });
        }
        let field = random.exact(254);
        compare(pair, "253, 253 % one of 254", || {
            [random.exact(253), random.exact(253), field]
        });
        compare(pair, "256, 256 % 2^256 - 1", || {
            [random.exact(256), random.exact(256), U256::MAX]
        });
        compare(pair, "256, 256 % 2^128", || {
            [random.exact(256), random.exact(256), U256::ONE << 128]
        });
        compare(pair, "any, any % any", || {
            [random.any(), random.any(), random.any()]
        });
    }
}

fn compare((name, ours, theirs): Pair, class: &str, operands: impl FnMut() -> [U256; 3]) {
    let operands: Vec<_> = std::iter::repeat_with(operands).take(OPERANDS).collect();
    for operands in &operands {
        assert_eq!(ours(operands), theirs(operands), "{name} {operands:?}");
    }
    let batches: Vec<_> = (0..ROUNDS)
        .map(|_| (batch(ours, &operands), batch(theirs, &operands)))
        .collect();
    let ours = median(batches.iter().map(|batch| batch.0));
    let theirs = median(batches.iter().map(|batch| batch.1));
    println!(
        "{name:<8} {class:<28} {ours:>8.1} {theirs:>8.1} {:>6.2}",
        theirs / ours
    );
}

fn median(batches: impl Iterator<Item = f64>) -> f64 {
    let mut batches: Vec<_> = batches.collect();
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

/// Nanoseconds of an operation.
fn batch(operation: Operation, operands: &[[U256; 3]]) -> f64 {
    let (operation, nothing) = black_box((operation, 0));
    let start = cpu_nanoseconds();
    let mut wait = 0;
    for set in 0..operands.len() {
        let result = operation(&operands[set + wait]);
        let [a, b, c, d] = *result.as_limbs();
        wait = (a ^ b ^ c ^ d) as usize & nothing;
    }
    black_box(wait);
    (cpu_nanoseconds() - start) / operands.len() as f64
}

fn cpu_nanoseconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A word of exactly so many bits.
    fn exact(&mut self, bits: usize) -> U256 {
        let word = U256::from_limbs(std::array::from_fn(|_| self.next()));
        (word | U256::ONE << 255) >> (256 - bits)
    }

    /// A word of any length.
    fn any(&mut self) -> U256 {
        let bits = 1 + self.next() as usize % 256;
        self.exact(bits)
    }
}
