//! A hash remembered behind a shared reference.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use alloy_primitives::B256;

/// The hash of something that does not change while the cell is shared, once somebody computed it.
///
/// Whoever sets it sets the same bytes, so two threads that do so at once cannot tear it. That makes it cheaper than
/// `OnceLock`, above all to copy, and copying a branch copies up to sixteen; and nobody ever waits on it.
pub(crate) struct HashCell {
    words: [AtomicU32; 8],
    known: AtomicBool,
}

impl HashCell {
    /// An empty cell.
    pub(crate) const fn new() -> Self {
        Self {
            words: [const { AtomicU32::new(0) }; 8],
            known: AtomicBool::new(false),
        }
    }

    /// The hash, if it is known.
    pub(crate) fn get(&self) -> Option<B256> {
        // Acquire: the words were written before the flag.
        self.known.load(Ordering::Acquire).then(|| {
            let mut hash = B256::ZERO;
            for (bytes, word) in hash.chunks_exact_mut(4).zip(&self.words) {
                bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            hash
        })
    }

    /// The hash, computed now if it is not known. `compute` must give the same bytes whoever calls it.
    pub(crate) fn get_or_compute(&self, compute: impl FnOnce() -> B256) -> B256 {
        self.get().unwrap_or_else(|| {
            let hash = compute();
            self.set(&hash);
            hash
        })
    }

    fn set(&self, hash: &B256) {
        for (bytes, word) in hash.chunks_exact(4).zip(&self.words) {
            word.store(
                u32::from_ne_bytes(bytes.try_into().expect("chunks of four")),
                Ordering::Relaxed,
            );
        }
        self.known.store(true, Ordering::Release);
    }
}

impl Clone for HashCell {
    fn clone(&self) -> Self {
        let copy = Self::new();
        if let Some(hash) = self.get() {
            copy.set(&hash);
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_and_copies() {
        let mut cell = HashCell::new();
        assert_eq!(cell.get(), None);
        let unset = cell.clone();
        let hash = B256::from(std::array::from_fn(|byte| byte as u8));
        assert_eq!(cell.get_or_compute(|| hash), hash);
        assert_eq!(cell.get_or_compute(|| B256::ZERO), hash, "computed once");
        assert_eq!(unset.get(), None);
        let copy = cell.clone();
        cell = HashCell::new();
        assert_eq!((cell.get(), copy.get()), (None, Some(hash)));
    }
}
