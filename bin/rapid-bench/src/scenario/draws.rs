//! Draws that follow from a seed.

/// A stream of draws.
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (SplitMix64).
    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(super) const fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// True with so many per cent.
    pub(super) const fn per_cent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// A number in [0, 1).
    fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Zipf's law: the item of rank r is drawn in proportion to r to the power of minus the exponent.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    /// Of each item, the share that it and those before it have.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// The law over so many items.
    pub(super) fn new(items: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<_> = (1..=items)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        cumulative.iter_mut().for_each(|share| *share /= sum);
        Self { cumulative }
    }

    /// Draws an item.
    pub(super) fn draw(&self, draws: &mut Draws) -> usize {
        let fraction = draws.fraction();
        self.cumulative
            .partition_point(|share| *share <= fraction)
            .min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_of_exponent_one_halves_at_rank_two() {
        let (law, mut draws) = (Zipf::new(2, 1.0), Draws::new(3));
        let first = (0..30_000).filter(|_| law.draw(&mut draws) == 0).count();
        assert!(
            (19_500..20_500).contains(&first),
            "{first} of 30000, not two thirds"
        );
    }

    #[test]
    fn draws_follow_from_the_seed() {
        let three = |seed| {
            let mut draws = Draws::new(seed);
            [draws.bits(), draws.bits(), draws.bits()]
        };
        assert_eq!(three(1), three(1));
        assert_ne!(three(1), three(2));
    }
}
