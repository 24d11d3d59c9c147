//! What a permutation costs beside `alloy_primitives::keccak256`: `cargo bench -p rapid-keccak`.
//!
//! Each kernel and the loop over `keccak256` alternate in short batches on one thread, timed by its CPU clock. Each
//! line gives nanoseconds per permutation, of all that are needed: the median batch of both, the middle half of ours,
//! and the ratio, which is what to look at on a busy machine.

use std::hint::black_box;

use alloy_primitives::{Address, B256, keccak256};
use rapid_keccak::{BLOCK_BYTES, Batch, Kernel};
use rustix::time::{ClockId, clock_gettime};

/// Batches of each side.
const ROUNDS: usize = 400;
/// Messages in a batch, if it is not about their number.
const MESSAGES: usize = 512;

fn main() {
    println!(
        "{:<8} {:<32} {:>7} {:>15} {:>7} {:>6}",
        "kernel", "messages", "ours ns", "middle half", "keccak", "ratio"
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let kernels = Kernel::available();
    for kernel in kernels.iter().copied().filter(|kernel| *kernel != Kernel::Scalar) {
        let words: Vec<_> = (0..MESSAGES)
            .map(|_| B256::from_slice(&random.bytes(32)))
            .collect();
        compare(kernel, "words", &words, |kernel, digests| {
            kernel.hash_words(&words, digests)
        });
        let addresses: Vec<_> = (0..MESSAGES)
            .map(|_| Address::from_slice(&random.bytes(20)))
            .collect();
        compare(kernel, "addresses", &addresses, |kernel, digests| {
            kernel.hash_addresses(&addresses, digests)
        });
        each(kernel, "each word", &words);
        for len in [70, 110, 135, 136, 271, 532, 2000, 24_576] {
            let count = MESSAGES.min(200_000 / len);
            let messages: Vec<_> = (0..count).map(|_| random.bytes(len)).collect();
            each(kernel, &format!("{count} of {len}"), &messages);
        }
        let leaves: Vec<_> = (0..MESSAGES).map(|_| random.any(70, 110)).collect();
        each(kernel, "leaves, 70 to 110", &leaves);
        let branches: Vec<_> = (0..MESSAGES).map(|_| random.any(83, 532)).collect();
        each(kernel, "branches, 83 to 532", &branches);
        let transactions: Vec<_> = (0..MESSAGES)
            .map(|place| {
                if place % 8 == 0 {
                    random.any(200, 2000)
                } else {
                    random.any(110, 200)
                }
            })
            .collect();
        each(kernel, "transactions, 110 to 2000", &transactions);
        for count in [1, 2, 3, 4, 5, 8, 9, 12, 16, 17, 33] {
            each(kernel, &format!("{count} of 100"), &leaves[..count]);
            each(kernel, &format!("{count} branches"), &branches[..count]);
        }
    }
}

fn each<M: AsRef<[u8]>>(kernel: Kernel, class: &str, messages: &[M]) {
    let mut batch = Batch::default();
    for message in messages {
        batch.push_with(|out| out.extend_from_slice(message.as_ref()));
    }
    compare(kernel, class, messages, |kernel, digests| {
        kernel.hash_batch(&batch, digests)
    });
}

fn compare<M: AsRef<[u8]>>(kernel: Kernel, class: &str, messages: &[M], hash: impl Fn(Kernel, &mut [B256])) {
    let permutations: usize = messages
        .iter()
        .map(|message| message.as_ref().len() / BLOCK_BYTES + 1)
        .sum();
    let one_by_one = |digests: &mut [B256]| {
        for (message, digest) in messages.iter().zip(digests) {
            *digest = keccak256(message);
        }
    };
    let mut digests = vec![B256::ZERO; messages.len()];
    let mut expected = digests.clone();
    hash(kernel, &mut digests);
    one_by_one(&mut expected);
    assert_eq!(digests, expected, "{} {class}", kernel.name());

    // A batch of a few messages is repeated until the clock can tell.
    let repeated = (500 / permutations).max(1);
    let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (0..ROUNDS)
        .map(|_| {
            (
                timed(repeated, || hash(kernel, black_box(&mut digests))),
                timed(repeated, || one_by_one(black_box(&mut expected))),
            )
        })
        .unzip();
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    let per_permutation = |nanoseconds: f64| nanoseconds / (repeated * permutations) as f64;
    let median = |batches: &[f64]| per_permutation(batches[ROUNDS / 2]);
    println!(
        "{:<8} {class:<32} {:>7.1} {:>7.1} {:>7.1} {:>7.1} {:>6.3}",
        kernel.name(),
        median(&ours),
        per_permutation(ours[ROUNDS / 4]),
        per_permutation(ours[ROUNDS * 3 / 4]),
        median(&theirs),
        median(&ours) / median(&theirs),
    );
}

/// Nanoseconds of all repetitions.
fn timed(repeated: usize, mut hash: impl FnMut()) -> f64 {
    let start = cpu_nanoseconds();
    for _ in 0..repeated {
        hash();
    }
    cpu_nanoseconds() - start
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

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }

    /// Bytes of any length between two.
    fn any(&mut self, min: usize, max: usize) -> Vec<u8> {
        let len = min + (self.next() >> 32) as usize % (max - min + 1);
        self.bytes(len)
    }
}
