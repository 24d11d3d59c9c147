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

mod growth;
#[cfg(test)]
mod tests;

use growth::Growth;

use crate::{
    region::{OutOfMemory, Region},
    sync::{
        CHECKED, Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
        pause,
    },
};

/// Stripes of a table: how finely writers that add keys are kept apart, and the piece in which it grows. A power of two.
pub(crate) const STRIPES: usize = if CHECKED {
    2
} else if cfg!(miri) {
    8
} else {
    1 << 12
};

/// Words of a stripe that is new.
const WIDTH_MIN: usize = if cfg!(miri) || CHECKED { 16 } else { 32 };

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

/// The table.
#[derive(Debug)]
pub(crate) struct Index {
    regions: [Region; 2],
    stripes: Box<[Stripe]>,
    /// Where stripes are that growth has reached: `second region 1 | width`. All of them when nothing grows, so who looks
    /// there first seldom needs the stripe's own line, which is a miss of the cache.
    usual: AtomicU64,
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
            usual: AtomicU64::new(WIDTH_MIN as u64),
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
        let extent = self.usual_extent(hash);
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
        match self.scan(self.usual_extent(hash), hash.tag, &mut is_key) {
            Some(found) => Ok(found),
            None => self.search_stripe(hash, is_key),
        }
    }

    /// [Searches](Self::search) where the stripe says that it is, and knows whether there was nothing.
    fn search_stripe<T>(&self, hash: KeyHash, mut is_key: impl FnMut(u32) -> Option<T>) -> Result<T, Gap> {
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

    #[inline]
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

    /// Where the stripe of a key is, unless growth is under way.
    #[inline]
    fn usual_extent(&self, hash: KeyHash) -> Extent {
        let usual = self.usual.load(Relaxed);
        let width = (usual & !SECOND_REGION) as usize;
        Extent {
            second: usual & SECOND_REGION != 0,
            start: hash.stripe as usize * width,
            width,
            len: 0,
        }
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
