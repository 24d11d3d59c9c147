//! Durations on the command line.

use std::time::Duration;

/// Parses whole seconds (`12`) or a time with units (`250ms`, `1m 30s`).
pub(crate) fn seconds_or_human(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    human(text)
}

/// Parses a time with units (`10ms`, `1s`).
pub(crate) fn human(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 10ms or 1s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_seconds_only_where_reth_has_them() {
        assert_eq!(seconds_or_human("12"), Ok(Duration::from_secs(12)));
        assert_eq!(seconds_or_human("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(human("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(human("12").is_err());
    }
}
