//! Reserved address space of 64-bit words: an arena that grows in place, without ever being copied or moved.
//!
//! The whole of it is mapped at once and costs address space only; memory comes with the first touch of a page, in
//! huge pages where the kernel grants them (1.6 times faster dependent reads over 30 M slots than with 4 KiB pages).
//! [`Region::populate`] touches pages ahead of their use, so that a shortage is an error there and not a fault later.
//!
//! Words are atomics, read and written relaxed: whoever shares them orders them by other means, and a stale or torn
//! read is at worst a wrong number, never undefined behaviour. So the tables on top are safe code.

#![allow(
    unsafe_code,
    reason = "mapping memory and asking for cache lines has no safe form; what it gains is above"
)]

/// Memory could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system does not give {bytes} bytes of memory for the state")]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: usize,
}

pub(crate) use backing::Region;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for a value to be in the cache soon; not for what it refers to.
#[inline]
pub fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = std::ptr::from_ref(value).cast::<i8>();
        for offset in (0..size_of::<T>().max(1)).step_by(LINE) {
            // SAFETY: a prefetch reads nothing that the program sees and never faults, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(offset)) };
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = value;
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Region")
            .field("words", &self.words().len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(target_os = "linux", not(any(miri, loom, shuttle))))]
mod backing {
    use std::{ops::Range, ptr::NonNull, sync::atomic::AtomicU64};

    use rustix::{
        io::Errno,
        mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap},
        param::page_size,
    };

    use super::OutOfMemory;

    /// Bytes in a word.
    const WORD: usize = size_of::<AtomicU64>();

    /// The beginning of a region stays in small pages, so that a small state takes little memory, and no time to zero it.
    const SMALL_BYTES: usize = 2 << 20;

    /// Reserved words. They read as zero until written.
    pub(crate) struct Region {
        base: NonNull<AtomicU64>,
        words: usize,
    }

    // SAFETY: the mapping belongs to the region alone, is unmapped when it is dropped, and holds atomics only.
    unsafe impl Send for Region {}
    // SAFETY: as above; shared access is to atomics.
    unsafe impl Sync for Region {}

    impl Region {
        /// Reserves address space for `words`, at least one.
        ///
        /// # Errors
        /// [`OutOfMemory`] where the system limits address space.
        pub(crate) fn reserve(words: usize) -> Result<Self, OutOfMemory> {
            let bytes = words.max(1) * WORD;
            let failed = |_: Errno| OutOfMemory { bytes };
            // SAFETY: a fresh anonymous mapping overlaps nothing.
            let base = unsafe {
                mmap_anonymous(
                    std::ptr::null_mut(),
                    bytes,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE | MapFlags::NORESERVE,
                )
            }
            .map_err(failed)?;
            let region = Self {
                base: NonNull::new(base.cast()).ok_or(OutOfMemory { bytes })?,
                words: words.max(1),
            };
            if bytes > SMALL_BYTES {
                // SAFETY: the range is inside the mapping just made. A kernel without huge pages refuses, which costs speed
                // only.
                let _ = unsafe {
                    madvise(
                        region.at(SMALL_BYTES / WORD),
                        bytes - SMALL_BYTES,
                        Advice::LinuxHugepage,
                    )
                };
            }
            Ok(region)
        }

        /// All words.
        #[inline]
        pub(crate) const fn words(&self) -> &[AtomicU64] {
            // SAFETY: the mapping has this many words, zeroed by the kernel, and lives as long as `self`; any bit pattern is
            // a valid word.
            unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
        }

        /// Has the kernel back these words with memory now.
        ///
        /// # Errors
        /// [`OutOfMemory`] if it has none.
        pub(crate) fn populate(&self, words: Range<usize>) -> Result<(), OutOfMemory> {
            let words = words.start.min(self.words)..words.end.min(self.words);
            let page = page_size() / WORD;
            let (from, to) = (words.start / page * page, words.end.div_ceil(page) * page);
            let bytes = to.saturating_sub(from) * WORD;
            if bytes == 0 {
                return Ok(());
            }
            // SAFETY: the range is inside the mapping, which a whole number of pages backs; populating changes no content.
            match unsafe { madvise(self.at(from), bytes, Advice::LinuxPopulateWrite) } {
                // A kernel before 5.14 does not know how: the pages come with their first touch then.
                Ok(()) | Err(Errno::INVAL) => Ok(()),
                Err(_) => Err(OutOfMemory { bytes }),
            }
        }

        /// Gives the memory of whole pages within these words back; they read as zero from then on.
        ///
        /// Words of the range that share a page with others keep their content.
        pub(crate) fn release(&self, words: Range<usize>) {
            let page = page_size() / WORD;
            let (from, to) = (
                words.start.div_ceil(page) * page,
                words.end.min(self.words) / page * page,
            );
            if from < to {
                // SAFETY: the range is inside the mapping and holds atomics, for which zero is a valid value at any time.
                let released = unsafe { madvise(self.at(from), (to - from) * WORD, Advice::LinuxDontNeed) };
                debug_assert!(released.is_ok(), "{released:?}");
            }
        }

        /// Asks for a word to be in the cache soon. Out of range is nothing.
        #[inline]
        pub(crate) fn prefetch(&self, word: usize) {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                // SAFETY: a prefetch reads nothing that the program sees and never faults, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(self.base.as_ptr().wrapping_add(word).cast()) };
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = word;
        }

        fn at(&self, word: usize) -> *mut std::ffi::c_void {
            self.base.as_ptr().wrapping_add(word).cast()
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours, and nobody can hold a reference into it any more.
            let unmapped = unsafe { munmap(self.at(0), self.words * WORD) };
            debug_assert!(unmapped.is_ok(), "{unmapped:?}");
        }
    }
}

/// Where address space cannot be reserved a region is a plain allocation, so it is small.
#[cfg(any(not(target_os = "linux"), miri, loom, shuttle))]
mod backing {
    use std::ops::Range;

    use super::OutOfMemory;
    use crate::sync::{
        CHECKED,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    /// Words of a region at most.
    const WORDS_MAX: usize = if cfg!(loom) {
        1 << 6
    } else if CHECKED {
        1 << 9
    } else if cfg!(miri) {
        1 << 16
    } else {
        1 << 27
    };

    /// Allocated words. They read as zero until written.
    pub(crate) struct Region(Box<[AtomicU64]>);

    impl Region {
        pub(crate) fn reserve(words: usize) -> Result<Self, OutOfMemory> {
            Ok(Self(
                (0..words.min(WORDS_MAX)).map(|_| AtomicU64::new(0)).collect(),
            ))
        }

        pub(crate) const fn words(&self) -> &[AtomicU64] {
            &self.0
        }

        pub(crate) const fn populate(&self, _words: Range<usize>) -> Result<(), OutOfMemory> {
            Ok(())
        }

        pub(crate) fn release(&self, words: Range<usize>) {
            let words = words.start.min(self.0.len())..words.end.min(self.0.len());
            self.0[words].iter().for_each(|word| word.store(0, Relaxed));
        }

        pub(crate) const fn prefetch(&self, _word: usize) {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn words_are_zero_until_written_and_after_release() {
        let region = Region::reserve(1 << 15).unwrap();
        region.populate(0..5_000).unwrap();
        region.words()[3].store(7, Relaxed);
        region.words()[4_000].store(8, Relaxed);
        region.prefetch(usize::MAX);
        region.release(0..4_096);
        assert_eq!(region.words()[3].load(Relaxed), 0);
        assert_eq!(region.words()[4_000].load(Relaxed), 0);
        region.release(0..usize::MAX);
        region.words()[3].store(9, Relaxed);
        assert_eq!(region.words()[3].load(Relaxed), 9);
    }

    #[test]
    fn more_than_there_is_is_refused() {
        if cfg!(all(target_os = "linux", not(any(miri, loom, shuttle)))) {
            assert!(Region::reserve(1 << 50).is_err());
        }
    }
}
