//! From the hash of a key to the place of its entry: a compact table that readers search without a lock.
//!
//! A word is `tag (32 bits of the hash) | id (32 bits)`. The words are in [`STRIPES`] equal stripes, chosen by other bits
//! of the hash; within a stripe they stand in the order of their tags, at or after the place that the tag names
//! (ordered linear probing), so a search ends at the first greater tag and the load can be high: 0.80 to 0.90, that is
//! 9 to 10 bytes an entry.
//!
//! The table grows by an eighth, stripe by stripe into a second region: the tag alone says where a word goes, so moving a
//! stripe streams over it and reads no entry, and the memory of stripes moved is given back on the way. Nothing ever
//! stops for longer than it takes to move one stripe.
//!
//! Each stripe has a counter that writers make odd while they change it. A reader that finds nothing believes it only if
//! the counter was even and stayed the same, and a writer that read "nothing there" can see from it whether a key
//! was added since ([`Gap`]). What a reader finds it compares with the entry itself, so a stale word does no harm.

use crate::{
    region::{OutOfMemory, Region},
    sync::{
        Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
        pause,
    },
};

/// Stripes of a table: how finely writers that add keys are kept apart, and the piece in which it grows. A power of two.
pub(crate) const STRIPES: usize = if cfg!(shuttle) {
    2
} else if cfg!(miri) {
    8
} else {
    1 << 12
};

/// Words of a stripe that is new.
const WIDTH_MIN: usize = if cfg!(any(miri, shuttle)) { 16 } else { 32 };

/// Words of a stripe at most: with all stripes 2^32 words, more than there are ids.
const WIDTH_MAX: usize = 1 << 20;

/// Words after the last place a tag can name, for what is displaced beyond it.
const fn overhang(width: usize) -> usize {
    let quarter = width / 4;
    if quarter < 64 { quarter } else { 64 }
}

/// Words in use from which on a stripe of this width asks for growth: a load of 0.9.
const fn full(width: usize) -> usize {
    width / 10 * 9
}

/// Additions to a stripe between two steps of a growth under way. A stripe has room for an eighth more than it had when
/// growth began, so every stripe is moved long before it is full again.
const ADDITIONS_PER_STEP: u32 = 8;

/// A key's hash, split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash {
    pub(crate) stripe: u32,
    pub(crate) tag: u32,
}

impl KeyHash {
    pub(crate) const fn new(hash: u64) -> Self {
        Self {
            stripe: (hash >> 40) as u32 % STRIPES as u32,
            tag: hash as u32,
        }
    }
}

/// Where a key was not, and when: it is absent as long as the stripe's counter stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) stripe: u32,
    pub(crate) counter: u64,
}

/// One stripe's own words, on a cache line of their own.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Stripe {
    /// Odd while somebody changes the stripe. Counts changes, two each.
    counter: AtomicU64,
    /// Which region it is in (top bit), and the place of its first word there.
    place: AtomicU64,
    /// `width u32 | words in use u32`.
    shape: AtomicU64,
}

const SECOND_REGION: u64 = 1 << 63;

/// Where a stripe is.
#[derive(Clone, Copy)]
struct Extent {
    second: bool,
    start: usize,
    width: usize,
    len: usize,
}

#[derive(Debug)]
struct Growth {
    /// Width that stripes have, or get.
    width: usize,
    /// Region they are in, or go to.
    second: bool,
    /// Stripes below it are there already; all, when nothing grows.
    moved: usize,
    additions: u32,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Index {
    regions: [Region; 2],
    stripes: Box<[Stripe]>,
    growth: Mutex<Growth>,
    growing: AtomicBool,
}

impl Index {
    /// An empty table.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        let words = STRIPES * WIDTH_MAX;
        let stripes = (0..STRIPES).map(|stripe| {
            let made = Stripe::default();
            made.set(Extent {
                second: false,
                start: stripe * WIDTH_MIN,
                width: WIDTH_MIN,
                len: 0,
            });
            made
        });
        Ok(Self {
            regions: [Region::reserve(words)?, Region::reserve(words)?],
            stripes: stripes.collect(),
            growth: Mutex::new(Growth {
                width: WIDTH_MIN,
                second: false,
                moved: STRIPES,
                additions: 0,
            }),
            growing: AtomicBool::new(false),
        })
    }

    /// Asks for the first words a search would read to be in the cache soon.
    #[inline]
    pub(crate) fn prefetch(&self, hash: KeyHash) {
        let extent = self.stripe(hash).extent();
        let home = extent.home(hash.tag);
        self.region(extent).prefetch(extent.start + home);
        self.region(extent).prefetch(extent.start + home + 8);
    }

    /// Asks `is_key` about the entries that may have the key, until it answers `Some`.
    ///
    /// # Errors
    /// Where there was nothing, if nothing was there.
    #[inline]
    pub(crate) fn search<T>(
        &self,
        hash: KeyHash,
        mut is_key: impl FnMut(u32) -> Option<T>,
    ) -> Result<T, Gap> {
        let stripe = self.stripe(hash);
        let mut spins = 0;
        loop {
            let counter = stripe.counter.load(Acquire);
            if let Some(found) = self.scan(stripe.extent(), hash.tag, &mut is_key) {
                return Ok(found);
            }
            fence(Acquire);
            if counter.is_multiple_of(2) && stripe.counter.load(Relaxed) == counter {
                return Err(Gap {
                    stripe: hash.stripe,
                    counter,
                });
            }
            pause(&mut spins);
        }
    }

    fn scan<T>(&self, extent: Extent, tag: u32, is_key: &mut impl FnMut(u32) -> Option<T>) -> Option<T> {
        let words = self
            .region(extent)
            .words()
            .get(extent.start..extent.start + extent.width)?;
        for word in &words[extent.home(tag)..] {
            let word = word.load(Relaxed);
            if word == 0 || tag_of(word) > tag {
                return None;
            }
            if tag_of(word) == tag
                && let Some(found) = is_key(id_of(word))
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether nothing was added to a stripe since. A commit asks after it took its sequence: an earlier one that added an entry
    /// made the counter odd before it took its own, and the exchange of sequences shows that to the later one.
    pub(crate) fn holds(&self, gap: Gap) -> bool {
        self.stripes[gap.stripe as usize].counter.load(Acquire) == gap.counter
    }

    /// Adds an entry, unless `is_key` says of another one that it has the same key: then that one is returned.
    pub(crate) fn insert(
        &self,
        hash: KeyHash,
        id: u32,
        mut is_key: impl FnMut(u32) -> bool,
    ) -> Result<(), u32> {
        let stripe = self.stripe(hash);
        loop {
            let locked = stripe.lock();
            let extent = stripe.extent();
            let known = self.scan(extent, hash.tag, &mut |id| is_key(id).then_some(id));
            if let Some(known) = known {
                return Err(known);
            }
            if extent.len < full(extent.width) && self.put(extent, hash.tag, id) {
                stripe.set(Extent {
                    len: extent.len + 1,
                    ..extent
                });
                drop(locked);
                self.keep_growing();
                return Ok(());
            }
            drop(locked);
            self.grow(hash.stripe as usize, extent.width);
        }
    }

    /// Puts a word in its place; `false` when the stripe's end leaves no room.
    fn put(&self, extent: Extent, tag: u32, id: u32) -> bool {
        let words = &self.region(extent).words()[extent.start..extent.start + extent.width];
        let mut at = extent.home(tag);
        while at < words.len() {
            let word = words[at].load(Relaxed);
            if word == 0 || tag_of(word) > tag {
                break;
            }
            at += 1;
        }
        let Some(free) = words[at.min(words.len())..]
            .iter()
            .position(|word| word.load(Relaxed) == 0)
        else {
            return false;
        };
        for to in (at + 1..=at + free).rev() {
            words[to].store(words[to - 1].load(Relaxed), Relaxed);
        }
        words[at].store(word_of(tag, id), Relaxed);
        true
    }

    /// Removes an entry; `false` if it is not in the table.
    pub(crate) fn remove(&self, hash: KeyHash, id: u32) -> bool {
        let stripe = self.stripe(hash);
        let _locked = stripe.lock();
        let extent = stripe.extent();
        let words = &self.region(extent).words()[extent.start..extent.start + extent.width];
        let wanted = word_of(hash.tag, id);
        let home = extent.home(hash.tag);
        let candidates = words[home..].iter().map(|word| word.load(Relaxed));
        let Some(found) = candidates
            .take_while(|word| *word != 0 && tag_of(*word) <= hash.tag)
            .position(|word| word == wanted)
        else {
            return false;
        };
        // What stands after its own place moves up by one.
        let mut at = home + found;
        while let Some(next) = words.get(at + 1).map(|word| word.load(Relaxed)) {
            if next == 0 || extent.home(tag_of(next)) > at {
                break;
            }
            words[at].store(next, Relaxed);
            at += 1;
        }
        words[at].store(0, Relaxed);
        stripe.set(Extent {
            len: extent.len - 1,
            ..extent
        });
        true
    }

    /// Makes room for this many entries at once, if nothing was added yet: so that loading does not grow step by step.
    pub(crate) fn reserve(&self, entries: usize) -> Result<(), OutOfMemory> {
        let mut growth = self.growth.lock();
        // What random keys put into the fullest of the stripes, nearly always.
        let mean = entries / STRIPES + 1;
        let fullest = mean + 5 * mean.isqrt() + 8;
        let width = (fullest * 10 / 9 + 1).next_multiple_of(8).min(WIDTH_MAX);
        if width <= growth.width || growth.moved < STRIPES {
            return Ok(());
        }
        self.regions[usize::from(!growth.second)].populate(0..width * STRIPES)?;
        self.begin(&mut growth, width);
        self.finish(&mut growth);
        Ok(())
    }

    /// Bytes of memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.growth.lock().width * STRIPES * size_of::<u64>()
    }

    fn begin(&self, growth: &mut Growth, width: usize) {
        assert!(width <= WIDTH_MAX, "the ids end before the table does");
        growth.width = width;
        growth.second = !growth.second;
        growth.moved = 0;
        growth.additions = 0;
        self.growing.store(true, Relaxed);
    }

    /// Has a stripe of `width` words, which is full, grow.
    fn grow(&self, stripe: usize, width: usize) {
        let mut growth = self.growth.lock();
        if self.stripes[stripe].extent().width != width {
            return;
        }
        if growth.width == width {
            // All others must have moved before they can move again.
            self.finish(&mut growth);
            self.begin(&mut growth, (width + width / 8).next_multiple_of(8));
        }
        self.move_stripe(&growth, stripe);
    }

    /// Takes part in a growth under way.
    fn keep_growing(&self) {
        if !self.growing.load(Relaxed) {
            return;
        }
        let Some(mut growth) = self.growth.try_lock() else {
            return;
        };
        growth.additions += 1;
        if growth.additions.is_multiple_of(ADDITIONS_PER_STEP) && growth.moved < STRIPES {
            self.step(&mut growth);
        }
    }

    fn finish(&self, growth: &mut Growth) {
        while growth.moved < STRIPES {
            self.step(growth);
        }
    }

    /// Moves the next stripe, and gives back the memory of those before it.
    fn step(&self, growth: &mut Growth) {
        /// Words given back at a time: a huge page.
        const PIECE: usize = 1 << 18;
        let extent = self.stripes[growth.moved].extent();
        if extent.second != growth.second {
            self.move_stripe(growth, growth.moved);
            let end = extent.start + extent.width;
            if extent.start / PIECE != end / PIECE {
                self.region(extent)
                    .release(extent.start / PIECE * PIECE..end / PIECE * PIECE);
            }
        }
        growth.moved += 1;
        if growth.moved == STRIPES {
            self.regions[usize::from(!growth.second)].release(0..usize::MAX);
            self.growing.store(false, Relaxed);
        }
    }

    fn move_stripe(&self, growth: &Growth, index: usize) {
        let stripe = &self.stripes[index];
        let _locked = stripe.lock();
        let from = stripe.extent();
        if from.second == growth.second {
            return;
        }
        let to = Extent {
            second: growth.second,
            start: index * growth.width,
            width: growth.width,
            len: from.len,
        };
        let source = &self.region(from).words()[from.start..from.start + from.width];
        let target = &self.region(to).words()[to.start..to.start + to.width];
        let mut next = 0;
        for word in source
            .iter()
            .map(|word| word.load(Relaxed))
            .filter(|word| *word != 0)
        {
            let at = to.home(tag_of(word)).max(next);
            target[at].store(word, Relaxed);
            next = at + 1;
        }
        stripe.set(to);
    }

    fn stripe(&self, hash: KeyHash) -> &Stripe {
        &self.stripes[hash.stripe as usize]
    }

    const fn region(&self, extent: Extent) -> &Region {
        &self.regions[extent.second as usize]
    }
}

const fn word_of(tag: u32, id: u32) -> u64 {
    (tag as u64) << 32 | id as u64
}

const fn tag_of(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn id_of(word: u64) -> u32 {
    word as u32
}

impl Extent {
    /// The place within the stripe that a tag names.
    #[inline]
    const fn home(&self, tag: u32) -> usize {
        ((tag as u64 * (self.width - overhang(self.width)) as u64) >> 32) as usize
    }
}

impl Stripe {
    /// Where the stripe is. Two words: what they say together counts only if the counter did not change meanwhile, and it orders
    /// them as it does the words of the stripe, so they are relaxed.
    #[inline]
    fn extent(&self) -> Extent {
        let (place, shape) = (self.place.load(Relaxed), self.shape.load(Relaxed));
        Extent {
            second: place & SECOND_REGION != 0,
            start: (place & !SECOND_REGION) as usize,
            width: (shape >> 32) as usize,
            len: shape as u32 as usize,
        }
    }

    fn set(&self, extent: Extent) {
        let region = if extent.second { SECOND_REGION } else { 0 };
        self.place.store(region | extent.start as u64, Relaxed);
        self.shape
            .store((extent.width as u64) << 32 | extent.len as u64, Relaxed);
    }

    fn lock(&self) -> LockedStripe<'_> {
        let mut spins = 0;
        loop {
            let counter = self.counter.load(Relaxed);
            if counter.is_multiple_of(2)
                && self
                    .counter
                    .compare_exchange_weak(counter, counter + 1, Acquire, Relaxed)
                    .is_ok()
            {
                // Nothing written under the lock is seen before the counter is odd.
                fence(Release);
                return LockedStripe(self);
            }
            pause(&mut spins);
        }
    }
}

struct LockedStripe<'a>(&'a Stripe);

impl Drop for LockedStripe<'_> {
    fn drop(&mut self) {
        let counter = self.0.counter.load(Relaxed);
        self.0.counter.store(counter + 1, Release);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn hash(key: u64) -> KeyHash {
        KeyHash::new(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key << 40)
    }

    fn find(index: &Index, key: u64, id: u32) -> bool {
        index
            .search(hash(key), |found| (found == id).then_some(()))
            .is_ok()
    }

    #[test]
    fn holds_what_was_added_through_growth_and_removals() {
        let index = Index::new().unwrap();
        let count = if cfg!(miri) { 300 } else { 400_000 };
        let mut model = BTreeMap::new();
        for key in 1..=count {
            index.insert(hash(key), key as u32, |_| false).unwrap();
            model.insert(key, key as u32);
            if key % 3 == 0 {
                let removed = key / 3 * 2;
                assert_eq!(
                    index.remove(hash(removed), removed as u32),
                    model.remove(&removed).is_some()
                );
            }
        }
        for key in 1..=count {
            assert_eq!(find(&index, key, key as u32), model.contains_key(&key), "{key}");
        }
        let bytes = index.bytes() as f64 / model.len() as f64;
        assert!(bytes < 24.0, "{bytes} bytes an entry");
    }

    #[test]
    fn keys_of_one_tag_and_stripe_are_told_apart_by_the_entry() {
        let index = Index::new().unwrap();
        let same = KeyHash {
            stripe: 1,
            tag: u32::MAX,
        };
        let ids = 1..=(if cfg!(miri) { 6 } else { 60 });
        for id in ids.clone() {
            index.insert(same, id, |_| false).unwrap();
        }
        assert_eq!(index.insert(same, 99, |id| id == 5), Err(5));
        for id in ids {
            assert_eq!(index.search(same, |found| (found == id).then_some(found)), Ok(id));
        }
    }

    #[test]
    fn a_gap_holds_until_something_is_added_to_its_stripe() {
        let index = Index::new().unwrap();
        let gap = index.search(hash(1), |_| None::<()>).unwrap_err();
        assert!(index.holds(gap));
        index.insert(hash(1), 1, |_| false).unwrap();
        assert!(!index.holds(gap));
    }

    #[test]
    fn a_stripe_that_is_mined_full_grows_and_stays_right() {
        let index = Index::new().unwrap();
        let crowded = |id: u32| KeyHash {
            stripe: 3,
            tag: id % 7,
        };
        let count = if cfg!(miri) { 40 } else { 2_000 };
        for id in 1..=count {
            index.insert(crowded(id), id, |_| false).unwrap();
        }
        for id in 1..=count {
            assert_eq!(
                index.search(crowded(id), |found| (found == id).then_some(id)),
                Ok(id)
            );
        }
    }

    #[test]
    fn room_can_be_made_ahead() {
        let index = Index::new().unwrap();
        index.insert(hash(1), 1, |_| false).unwrap();
        index.reserve(if cfg!(miri) { 100 } else { 1_000_000 }).unwrap();
        let bytes = index.bytes();
        assert!(find(&index, 1, 1));
        for key in 2..100 {
            index.insert(hash(key), key as u32, |_| false).unwrap();
        }
        assert_eq!(index.bytes(), bytes);
    }

    #[test]
    fn readers_see_every_key_while_others_add_and_remove() {
        let index = Index::new().unwrap();
        let fixed: u64 = if cfg!(miri) { 20 } else { 20_000 };
        let moving: u64 = if cfg!(miri) { 40 } else { 200_000 };
        (1..=fixed).for_each(|key| index.insert(hash(key), key as u32, |_| false).unwrap());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for key in fixed + 1..=fixed + moving {
                    index.insert(hash(key), key as u32, |_| false).unwrap();
                    if key % 2 == 0 {
                        assert!(index.remove(hash(key), key as u32));
                    }
                }
                done.store(true, Release);
            });
            scope.spawn(|| {
                let mut key = 0;
                while !done.load(Acquire) {
                    key = key % fixed + 1;
                    assert!(find(&index, key, key as u32), "{key}");
                }
            });
        });
    }
}
