//! Who executes which transaction, so that nobody takes one twice.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

/// Transactions taken together at most. Few enough that nobody is left with a long tail.
const TAKEN_TOGETHER_MAX: usize = 8;

/// Shares each worker should get to take, at least: with fewer the last to finish would keep the others waiting.
const SHARES_PER_WORKER: usize = 16;

/// The transactions of one block, handed out.
///
/// The worker at the front goes in the order of the block, so what is proven grows without gaps, and a lie is met early.
/// The others take the longest first, judged by gas limit, and among equals the last in the block, which is farthest from the
/// front.
#[derive(Debug)]
pub(crate) struct Schedule {
    taken: Vec<AtomicBool>,
    longest_first: Vec<u32>,
    next: AtomicUsize,
    taken_together: usize,
}

impl Schedule {
    /// Hands out transactions with these gas limits to so many workers.
    pub(crate) fn new(gas_limits: impl ExactSizeIterator<Item = u64>, workers: usize) -> Self {
        let count = gas_limits.len();
        let mut keys: Vec<(u64, u32)> = gas_limits.zip(0..).collect();
        keys.sort_unstable_by(|left, right| right.cmp(left));
        Self {
            taken: (0..count).map(|_| AtomicBool::new(false)).collect(),
            longest_first: keys.into_iter().map(|(_, position)| position).collect(),
            next: AtomicUsize::new(0),
            taken_together: (count / (workers * SHARES_PER_WORKER)).clamp(1, TAKEN_TOGETHER_MAX),
        }
    }

    /// Takes the first at `front` or later that nobody has; `front` is then the one after it.
    pub(crate) fn take_front(&self, front: &mut usize) -> Option<usize> {
        while *front < self.taken.len() {
            let position = *front;
            *front += 1;
            if self.take(position) {
                return Some(position);
            }
        }
        None
    }

    /// The next of those that are to be taken longest first; some may be taken already.
    pub(crate) fn next_longest(&self) -> Option<&[u32]> {
        let from = self.next.fetch_add(self.taken_together, Relaxed);
        let range: Range<usize> = from..self.longest_first.len().min(from + self.taken_together);
        self.longest_first.get(range).filter(|some| !some.is_empty())
    }

    /// Whether nobody has taken one yet.
    pub(crate) fn is_open(&self, position: usize) -> bool {
        !self.taken[position].load(Relaxed)
    }

    /// Takes one, unless somebody has.
    pub(crate) fn take(&self, position: usize) -> bool {
        // What is behind the transaction is published by other means.
        self.is_open(position) && !self.taken[position].swap(true, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_and_longest_share_everything() {
        let schedule = Schedule::new([5, 9, 5, 1].into_iter(), 2);
        assert_eq!(schedule.next_longest(), Some(&[1][..]), "the longest");
        assert_eq!(schedule.next_longest(), Some(&[2][..]), "the last of equals");
        assert!(schedule.take(1) && schedule.take(2) && !schedule.take(2));
        let mut front = 0;
        assert_eq!(schedule.take_front(&mut front), Some(0));
        assert_eq!(schedule.take_front(&mut front), Some(3));
        assert_eq!((schedule.take_front(&mut front), front), (None, 4));
    }

    #[test]
    fn the_end_is_the_end() {
        let schedule = Schedule::new([1; 300].into_iter(), 2);
        let mut seen = 0;
        while let Some(some) = schedule.next_longest() {
            seen += some.len();
        }
        assert_eq!((seen, schedule.next_longest()), (300, None));
        assert_eq!(Schedule::new([].into_iter(), 3).next_longest(), None);
    }
}
