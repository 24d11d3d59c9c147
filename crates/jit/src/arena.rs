//! Executable memory, never writable and executable at the same time.

use std::ptr::NonNull;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Machine code in memory of its own: written first, then executable and read-only until it is dropped.
#[derive(Debug)]
pub(crate) struct Blob {
    start: NonNull<u8>,
    len: usize,
    mapped_len: usize,
}

/// The system gives no executable memory.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no executable memory: {0}")]
pub struct NoExecutableMemory(pub rustix::io::Errno);

const PAGE_BYTES: usize = 4096;

#[expect(
    unsafe_code,
    reason = "mapping and protecting memory is what this module is for"
)]
impl Blob {
    /// Maps memory, copies `code` into it, and makes it executable.
    ///
    /// # Errors
    /// If the system refuses one of the steps.
    pub(crate) fn new(code: &[u8]) -> Result<Self, NoExecutableMemory> {
        let mapped_len = code.len().max(1).next_multiple_of(PAGE_BYTES);
        // SAFETY: a fresh private mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                mapped_len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .map_err(NoExecutableMemory)?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(NoExecutableMemory(rustix::io::Errno::NOMEM))?;
        let blob = Self {
            start,
            len: code.len(),
            mapped_len,
        };
        // SAFETY: the mapping is at least as long as the code, writable, and nobody else knows of it.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), start.as_ptr(), code.len()) };
        // SAFETY: the range is exactly the mapping made above.
        unsafe {
            mprotect(
                start.as_ptr().cast(),
                mapped_len,
                MprotectFlags::READ | MprotectFlags::EXEC,
            )
        }
        .map_err(NoExecutableMemory)?;
        Ok(blob)
    }

    pub(crate) const fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn mapped_len(&self) -> usize {
        self.mapped_len
    }
}

impl Drop for Blob {
    #[expect(unsafe_code, reason = "the counterpart of the mapping above")]
    fn drop(&mut self) {
        // SAFETY: the mapping is owned by this value, and whoever runs its code keeps the value alive.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.mapped_len) };
        debug_assert!(unmapped.is_ok(), "unmapping an owned mapping cannot fail");
    }
}

// SAFETY: after `new` the memory is read-only and the value owns it.
#[expect(unsafe_code, reason = "read-only memory may be read from any thread")]
unsafe impl Send for Blob {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "read-only memory may be read from any thread")]
unsafe impl Sync for Blob {}
