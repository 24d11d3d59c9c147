//! Places for nodes in the arena: exact sizes, one short lock, a cache per operation.

use parking_lot::Mutex;

use crate::{
    TrieError,
    arena::{Arena, UNIT_BYTES},
};

/// Sizes are below this many units; the largest node, of sixteen children behind 63 nibbles, has 39.
pub(crate) const SIZES: usize = 40;

/// Units an operation takes from untouched memory at once.
const PIECE_UNITS: u64 = 4096;

/// Places of one size an operation takes at once.
const PLACES_AT_ONCE: usize = 64;

/// How many places ahead free memory is asked for, of each size.
const PLACES_AHEAD: usize = 3;

/// The arena and what is free of it.
#[derive(Debug)]
pub(crate) struct Heap {
    pub(crate) arena: Arena,
    free: Mutex<Free>,
}

/// Everything below `next` is in use, in one of the lists, or in the cache of an operation.
#[derive(Debug)]
struct Free {
    /// Free places by size. A place keeps its size: branches of all sizes come and go all the time, and blocks differ
    /// little in how many.
    by_size: [Vec<u32>; SIZES],
    /// Longer pieces: first unit and length.
    pieces: Vec<(u32, u32)>,
    /// The first unit that was never used.
    next: u64,
    /// Units that operations under way may still take at `next`.
    promised: u64,
}

/// Memory that is there for an operation when it comes to use it.
#[derive(Debug)]
pub(crate) struct Promise<'h> {
    heap: &'h Heap,
    units: u64,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.heap.free.lock().promised -= self.units;
    }
}

impl Heap {
    pub(crate) fn new(limit_bytes: u64) -> Result<Self, TrieError> {
        let free = Free {
            by_size: [const { Vec::new() }; SIZES],
            pieces: Vec::new(),
            // Place 0 stands for none.
            next: 1,
            promised: 0,
        };
        Ok(Self {
            arena: Arena::reserve(limit_bytes)?,
            free: Mutex::new(free),
        })
    }

    /// Sees to it that `units` can be allocated by `caches` caches as long as the promise is kept, so that an
    /// operation fails before it changes anything or not at all.
    pub(crate) fn promise(&self, units: u64, caches: usize) -> Result<Promise<'_>, TrieError> {
        // What is left of each piece may be too short for the next node, and of the last one is not used.
        let lost = units / PIECE_UNITS * SIZES as u64 * 2 + caches as u64 * 2 * PIECE_UNITS;
        let units = units + lost;
        let mut free = self.free.lock();
        self.arena.commit(free.next + free.promised + units)?;
        free.promised += units;
        Ok(Promise { heap: self, units })
    }

    pub(crate) fn cache(&self) -> Cache<'_> {
        Cache {
            heap: self,
            by_size: [const { Vec::new() }; SIZES],
            exhausted: 0,
            piece: (0, 0),
        }
    }

    /// Bytes of nodes, and of the places operations under way have taken.
    pub(crate) fn used_bytes(&self) -> u64 {
        let free = self.free.lock();
        let places: usize = free
            .by_size
            .iter()
            .enumerate()
            .map(|(size, places)| size * places.len())
            .sum();
        let pieces: u64 = free.pieces.iter().map(|piece| u64::from(piece.1)).sum();
        (free.next - 1 - places as u64 - pieces) * UNIT_BYTES
    }
}

/// Free places an operation has to itself. What is left goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Cache<'h> {
    heap: &'h Heap,
    by_size: [Vec<u32>; SIZES],
    /// Sizes of which the heap had none left, bit per size: asking again would only take the lock.
    exhausted: u64,
    /// First unit and length of a piece to cut places from.
    piece: (u32, u32),
}

impl Cache<'_> {
    /// A place of `units`.
    ///
    /// # Panics
    /// If more is allocated than was promised.
    #[inline]
    pub(crate) fn allocate(&mut self, units: usize) -> u32 {
        let places = &mut self.by_size[units];
        let Some(place) = places.pop() else {
            return self.allocate_more(units);
        };
        // Places were last used by a version long dropped, so they are in no cache, and will be written as a whole.
        if let Some(ahead) = places.len().checked_sub(PLACES_AHEAD) {
            self.heap.arena.prefetch_all(places[ahead], units);
        }
        place
    }

    #[inline]
    pub(crate) fn free(&mut self, place: u32, units: usize) {
        self.by_size[units].push(place);
    }

    fn allocate_more(&mut self, units: usize) -> u32 {
        if self.exhausted & 1 << units == 0 {
            let mut free = self.heap.free.lock();
            let places = &mut free.by_size[units];
            let kept = places.len().saturating_sub(PLACES_AT_ONCE);
            self.by_size[units].extend(places.drain(kept..));
            drop(free);
            if let Some(place) = self.by_size[units].pop() {
                return place;
            }
            self.exhausted |= 1 << units;
        }
        if (self.piece.1 as usize) < units {
            self.take_piece();
        }
        let place = self.piece.0;
        self.piece.0 += units as u32;
        self.piece.1 -= units as u32;
        place
    }

    fn take_piece(&mut self) {
        let (rest, length) = self.piece;
        if length > 0 {
            self.by_size[length as usize].push(rest);
        }
        let mut free = self.heap.free.lock();
        self.piece = free.pieces.pop().unwrap_or_else(|| {
            let first = free.next;
            free.next += PIECE_UNITS;
            let promised = free.next * UNIT_BYTES <= self.heap.arena.committed_bytes();
            assert!(promised, "an operation allocates what it was promised");
            (first as u32, PIECE_UNITS as u32)
        });
    }
}

impl Drop for Cache<'_> {
    fn drop(&mut self) {
        let mut free = self.heap.free.lock();
        for (all, own) in free.by_size.iter_mut().zip(&mut self.by_size) {
            all.append(own);
        }
        match self.piece {
            (_, 0) => {}
            (rest, length) if (length as usize) < SIZES => free.by_size[length as usize].push(rest),
            piece => free.pieces.push(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_is_used_again() {
        let heap = Heap::new(8 << 20).expect("address space");
        let promise = heap.promise(10_000, 1).expect("memory");
        let mut cache = heap.cache();
        let places: Vec<_> = (0..300)
            .map(|n| (cache.allocate(n % 36 + 4), n % 36 + 4))
            .collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert!(
            sorted
                .windows(2)
                .all(|pair| pair[0].0 + pair[0].1 as u32 <= pair[1].0),
            "places do not overlap"
        );
        drop(cache);
        let units: usize = places.iter().map(|place| place.1).sum();
        assert_eq!(heap.used_bytes(), units as u64 * UNIT_BYTES);
        let mut cache = heap.cache();
        for (place, units) in &places {
            cache.free(*place, *units);
        }
        drop((cache, promise));
        assert_eq!(heap.used_bytes(), 0);
        let _promise = heap.promise(10_000, 1).expect("memory");
        let mut cache = heap.cache();
        let mut again: Vec<_> = places
            .iter()
            .map(|place| (cache.allocate(place.1), place.1))
            .collect();
        again.sort_unstable();
        assert_eq!(again, sorted);
    }

    #[test]
    fn a_promise_that_cannot_be_kept_is_refused() {
        let heap = Heap::new(4 << 20).expect("address space");
        let promise = heap.promise(100_000, 1).expect("memory");
        assert!(heap.promise(150_000, 1).is_err());
        drop(promise);
        heap.promise(150_000, 1).expect("memory");
    }
}
