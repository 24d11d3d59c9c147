//! What the loop takes from the machine it runs on: time and randomness come in here and nowhere else.

use std::time::{Duration, Instant, SystemTime};

use alloy_primitives::B256;

/// Time and randomness. Execution never sees either except through a block's environment, so a recorded order replays
/// to the same bytes.
pub trait Host: Send + 'static {
    /// Monotonic time, for deadlines.
    fn now(&self) -> Instant;

    /// Wall time since the epoch, for timestamps. May step back.
    fn wall(&self) -> Duration;

    /// A fresh random word, for `PREVRANDAO` (EIP-4399).
    fn random(&self) -> B256;
}

/// The operating system's clocks and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Duration {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn random(&self) -> B256 {
        let mut word = B256::ZERO;
        // Linux gives random bytes whenever a process can run; without them the word is a constant, which the chain's
        // rules allow.
        let _ = getrandom::fill(word.as_mut_slice());
        word
    }
}
