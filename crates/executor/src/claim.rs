//! Claims about one field or slot, sorted by the block access index they are at.

use alloy_eip7928::{BalanceChange, CodeChange, NonceChange, StorageChange};

/// Something claimed at a block access index.
pub(crate) trait Claim {
    fn index(&self) -> u64;
}

impl Claim for NonceChange {
    fn index(&self) -> u64 {
        self.block_access_index.get()
    }
}

impl Claim for BalanceChange {
    fn index(&self) -> u64 {
        self.block_access_index.get()
    }
}

impl Claim for CodeChange {
    fn index(&self) -> u64 {
        self.block_access_index.get()
    }
}

impl Claim for StorageChange {
    fn index(&self) -> u64 {
        self.block_access_index.get()
    }
}

/// How many of the claims are before an index.
///
/// Those about what a whole block uses, as the beneficiary, are at all indices, and those of who sends often are spread
/// evenly. So the search begins where the index would be if they were, and widens from there.
fn count_before<T: Claim>(claims: &[T], index: u32) -> usize {
    let index = u64::from(index);
    let (Some(first), Some(last)) = (claims.first(), claims.last()) else {
        return 0;
    };
    if index <= first.index() {
        return 0;
    }
    if index > last.index() {
        return claims.len();
    }
    let (span, into) = (last.index() - first.index(), index - first.index());
    if span == claims.len() as u64 - 1 {
        // There is one at every index.
        return into as usize;
    }
    let guess = (into * (claims.len() as u64 - 1) / span) as usize;
    let (mut from, mut to, mut step) = (guess, guess, 1);
    while from > 0 && claims[from - 1].index() >= index {
        from = from.saturating_sub(step);
        step *= 2;
    }
    step = 1;
    while to < claims.len() && claims[to].index() < index {
        to = (to + step).min(claims.len());
        step *= 2;
    }
    from + claims[from..to].partition_point(|claim| claim.index() < index)
}

/// Where the claim at an index is.
pub(crate) fn position_at<T: Claim>(claims: &[T], index: u32) -> Option<usize> {
    let position = count_before(claims, index);
    let claim = claims.get(position)?;
    (claim.index() == u64::from(index)).then_some(position)
}

/// The claim at an index.
pub(crate) fn claim_at<T: Claim>(claims: &[T], index: u32) -> Option<&T> {
    position_at(claims, index).map(|position| &claims[position])
}

/// Where the last claim at `from` or later and before `until` is.
pub(crate) fn last_between<T: Claim>(claims: &[T], from: u32, until: u32) -> Option<usize> {
    let last = count_before(claims, until).checked_sub(1)?;
    (claims[last].index() >= u64::from(from)).then_some(last)
}

#[cfg(test)]
mod tests {
    use alloy_eip7928::BlockAccessIndex;

    use super::*;

    #[test]
    fn every_index_is_found_among_claims_however_they_are_spread() {
        let even: Vec<u64> = (0..40).collect();
        let even_later: Vec<u64> = (5..45).collect();
        let sparse: Vec<u64> = (0..40).map(|index| index * index).collect();
        let late = vec![0, 900, 901, 902, 905];
        let early = vec![1, 2, 3, 4, 1_000];
        for indices in [vec![], vec![7], even, even_later, sparse, late, early] {
            let claims: Vec<_> = indices
                .iter()
                .map(|index| NonceChange {
                    block_access_index: BlockAccessIndex::new(*index),
                    new_nonce: 0,
                })
                .collect();
            for index in 0..1_700 {
                let before = indices.iter().filter(|at| **at < u64::from(index)).count();
                assert_eq!(count_before(&claims, index), before, "{index} in {indices:?}");
                assert_eq!(
                    position_at(&claims, index).is_some(),
                    indices.contains(&u64::from(index))
                );
            }
        }
        let claims = [3, 5, 9].map(|index| NonceChange {
            block_access_index: BlockAccessIndex::new(index),
            new_nonce: 0,
        });
        assert_eq!(last_between(&claims, 4, 9), Some(1));
        assert_eq!(last_between(&claims, 6, 9), None);
        assert_eq!(last_between(&claims, 0, 3), None);
    }
}
