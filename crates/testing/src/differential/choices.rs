//! Where a generator's choices come from.

/// A sequence of choices: endless from a seed, or read from bytes (a fuzzer's input), after which every choice is the
/// first alternative. The same seed or bytes give the same choices on every machine and in every version.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Seed(u64),
    Bytes(&'a [u8]),
}

impl Choices<'static> {
    /// Endless choices.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self {
            source: Source::Seed(seed),
        }
    }
}

impl<'a> Choices<'a> {
    /// Choices read from bytes.
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self {
            source: Source::Bytes(bytes),
        }
    }

    /// A number of `bytes` bytes.
    fn number(&mut self, bytes: usize) -> u64 {
        match &mut self.source {
            Source::Seed(state) => splitmix64(state),
            Source::Bytes(rest) => {
                let (taken, left) = rest.split_at(bytes.min(rest.len()));
                *rest = left;
                taken
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
        }
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.number(8)
    }

    /// A number less than `bound`; 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bytes = if bound <= 1 << 8 { 1 } else { 4 };
        match bound {
            0 | 1 => 0,
            _ => (self.number(bytes) % bound as u64) as usize,
        }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of 100 cases, and not when the bytes are used up.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of several, which must not be empty.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// An index, with the probability of its weight.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut at = self.below(total as usize) as u32;
        for (index, weight) in weights.iter().enumerate() {
            if at < *weight {
                return index;
            }
            at -= weight;
        }
        0
    }

    /// Bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number(1) as u8).collect()
    }
}

/// Sebastiano Vigna's splitmix64.
pub(crate) const fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number made from two.
pub(crate) const fn mix(left: u64, right: u64) -> u64 {
    let mut state = left ^ right.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    splitmix64(&mut state)
}
