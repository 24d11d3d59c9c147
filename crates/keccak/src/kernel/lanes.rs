//! Which message each lane of a vector is at.

use alloy_primitives::B256;

use crate::BLOCK_BYTES;

/// The bit that ends the padding, in the last word of a block.
pub(super) const PADDING_END: u64 = 1 << 63;

/// What an idle lane has nothing of. It is there because a load from where no memory is takes a hundred times as long,
/// even if a mask says that none of its bytes is wanted.
static NOTHING: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Messages on their way through the lanes. A lane whose message has ended takes the next one.
#[derive(Debug)]
pub(super) struct Lanes<'m, const LANES: usize> {
    /// What is left of the message in each lane; nothing in an idle one.
    rest: [&'m [u8]; LANES],
    /// Where the digest of each lane's message belongs.
    place: [usize; LANES],
    /// The lanes that have a message, a bit each.
    busy: u32,
    /// The next message.
    next: usize,
}

impl<'m, const LANES: usize> Lanes<'m, LANES> {
    /// The first of `count` messages in the lanes.
    #[inline]
    pub(super) fn fill(message: &mut impl FnMut(usize) -> &'m [u8], count: usize) -> Self {
        let mut lanes = Self {
            rest: [&NOTHING[..0]; LANES],
            place: [0; LANES],
            busy: 0,
            next: 0,
        };
        for lane in 0..LANES.min(count) {
            lanes.take_next(lane, message);
        }
        lanes
    }

    #[inline]
    fn take_next(&mut self, lane: usize, message: &mut impl FnMut(usize) -> &'m [u8]) {
        self.rest[lane] = message(self.next);
        self.place[lane] = self.next;
        self.busy |= 1 << lane;
        self.next += 1;
    }

    /// What is left of each lane's message: its next block is to be absorbed, with the padding if the message ends in
    /// it, which is if fewer bytes are left than a block has.
    #[inline]
    pub(super) const fn rest(&self) -> &[&'m [u8]; LANES] {
        &self.rest
    }

    /// Whether there is a message in any lane.
    #[inline]
    pub(super) const fn is_busy(&self) -> bool {
        self.busy != 0
    }

    /// The lanes, a bit each, whose message ends in the next block.
    #[inline]
    pub(super) fn ending(&self) -> u32 {
        let mut ending = 0;
        for (lane, rest) in self.rest.iter().enumerate() {
            ending |= u32::from(rest.len() < BLOCK_BYTES) << lane;
        }
        ending
    }

    /// Goes on to the next block of each message after one was absorbed that no message ended in.
    #[inline]
    pub(super) fn advance(&mut self) {
        for rest in &mut self.rest {
            *rest = &rest[BLOCK_BYTES..];
        }
    }

    /// Goes on to the next block after one that the messages of the lanes `ending` ended in: their digests, which
    /// `words` has as the first four words of all lanes, go to their places and the next messages come in.
    #[inline]
    pub(super) fn finish(
        &mut self,
        ending: u32,
        words: &[[u64; LANES]; 4],
        digests: &mut [B256],
        message: &mut impl FnMut(usize) -> &'m [u8],
    ) {
        for lane in 0..LANES {
            if ending >> lane & 1 == 0 {
                self.rest[lane] = &self.rest[lane][BLOCK_BYTES..];
            } else if self.busy >> lane & 1 != 0 {
                digests[self.place[lane]] = digest(words, lane);
                if self.next < digests.len() {
                    self.take_next(lane, message);
                } else {
                    self.rest[lane] = &NOTHING[..0];
                    self.busy &= !(1 << lane);
                }
            }
        }
    }
}

/// Where to load from what a message has from an offset on. If it has nothing there, its start, where there is memory:
/// see [`NOTHING`].
#[inline]
pub(super) fn start(rest: &[u8], from: usize) -> *const u8 {
    rest.get(from..).unwrap_or(rest).as_ptr()
}

/// The last word of the next block of a message, with the padding if the message ends in it.
#[inline]
pub(super) fn last_word(rest: &[u8]) -> i64 {
    let from = BLOCK_BYTES - 8;
    let word = match rest.get(from..) {
        None => PADDING_END,
        Some(rest) => rest.first_chunk().map_or_else(
            || {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                word[rest.len()] = 1;
                u64::from_le_bytes(word) | PADDING_END
            },
            |word| u64::from_le_bytes(*word),
        ),
    };
    word.cast_signed()
}

/// The digest of a lane.
#[inline]
pub(super) fn digest<const LANES: usize>(words: &[[u64; LANES]; 4], lane: usize) -> B256 {
    let mut digest = B256::ZERO;
    let (out, _) = digest.as_chunks_mut::<8>();
    for (out, word) in out.iter_mut().zip(words) {
        *out = word[lane].to_le_bytes();
    }
    digest
}
