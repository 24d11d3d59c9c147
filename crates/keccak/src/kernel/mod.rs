//! Ways to compute digests, and which of them this machine has.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod round;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use alloy_primitives::{Address, B256, keccak256};

use crate::Batch;

/// Whether [`Kernel::detect`] finds no vectors, whatever the machine has.
static VECTORS_ARE_HIDDEN: AtomicBool = AtomicBool::new(false);

/// Fewer messages than this are hashed one by one. A step of eight lanes takes 1.1 times as long as a permutation of the
/// scalar code, one of four lanes 1.6 times: one message is faster alone, two are not.
const LANES_FROM: usize = 2;

/// A way to compute digests. One that is there is one that this machine can run: vector kernels hold the proof that
/// what they need was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// One message at a time, by the assembly behind `alloy_primitives::keccak256`.
    Scalar,
    /// Four messages at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// Eight messages at a time.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
}

impl Kernel {
    /// The fastest kernel of this machine. What the machine has is looked up once for the process.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if !VECTORS_ARE_HIDDEN.load(Relaxed) {
            if let Some(avx512) = avx512::Avx512::detect() {
                return Self::Avx512(avx512);
            }
            if let Some(avx2) = avx2::Avx2::detect() {
                return Self::Avx2(avx2);
            }
        }
        Self::Scalar
    }

    /// Has [`detect`](Self::detect) find no vectors while `work` runs, in the whole process: to measure what they are worth
    /// to callers who do not choose their kernel. Not to be nested.
    pub fn without_vectors<T>(work: impl FnOnce() -> T) -> T {
        VECTORS_ARE_HIDDEN.store(true, Relaxed);
        let result = work();
        VECTORS_ARE_HIDDEN.store(false, Relaxed);
        result
    }

    /// All kernels of this machine, the slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(avx2::Avx2::detect().map(Self::Avx2));
            kernels.extend(avx512::Avx512::detect().map(Self::Avx512));
        }
        kernels
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
        }
    }

    /// As [`keccak256_each`](crate::keccak256_each), by this kernel.
    pub fn hash_each<'m>(self, mut message: impl FnMut(usize) -> &'m [u8], digests: &mut [B256]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) if digests.len() >= LANES_FROM => avx512.hash_each(message, digests),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) if digests.len() >= LANES_FROM => avx2.hash_each(message, digests),
            _ => {
                for (place, digest) in digests.iter_mut().enumerate() {
                    *digest = keccak256(message(place));
                }
            }
        }
    }

    /// As [`Batch::hash_into`], by this kernel.
    ///
    /// # Panics
    /// If there are not as many digests as messages.
    pub fn hash_batch(self, batch: &Batch, digests: &mut [B256]) {
        assert_eq!(batch.len(), digests.len(), "a digest for each message");
        self.hash_each(|place| batch.message(place), digests);
    }

    /// As [`keccak256_words`](crate::keccak256_words), by this kernel.
    ///
    /// # Panics
    /// If there are not as many digests as words.
    pub fn hash_words(self, words: &[B256], digests: &mut [B256]) {
        self.hash_keys::<32, _>(words, digests);
    }

    /// As [`keccak256_addresses`](crate::keccak256_addresses), by this kernel.
    ///
    /// # Panics
    /// If there are not as many digests as addresses.
    pub fn hash_addresses(self, addresses: &[Address], digests: &mut [B256]) {
        self.hash_keys::<20, _>(addresses, digests);
    }

    /// Eight keys of one length fill the lanes without any bookkeeping, which is a fifth of the time there. With four
    /// lanes it cannot be seen.
    fn hash_keys<const LEN: usize, K: AsRef<[u8; LEN]>>(self, keys: &[K], digests: &mut [B256]) {
        assert_eq!(keys.len(), digests.len(), "a digest for each key");
        let (keys, digests) = match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => {
                let (groups, keys) = keys.as_chunks();
                let (digest_groups, digests) = digests.as_chunks_mut();
                for (group, digests) in groups.iter().zip(digest_groups) {
                    *digests = avx512.hash_keys(group.each_ref().map(AsRef::as_ref));
                }
                (keys, digests)
            }
            _ => (keys, digests),
        };
        self.hash_each(|place| keys[place].as_ref(), digests);
    }
}
