//! Amounts of memory, as people write them.

use std::{fmt, str::FromStr};

/// Units, largest first: binary ones are what a size is printed in.
const BINARY: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];
const DECIMAL: [(&str, u64); 4] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size: write bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB, as in 16GiB")]
pub struct ByteSizeError(String);

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let error = || ByteSizeError(text.to_owned());
        let at = text
            .find(|char: char| !char.is_ascii_digit() && char != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let unit = unit.trim();
        let scale = match unit {
            "" | "B" => 1,
            unit => {
                let known = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
                BINARY.iter().chain(&DECIMAL).find(known).ok_or_else(error)?.1
            }
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(Self).ok_or_else(error);
        }
        let number: f64 = number.parse().map_err(|_| error())?;
        let bytes = number * scale as f64;
        // Beyond 2^53 bytes, which no machine has, a fraction would be rounded.
        let exact = scale > 1 && (0.0..9e15).contains(&bytes);
        exact.then_some(Self(bytes as u64)).ok_or_else(error)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BINARY.iter().find(|(_, scale)| self.0 >= *scale) {
            Some((unit, scale)) => write!(f, "{:.1} {unit}", self.0 as f64 / *scale as f64),
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("4096", 4_096),
            ("1MiB", 1 << 20),
            ("16GiB", 16 << 30),
            ("16 gib", 16 << 30),
            ("1.5GiB", 3 << 29),
            ("2GB", 2_000_000_000),
            ("3TiB", 3 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for wrong in [
            "",
            "GiB",
            "1.5",
            "-1",
            "1XiB",
            "1e3",
            "99999999999TiB",
            "1..5GiB",
            "85%",
        ] {
            let error = wrong.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.contains("16GiB"), "{error}");
        }
    }

    #[test]
    fn sizes_are_printed_with_a_unit() {
        let text = |bytes| ByteSize(bytes).to_string();
        assert_eq!(text(1_023), "1023 B");
        assert_eq!(text(1 << 20), "1.0 MiB");
        assert_eq!(text(240 << 30), "240.0 GiB");
    }
}
