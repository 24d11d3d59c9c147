//! The product of a compilation.

use crate::{
    ExitRow, NoExecutableMemory, Tier,
    analysis::Analysis,
    arena::Blob,
    emitted::Emitted,
    frame::{Enter, NO_ENTRY},
};

/// The machine code of one contract and the tables that belong to it. Dropping it unmaps the code.
#[derive(Debug)]
pub struct CompiledCode {
    pub(crate) blob: Blob,
    /// Offset of the [`Enter`] function in the blob.
    pub(crate) enter_offset: usize,
    /// Entry number per program counter.
    pub(crate) entries: Box<[u16]>,
    /// The same for jump destinations only: what a jump whose target is computed may go to.
    pub(crate) destinations: Box<[u16]>,
    /// Address per entry number.
    pub(crate) targets: Box<[CodeAddress]>,
    pub(crate) exits: Box<[ExitRow]>,
    pub(crate) tier: Tier,
    pub(crate) instructions: usize,
}

/// An address in a blob.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct CodeAddress(pub(crate) *const u8);

// SAFETY: the address is only ever jumped to, and what it points to does not change while the blob lives.
#[expect(
    unsafe_code,
    reason = "addresses of machine code are shared by all threads that run it"
)]
unsafe impl Send for CodeAddress {}
// SAFETY: as above.
#[expect(
    unsafe_code,
    reason = "addresses of machine code are shared by all threads that run it"
)]
unsafe impl Sync for CodeAddress {}

impl CompiledCode {
    /// Puts code into executable memory.
    ///
    /// # Errors
    /// If the system gives none.
    pub(crate) fn new(emitted: Emitted, analysis: &Analysis, tier: Tier) -> Result<Self, NoExecutableMemory> {
        let blob = Blob::new(&emitted.code)?;
        let address = |offset: &u32| CodeAddress(blob.as_ptr().wrapping_add(*offset as usize));
        let entries: Box<[u16]> = analysis
            .entries
            .iter()
            .map(|entry| entry.map_or(NO_ENTRY, |trace| trace.0 as u16))
            .collect();
        let mut destinations = entries.clone();
        for (pc, entry) in destinations.iter_mut().enumerate() {
            if !analysis.destinations[pc] {
                *entry = NO_ENTRY;
            }
        }
        Ok(Self {
            enter_offset: emitted.enter_offset,
            entries,
            destinations,
            targets: emitted.target_offsets.iter().map(address).collect(),
            exits: analysis.program.rows.as_slice().into(),
            tier,
            instructions: analysis.program.instructions,
            blob,
        })
    }

    /// The entry at a program counter, if there is one.
    #[inline]
    #[must_use]
    pub fn entry_at(&self, pc: usize) -> Option<u16> {
        self.entries.get(pc).copied().filter(|&entry| entry != NO_ENTRY)
    }

    /// Bytes of machine code.
    #[must_use]
    pub const fn code_bytes(&self) -> usize {
        self.blob.len()
    }

    /// Bytes of memory it takes: machine code, rounded up to pages, and tables.
    #[must_use]
    pub const fn resident_bytes(&self) -> usize {
        self.blob.mapped_len() + self.table_bytes()
    }

    /// Bytes of its tables.
    #[must_use]
    pub const fn table_bytes(&self) -> usize {
        size_of_val::<[u16]>(&self.entries)
            + size_of_val::<[u16]>(&self.destinations)
            + size_of_val::<[CodeAddress]>(&self.targets)
            + size_of_val::<[ExitRow]>(&self.exits)
    }

    /// Which tier made it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// EVM instructions that were compiled, copies counted.
    #[must_use]
    pub const fn instructions(&self) -> usize {
        self.instructions
    }

    #[expect(unsafe_code, reason = "machine code has no type that Rust could check")]
    #[inline]
    pub(crate) const fn enter(&self) -> Enter {
        // SAFETY: the compiler put a function of this type there (`Emitted::enter_offset`).
        unsafe { std::mem::transmute::<*const u8, Enter>(self.blob.as_ptr().add(self.enter_offset)) }
    }
}
