//! How near the process is to its memory limit, for everybody who makes it grow.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::SeqCst},
};

/// How near the process is to its memory limit. Who samples it decides by marks; who makes it grow obeys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MemoryPressure {
    /// There is room.
    #[default]
    None = 0,
    /// Above the soft mark: grow slowly.
    Soft = 1,
    /// Above the hard mark: grow no more. Reads go on.
    Hard = 2,
}

impl MemoryPressure {
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::None,
            1 => Self::Soft,
            _ => Self::Hard,
        }
    }
}

/// The present [`MemoryPressure`]: one atomic that one thread stores and everybody loads. Clones are the same cell.
#[derive(Clone, Debug, Default)]
pub struct MemoryPressureCell(Arc<AtomicU8>);

impl MemoryPressureCell {
    /// The newest value stored.
    #[must_use]
    pub fn load(&self) -> MemoryPressure {
        MemoryPressure::of(self.0.load(SeqCst))
    }

    /// Tells everybody.
    pub fn store(&self, pressure: MemoryPressure) {
        self.0.store(pressure as u8, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_seen_through_every_clone() {
        let cell = MemoryPressureCell::default();
        let other = cell.clone();
        assert_eq!(other.load(), MemoryPressure::None);
        for pressure in [MemoryPressure::Hard, MemoryPressure::Soft, MemoryPressure::None] {
            cell.store(pressure);
            assert_eq!(other.load(), pressure);
        }
    }
}
