//! Memory for nodes: one array of words in reserved address space, which grows without moving.

#![allow(
    unsafe_code,
    reason = "mapping memory has no safe form; a boxed slice would be copied as it grows"
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::TrieError;

/// Bytes of a unit, in which places and sizes of nodes are counted.
pub(crate) const UNIT_BYTES: u64 = 16;

/// Words of a unit.
const UNIT_WORDS: usize = 2;

/// Places are 32-bit numbers of units.
pub(crate) const ARENA_BYTES_MAX: u64 = UNIT_BYTES << 32;

/// Memory is taken from the system in pieces of this size, that of a huge page: large enough that asking is rare, and
/// small enough that the zeroing of one (about 0.2 ms) delays nobody.
const COMMIT_BYTES: u64 = 2 << 20;

const COMMIT_UNITS: u64 = COMMIT_BYTES / UNIT_BYTES;

/// Words that are read and written as relaxed atomics, so that no use of them by several threads is undefined. What
/// orders their uses is said where they are used.
#[derive(Debug)]
pub(crate) struct Arena {
    region: region::Region,
    limit_units: u64,
    /// Units backed by memory, from the start. Only grows.
    committed_units: AtomicU64,
}

impl Arena {
    /// Reserves address space for `limit_bytes`, at most [`ARENA_BYTES_MAX`]. Takes no memory.
    pub(crate) fn reserve(limit_bytes: u64) -> Result<Self, TrieError> {
        let limit_bytes = limit_bytes.clamp(COMMIT_BYTES, ARENA_BYTES_MAX) / COMMIT_BYTES * COMMIT_BYTES;
        let out_of_memory = TrieError::OutOfMemory {
            used_bytes: 0,
            limit_bytes,
        };
        Ok(Self {
            region: region::Region::reserve(limit_bytes as usize).ok_or(out_of_memory)?,
            limit_units: limit_bytes / UNIT_BYTES,
            committed_units: AtomicU64::new(0),
        })
    }

    /// Backs at least the first `units` with memory, which is there before this returns: shortage is an error here and
    /// never a signal later. One caller at a time.
    pub(crate) fn commit(&self, units: u64) -> Result<(), TrieError> {
        let committed = self.committed_units.load(Relaxed);
        if units <= committed {
            return Ok(());
        }
        let wanted = units.next_multiple_of(COMMIT_UNITS);
        let bytes = |units: u64| (units * UNIT_BYTES) as usize;
        if wanted > self.limit_units || !self.region.commit(bytes(committed), bytes(wanted)) {
            return Err(TrieError::OutOfMemory {
                used_bytes: committed * UNIT_BYTES,
                limit_bytes: self.limit_units * UNIT_BYTES,
            });
        }
        self.committed_units.store(wanted, Relaxed);
        Ok(())
    }

    pub(crate) fn committed_bytes(&self) -> u64 {
        self.committed_units.load(Relaxed) * UNIT_BYTES
    }

    /// The `count` words from the start of a unit.
    ///
    /// # Panics
    /// If they are not all backed by memory.
    #[inline]
    pub(crate) fn words(&self, unit: u32, count: usize) -> &[AtomicU64] {
        let end = u64::from(unit) + count.div_ceil(UNIT_WORDS) as u64;
        assert!(
            end <= self.committed_units.load(Relaxed),
            "a node is inside the arena"
        );
        let first = unit as usize * UNIT_WORDS;
        // SAFETY: all units below `committed_units` are inside the region and backed by zeroed memory that lives as
        // long as `self` and is only ever accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.region.words().add(first), count) }
    }

    /// Asks for the first two cache lines of a node, where all but the hashes of a usual one is. A hint.
    #[inline]
    pub(crate) fn prefetch(&self, unit: u32) {
        self.prefetch_bytes(unit, 0);
        self.prefetch_bytes(unit, 64);
    }

    /// Asks for all cache lines of a node. A hint.
    #[inline]
    pub(crate) fn prefetch_all(&self, unit: u32, units: usize) {
        for line in 0..(units * UNIT_BYTES as usize).div_ceil(64) {
            self.prefetch_bytes(unit, line * 64);
        }
    }

    #[inline]
    fn prefetch_bytes(&self, unit: u32, offset: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let place = self
                .region
                .words()
                .wrapping_add(unit as usize * UNIT_WORDS)
                .wrapping_byte_add(offset);
            // SAFETY: a prefetch accesses nothing, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = (unit, offset);
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod region {
    use std::{
        ptr::{self, NonNull},
        sync::atomic::AtomicU64,
    };

    use rustix::{
        io::Errno,
        mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap},
    };

    use super::COMMIT_BYTES;

    /// Address space, aligned to huge pages.
    #[derive(Debug)]
    pub(super) struct Region {
        mapping: NonNull<u8>,
        mapped_bytes: usize,
        /// The first huge page boundary in the mapping.
        start: NonNull<AtomicU64>,
    }

    // SAFETY: the mapping belongs to no thread, and is accessed as atomics only.
    unsafe impl Send for Region {}
    // SAFETY: as above; `commit` may be called by any thread, one at a time.
    unsafe impl Sync for Region {}

    impl Region {
        pub(super) fn reserve(bytes: usize) -> Option<Self> {
            let align = COMMIT_BYTES as usize;
            let mapped_bytes = bytes + align;
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            // SAFETY: a new mapping where the system finds room touches no other memory.
            let mapping = unsafe { mmap_anonymous(ptr::null_mut(), mapped_bytes, ProtFlags::empty(), flags) };
            let mapping = mapping.ok()?.cast::<u8>();
            let start = mapping.wrapping_add(mapping.align_offset(align));
            Some(Self {
                mapping: NonNull::new(mapping)?,
                mapped_bytes,
                start: NonNull::new(start.cast())?,
            })
        }

        /// Backs bytes `from..to` with memory; both are multiples of [`COMMIT_BYTES`] inside what was reserved.
        pub(super) fn commit(&self, from: usize, to: usize) -> bool {
            let start = self.start.as_ptr().wrapping_byte_add(from).cast();
            let length = to - from;
            // SAFETY: the range is inside the mapping, and nobody accesses it before it is committed.
            unsafe {
                if mprotect(start, length, MprotectFlags::READ | MprotectFlags::WRITE).is_err() {
                    return false;
                }
                // Fails where huge pages are not there to be had: slower, not wrong.
                let _ = madvise(start, length, Advice::LinuxHugepage);
                match madvise(start, length, Advice::LinuxPopulateWrite) {
                    // Kernels before 5.14 cannot; pages then come when first touched.
                    Ok(()) | Err(Errno::INVAL) => true,
                    Err(_) => false,
                }
            }
        }

        #[inline]
        pub(super) const fn words(&self) -> *const AtomicU64 {
            self.start.as_ptr()
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours, and what borrows from it borrows from `self`.
            let unmapped = unsafe { munmap(self.mapping.as_ptr().cast(), self.mapped_bytes) };
            debug_assert!(unmapped.is_ok(), "a whole mapping can be unmapped");
        }
    }
}

/// Where there is no such mapping: as much memory as may ever be used, which most systems back when it is touched.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod region {
    use std::{iter, sync::atomic::AtomicU64};

    #[derive(Debug)]
    pub(super) struct Region(Box<[AtomicU64]>);

    impl Region {
        pub(super) fn reserve(bytes: usize) -> Option<Self> {
            Some(Self(
                iter::repeat_with(|| AtomicU64::new(0)).take(bytes / 8).collect(),
            ))
        }

        pub(super) const fn commit(&self, _from: usize, _to: usize) -> bool {
            true
        }

        #[inline]
        pub(super) const fn words(&self) -> *const AtomicU64 {
            self.0.as_ptr()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_without_moving() {
        let arena = Arena::reserve(3 * COMMIT_BYTES).expect("address space");
        assert_eq!(arena.committed_bytes(), 0);
        arena.commit(1).expect("memory");
        assert_eq!(arena.committed_bytes(), COMMIT_BYTES);
        let word = &arena.words(COMMIT_UNITS as u32 - 1, 2)[1];
        word.store(7, Relaxed);
        arena.commit(2 * COMMIT_UNITS).expect("memory");
        assert_eq!(word.load(Relaxed), 7);
        assert_eq!(arena.words(COMMIT_UNITS as u32, 1)[0].load(Relaxed), 0);
    }

    #[test]
    fn refuses_beyond_its_limit() {
        let arena = Arena::reserve(2 * COMMIT_BYTES).expect("address space");
        arena.commit(COMMIT_UNITS).expect("memory");
        let refused = arena.commit(2 * COMMIT_UNITS + 1).expect_err("beyond the limit");
        assert_eq!(
            refused,
            TrieError::OutOfMemory {
                used_bytes: COMMIT_BYTES,
                limit_bytes: 2 * COMMIT_BYTES
            }
        );
        arena.commit(2 * COMMIT_UNITS).expect("up to the limit");
    }

    #[test]
    #[should_panic(expected = "inside the arena")]
    fn gives_no_words_without_memory() {
        let arena = Arena::reserve(COMMIT_BYTES).expect("address space");
        let _ = arena.words(0, 1);
    }
}
