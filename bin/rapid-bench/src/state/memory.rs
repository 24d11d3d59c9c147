//! This process's memory as the kernel counts it, and as the caches have it.

use eyre::{OptionExt, WrapErr};
use std::{fs, hint::black_box};

/// Bytes that this process has for itself, and its share of those that it has with others.
///
/// # Errors
/// If the kernel does not say.
pub(crate) fn proportional_bytes() -> eyre::Result<u64> {
    read("/proc/self/smaps_rollup", "Pss:")
}

/// The most bytes that were resident since the start, or since [`forget_peak`].
///
/// # Errors
/// If the kernel does not say.
pub(crate) fn peak_bytes() -> eyre::Result<u64> {
    read("/proc/self/status", "VmHWM:")
}

/// Makes the peak what is resident now.
///
/// # Errors
/// If the kernel does not let it.
pub(crate) fn forget_peak() -> eyre::Result<()> {
    const RESET_PEAK: &str = "5";
    fs::write("/proc/self/clear_refs", RESET_PEAK).wrap_err("/proc/self/clear_refs")
}

fn read(path: &str, name: &str) -> eyre::Result<u64> {
    let text = fs::read_to_string(path).wrap_err_with(|| path.to_owned())?;
    parse(&text, name).ok_or_eyre("unexpected form of memory counts")
}

fn parse(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Memory that nobody else uses.
pub(crate) struct OtherMemory(Vec<u64>);

impl OtherMemory {
    /// More than the caches of most processors.
    pub(crate) fn new() -> Self {
        const BYTES: usize = if cfg!(test) { 1 << 20 } else { 128 << 20 };
        Self((0..BYTES as u64 / 8).collect())
    }

    /// Reads it, so that hardly anything else is in the caches.
    pub(crate) fn displace(&self) {
        black_box(self.0.iter().fold(0u64, |sum, word| sum.wrapping_add(*word)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_what_is_written() {
        const BYTES: usize = 64 << 20;
        forget_peak().unwrap();
        let before = proportional_bytes().unwrap();
        let bytes = std::hint::black_box(vec![1u8; BYTES]);
        let grown = proportional_bytes().unwrap() - before;
        assert!(grown > BYTES as u64 * 9 / 10, "{grown}");
        assert!(peak_bytes().unwrap() >= before + grown / 2);
        drop(bytes);
    }

    #[test]
    fn counts_are_kibibytes() {
        assert_eq!(parse("Rss: 1 kB\nPss:      12 kB\n", "Pss:"), Some(12 * 1024));
        assert_eq!(parse("Pss: many\n", "Pss:"), None);
    }
}
