//! The marks, and what crossing them means.

use std::str::FromStr;

use rapid_primitives::MemoryPressure;

use super::{ByteSize, size::ByteSizeError};

/// Numbers up to this one without a unit are percent: no mark is that few bytes.
const PERCENT_MAX: u64 = 100;

/// A mark as the operator gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Of the limit; at most 100.
    Percent(u64),
    /// As such.
    Size(ByteSize),
}

impl Mark {
    /// Default of the soft mark.
    pub const SOFT: Self = Self::Percent(85);
    /// Default of the hard mark.
    pub const HARD: Self = Self::Percent(95);

    const fn of(self, limit: ByteSize) -> ByteSize {
        match self {
            // Dividing first loses at most 99 bytes and never overflows.
            Self::Percent(percent) => ByteSize(limit.0 / 100 * percent),
            Self::Size(size) => size,
        }
    }
}

/// Why a text is no mark.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkParseError {
    /// A share above the whole, or none.
    #[error("a mark is at most 100% of the limit")]
    Percent,
    /// No share and no size.
    #[error("{0}; or a share of the limit, as in 85%")]
    Size(#[from] ByteSizeError),
}

impl FromStr for Mark {
    type Err = MarkParseError;

    /// `85%`, `85` or `200GiB`.
    fn from_str(text: &str) -> Result<Self, MarkParseError> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.trim().parse().map_err(|_| MarkParseError::Percent)?;
            let valid = (1..=PERCENT_MAX).contains(&percent);
            return valid
                .then_some(Self::Percent(percent))
                .ok_or(MarkParseError::Percent);
        }
        match text.parse::<u64>() {
            Ok(0) => Err(MarkParseError::Percent),
            Ok(percent) if percent <= PERCENT_MAX => Ok(Self::Percent(percent)),
            _ => Ok(Self::Size(text.parse()?)),
        }
    }
}

/// The marks of a running node, in bytes: soft below hard, hard at most the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    soft: ByteSize,
    hard: ByteSize,
}

/// The marks do not fit the limit or each other. The operator has to change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--state.soft-mark ({soft}) must be below --state.hard-mark ({hard}), and that at most the memory limit ({limit})"
)]
pub struct MarksError {
    soft: ByteSize,
    hard: ByteSize,
    limit: ByteSize,
}

impl Marks {
    /// The marks under a limit.
    ///
    /// # Errors
    /// [`MarksError`].
    pub fn new(soft: Mark, hard: Mark, limit: ByteSize) -> Result<Self, MarksError> {
        let (soft, hard) = (soft.of(limit), hard.of(limit));
        if soft < hard && hard <= limit {
            Ok(Self { soft, hard })
        } else {
            Err(MarksError { soft, hard, limit })
        }
    }

    /// Above it the node grows slowly.
    #[must_use]
    pub const fn soft(&self) -> ByteSize {
        self.soft
    }

    /// Above it the node is read-only.
    #[must_use]
    pub const fn hard(&self) -> ByteSize {
        self.hard
    }

    /// The pressure after a sample.
    ///
    /// A node is read-only until it is below the soft mark again, and slow until it is below that by a quarter of the
    /// distance between the marks: so what its own measures free does not make it swing.
    #[must_use]
    pub fn next(&self, before: MemoryPressure, resident: ByteSize) -> MemoryPressure {
        let calm = ByteSize(self.soft.0.saturating_sub((self.hard.0 - self.soft.0) / 4));
        if resident >= self.hard || (before == MemoryPressure::Hard && resident >= self.soft) {
            MemoryPressure::Hard
        } else if resident >= self.soft || (before != MemoryPressure::None && resident >= calm) {
            MemoryPressure::Soft
        } else {
            MemoryPressure::None
        }
    }
}

#[cfg(test)]
mod tests {
    use MemoryPressure::{Hard, None, Soft};

    use super::*;

    #[test]
    fn marks_are_shares_or_sizes() {
        assert_eq!("85%".parse(), Ok(Mark::Percent(85)));
        assert_eq!("100".parse(), Ok(Mark::Percent(100)));
        assert_eq!("101".parse(), Ok(Mark::Size(ByteSize(101))));
        assert_eq!("2GiB".parse(), Ok(Mark::Size(ByteSize(2 << 30))));
        for wrong in ["0", "0%", "101%", "-1", "high", ""] {
            assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn marks_stand_in_order_below_the_limit() {
        let limit = ByteSize(1_000);
        let marks = Marks::new(Mark::SOFT, Mark::HARD, limit).unwrap();
        assert_eq!((marks.soft(), marks.hard()), (ByteSize(850), ByteSize(950)));
        let size = |bytes| Mark::Size(ByteSize(bytes));
        assert!(Marks::new(size(10), size(1_000), limit).is_ok());
        assert!(Marks::new(size(10), size(10), limit).is_err());
        let above = Marks::new(size(10), size(1_001), limit).unwrap_err().to_string();
        assert!(above.contains("--state.hard-mark (1001 B)"), "{above}");
    }

    #[test]
    fn a_node_becomes_read_only_at_once_and_writable_only_below_the_soft_mark() {
        let marks = Marks::new(Mark::Percent(80), Mark::Percent(90), ByteSize(1_000)).unwrap();
        let mut pressure = None;
        let mut after = |resident| {
            pressure = marks.next(pressure, ByteSize(resident));
            pressure
        };
        let steps = [
            (799, None),
            (800, Soft),
            (790, Soft),
            (774, None),
            (899, Soft),
            (900, Hard),
            (801, Hard),
            (800, Hard),
            (799, Soft),
            (899, Soft),
            (5_000, Hard),
            (0, None),
        ];
        for (resident, expected) in steps {
            assert_eq!(after(resident), expected, "at {resident}");
        }
    }
}
