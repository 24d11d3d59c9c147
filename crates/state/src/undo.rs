//! Old values: what entries were before they were written, for as long as a retained version may ask.
//!
//! A record is 56 bytes in an arena that all writers share in chunks. Each writer appends to chunks of its own, its
//! *ring*, in the order of its commits; an entry refers to its newest old value, and that to the one before. A reader
//! of a version goes back until a value is old enough. It may meet a record that was forgotten meanwhile: then the version
//! it reads is no longer retained, which it checks after reading.

use std::collections::VecDeque;

use crate::{
    entry::{ABSENT, Cell, Value},
    region::{OutOfMemory, Region},
    sync::{
        CHECKED, Mutex,
        atomic::{
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
    },
};

/// Words of a record: `previous record u32 | target id u32`, `sequence of the old value << 2 | kind`, sequence that
/// replaced it, the old value.
const WORDS: usize = 7;

/// What keeping one old value costs.
pub(crate) const RECORD_BYTES: usize = WORDS * size_of::<u64>();

/// Records of a chunk: 56 KiB.
const CHUNK: u32 = if CHECKED { 4 } else { 1 << 10 };

/// Chunks at most: 56 GiB of old values.
const CHUNKS_MAX: u32 = 1 << 20;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    Account(u32),
    Slot(u32),
    /// A storage that its account no longer has.
    Storage(u32),
    /// A wide balance that no account has any more.
    WideBalance(u32),
}

/// An old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) target: Target,
    /// Commit that wrote the old value.
    pub(crate) written: u64,
    /// Commit that replaced it.
    pub(crate) replaced: u64,
    pub(crate) value: Value,
    /// The old value before this one.
    pub(crate) previous: u32,
}

/// The records of all rings.
#[derive(Debug)]
pub(crate) struct UndoArena {
    region: Region,
    chunks: Mutex<Chunks>,
}

#[derive(Debug)]
struct Chunks {
    free: Vec<u32>,
    next: u32,
}

impl UndoArena {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            region: Region::reserve(CHUNKS_MAX as usize * CHUNK as usize * WORDS)?,
            chunks: Mutex::new(Chunks {
                free: Vec::new(),
                // Record 0 means that there is none.
                next: 1,
            }),
        })
    }

    /// The value of a cell at a version that was retained when the cell was read. The caller checks afterwards that it
    /// still is.
    pub(crate) fn value_at(&self, cell: &Cell, version: u64) -> Value {
        if cell.sequence <= version {
            return cell.value;
        }
        let (mut next, mut newer) = (cell.undo, cell.sequence);
        while next != 0 {
            let record = self.read(next);
            if record.written <= version {
                return record.value;
            }
            // A chain goes back in time, and has as many records as there were cuts. One that does not is made of records
            // used again meanwhile, and may go round in circles.
            if record.written >= newer {
                break;
            }
            (next, newer) = (record.previous, record.written);
        }
        ABSENT
    }

    pub(crate) fn read(&self, index: u32) -> Record {
        let first = index as usize * WORDS;
        let words = &self.region.words()[first..first + WORDS];
        let link = words[0].load(Acquire);
        let kind = words[1].load(Relaxed);
        let id = link as u32;
        Record {
            target: match kind & 3 {
                0 => Target::Account(id),
                1 => Target::Slot(id),
                2 => Target::Storage(id),
                _ => Target::WideBalance(id),
            },
            written: kind >> 2,
            replaced: words[2].load(Relaxed),
            value: std::array::from_fn(|word| words[3 + word].load(Relaxed)),
            previous: (link >> 32) as u32,
        }
    }

    fn write(&self, index: u32, record: &Record) {
        let first = index as usize * WORDS;
        let words = &self.region.words()[first..first + WORDS];
        let (kind, id) = match record.target {
            Target::Account(id) => (0, id),
            Target::Slot(id) => (1, id),
            Target::Storage(id) => (2, id),
            Target::WideBalance(id) => (3, id),
        };
        // Whoever forgot what was here raised the floor before that: a reader that sees a word of this record sees that too.
        fence(Release);
        words[1].store(record.written << 2 | kind, Relaxed);
        words[2].store(record.replaced, Relaxed);
        for (word, value) in words[3..].iter().zip(record.value) {
            word.store(value, Relaxed);
        }
        words[0].store(u64::from(record.previous) << 32 | u64::from(id), Release);
    }

    fn take_chunk(&self) -> u32 {
        let mut chunks = self.chunks.lock();
        if let Some(chunk) = chunks.free.pop() {
            return chunk;
        }
        let chunk = chunks.next;
        assert!(
            chunk < CHUNKS_MAX,
            "the past is bounded far below {CHUNKS_MAX} chunks"
        );
        let first = (chunk * CHUNK) as usize * WORDS;
        self.region
            .populate(first..first + CHUNK as usize * WORDS)
            .expect("the limits on memory stop production before the system has none left");
        chunks.next += 1;
        chunk
    }

    fn give_chunk(&self, chunk: u32) {
        self.chunks.lock().free.push(chunk);
    }
}

/// What one writer replaced, in commit order.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    chunks: VecDeque<u32>,
    /// Records of the first chunk that are forgotten.
    skipped: u32,
    /// Records in the last chunk.
    filled: u32,
    /// Bytes added since the last cut, which adds them to the total.
    pub(crate) untold_bytes: usize,
}

impl Ring {
    /// Appends a record; returns what an entry refers to it by.
    pub(crate) fn push(&mut self, arena: &UndoArena, record: &Record) -> u32 {
        if self.chunks.is_empty() || self.filled == CHUNK {
            self.chunks.push_back(arena.take_chunk());
            self.filled = 0;
        }
        let last = self.chunks.back().expect("one was just added if there was none");
        let index = last * CHUNK + self.filled;
        self.filled += 1;
        self.untold_bytes += RECORD_BYTES;
        arena.write(index, record);
        index
    }

    fn len(&self) -> usize {
        match self.chunks.len() {
            0 => 0,
            chunks => (chunks - 1) * CHUNK as usize + self.filled as usize - self.skipped as usize,
        }
    }

    fn index(&self, nth: usize) -> Option<u32> {
        let nth = nth + self.skipped as usize;
        let index = self.chunks.get(nth / CHUNK as usize)? * CHUNK + (nth % CHUNK as usize) as u32;
        (nth < self.len() + self.skipped as usize).then_some(index)
    }

    /// The commit of the `nth` oldest replacement, or of the newest if there are fewer.
    pub(crate) fn nth(&self, arena: &UndoArena, nth: usize) -> Option<u64> {
        let index = self.index(nth.min(self.len().checked_sub(1)?))?;
        Some(arena.read(index).replaced)
    }

    /// Takes replacements by commits up to `floor` out of the ring, oldest first and at most `limit`. They are to be
    /// [forgotten](Self::forget) next.
    pub(crate) fn oldest(&self, arena: &UndoArena, floor: u64, limit: usize) -> Vec<(u32, Record)> {
        (0..self.len().min(limit))
            .map_while(|nth| self.index(nth))
            .map(|index| (index, arena.read(index)))
            .take_while(|(_, record)| record.replaced <= floor)
            .collect()
    }

    /// Forgets the oldest `count` records; nothing refers to them any more.
    pub(crate) fn forget(&mut self, arena: &UndoArena, count: usize) {
        self.skipped += count as u32;
        while self.skipped >= CHUNK && self.chunks.len() > 1 {
            arena.give_chunk(self.chunks.pop_front().expect("there is more than one"));
            self.skipped -= CHUNK;
        }
        if self.chunks.len() == 1 && self.skipped == self.filled {
            arena.give_chunk(self.chunks.pop_front().expect("there is one"));
            (self.skipped, self.filled) = (0, 0);
        }
    }

    /// Replacements by commits after `version`, newest first.
    pub(crate) fn since<'a>(
        &'a self,
        arena: &'a UndoArena,
        version: u64,
    ) -> impl Iterator<Item = Record> + 'a {
        (0..self.len())
            .rev()
            .filter_map(|nth| self.index(nth))
            .map(|index| arena.read(index))
            .take_while(move |record| record.replaced > version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(replaced: u64) -> Record {
        Record {
            target: Target::Slot(replaced as u32),
            written: replaced - 1,
            replaced,
            value: [replaced; 4],
            previous: 0,
        }
    }

    #[test]
    fn a_ring_gives_back_what_was_pushed() {
        let arena = UndoArena::new().unwrap();
        let mut ring = Ring::default();
        let count = u64::from(CHUNK) * 3 + 7;
        (1..=count).for_each(|replaced| {
            ring.push(&arena, &record(replaced));
        });
        let newest = (count - 1999..=count).rev().map(record);
        assert!(ring.since(&arena, count - 2000).eq(newest));
        assert_eq!(ring.nth(&arena, 0), Some(1));
        assert_eq!(ring.nth(&arena, 1 << 20), Some(count));
        let floor = u64::from(CHUNK) * 2 + 3;
        let mut taken = 0;
        loop {
            let oldest = ring.oldest(&arena, floor, 100);
            if oldest.is_empty() {
                break;
            }
            for (_, found) in &oldest {
                taken += 1;
                assert_eq!(*found, record(taken));
            }
            ring.forget(&arena, oldest.len());
        }
        assert_eq!(taken, floor);
        assert_eq!(ring.nth(&arena, 0), Some(floor + 1));
        let rest = ring.len();
        ring.forget(&arena, rest);
        assert_eq!((ring.len(), ring.nth(&arena, 0)), (0, None));
        ring.push(&arena, &record(count + 1));
        assert!(ring.since(&arena, 0).eq([record(count + 1)]));
    }

    #[test]
    fn a_chain_of_any_length_is_followed_to_its_end() {
        let arena = UndoArena::new().unwrap();
        let mut ring = Ring::default();
        let cuts = if cfg!(miri) { 1_000 } else { 1_100_000 };
        let mut undo = 0;
        for written in 0..cuts {
            let value = [written; 4];
            undo = ring.push(
                &arena,
                &Record {
                    value,
                    previous: undo,
                    ..record(written + 1)
                },
            );
        }
        let cell = Cell {
            sequence: cuts,
            undo,
            value: [cuts; 4],
        };
        assert_eq!(arena.value_at(&cell, 7), [7; 4]);
    }

    #[test]
    fn a_chain_that_goes_round_in_circles_ends() {
        let arena = UndoArena::new().unwrap();
        let mut ring = Ring::default();
        let first = ring.push(&arena, &record(8));
        arena.write(
            first,
            &Record {
                previous: first,
                ..record(8)
            },
        );
        let cell = Cell {
            sequence: 9,
            undo: first,
            value: ABSENT,
        };
        assert_eq!(arena.value_at(&cell, 3), ABSENT);
    }

    #[test]
    fn a_chain_is_followed_to_the_version() {
        let arena = UndoArena::new().unwrap();
        let mut ring = Ring::default();
        let first = ring.push(
            &arena,
            &Record {
                written: 0,
                value: ABSENT,
                ..record(3)
            },
        );
        let second = ring.push(
            &arena,
            &Record {
                written: 3,
                value: [30; 4],
                previous: first,
                ..record(7)
            },
        );
        let cell = Cell {
            sequence: 7,
            undo: second,
            value: [70; 4],
        };
        let seen = [0, 2, 3, 6, 7, 9].map(|version| arena.value_at(&cell, version)[0]);
        assert_eq!(seen, [0, 0, 30, 30, 70, 70]);
    }
}
