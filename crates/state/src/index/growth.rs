//! Growth: stripe by stripe into the other region, on the way of whoever adds.

use super::{Extent, Index, SECOND_REGION, STRIPES, WIDTH_MAX, tag_of};
use crate::{region::OutOfMemory, sync::atomic::Ordering::Relaxed};

/// Additions to a stripe between two steps of a growth under way. A stripe has room for an eighth more than it had when
/// growth began, so every stripe is moved long before it is full again.
const ADDITIONS_PER_STEP: u32 = 8;

/// How far it is. Every stripe has moved before the next growth begins.
#[derive(Debug)]
pub(super) struct Growth {
    /// Width that stripes have, or get.
    pub(super) width: usize,
    /// Region they are in, or go to.
    pub(super) second: bool,
    /// Stripes below it are there already; all, when nothing grows.
    pub(super) moved: usize,
    pub(super) additions: u32,
}

impl Index {
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

    pub(super) fn begin(&self, growth: &mut Growth, width: usize) {
        assert!(width <= WIDTH_MAX, "the ids end before the table does");
        growth.width = width;
        growth.second = !growth.second;
        growth.moved = 0;
        growth.additions = 0;
        let region = if growth.second { SECOND_REGION } else { 0 };
        self.usual.store(region | width as u64, Relaxed);
        self.growing.store(true, Relaxed);
    }

    /// Has a stripe of `width` words, which is full, grow.
    pub(super) fn grow(&self, stripe: usize, width: usize) {
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
    pub(super) fn keep_growing(&self) {
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
}
