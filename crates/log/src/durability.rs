//! When a mini-block may be announced.

use std::{fmt, str::FromStr, time::Duration};

/// When a mini-block may be announced, and what a power loss may take.
///
/// Written `sync`, `group:10ms`, `async:10ms`. All three survive `kill -9` without loss of anything announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Announced after an `fdatasync` covers it. A power loss takes nothing announced.
    #[default]
    Sync,
    /// As [`Self::Sync`], but records of up to this time share one `fdatasync`.
    Group(Duration),
    /// Announced after it is written. A power loss may take this much of production: the appender stalls before more
    /// than this is at risk.
    Async(Duration),
}

/// Why text is not a [`Durability`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurabilityParseError {
    /// No such policy.
    #[error(
        "unknown durability `{0}`; expected `sync`, `group:<time>` or `async:<time>`, for example `async:10ms`"
    )]
    Unknown(String),
    /// The window is not a positive time of at most a minute.
    #[error("`{0}` is not a time between 1us and 60s")]
    Window(String),
}

impl Durability {
    /// Longest window accepted: more than this at risk, or between announcements, is a mistake.
    pub const MAX_WINDOW: Duration = Duration::from_secs(60);

    /// Whether a mini-block is announced only once it is durable.
    #[must_use]
    pub const fn waits_for_sync(self) -> bool {
        !matches!(self, Self::Async(_))
    }
}

impl FromStr for Durability {
    type Err = DurabilityParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (policy, window) = match text.split_once(':') {
            None if text == "sync" => return Ok(Self::Sync),
            None => return Err(DurabilityParseError::Unknown(text.to_owned())),
            Some(parts) => parts,
        };
        let parsed = humantime::parse_duration(window)
            .ok()
            .filter(|window| *window >= Duration::from_micros(1) && *window <= Self::MAX_WINDOW)
            .ok_or_else(|| DurabilityParseError::Window(window.to_owned()));
        match policy {
            "group" => parsed.map(Self::Group),
            "async" => parsed.map(Self::Async),
            _ => Err(DurabilityParseError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync => f.write_str("sync"),
            Self::Group(window) => write_window(f, "group", *window),
            Self::Async(window) => write_window(f, "async", *window),
        }
    }
}

fn write_window(f: &mut fmt::Formatter<'_>, policy: &str, window: Duration) -> fmt::Result {
    // humantime separates units by a space, which a command line would split; it also reads them joined.
    let window = humantime::format_duration(window).to_string().replace(' ', "");
    write!(f, "{policy}:{window}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for policy in [
            Durability::Sync,
            Durability::Group(Duration::from_millis(10)),
            Durability::Async(Duration::from_micros(1_500)),
            Durability::Async(Duration::from_secs(1)),
        ] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!(
            "group:10ms".parse(),
            Ok(Durability::Group(Duration::from_millis(10)))
        );
        assert_eq!(
            Durability::Async(Duration::from_millis(10)).to_string(),
            "async:10ms"
        );
    }

    #[test]
    fn refuses_other_text() {
        for text in [
            "",
            "none",
            "sync:10ms",
            "group",
            "async:",
            "async:0ms",
            "async:2m",
            "group:ten",
            "fsync:1ms",
        ] {
            assert!(text.parse::<Durability>().is_err(), "{text}");
        }
    }
}
