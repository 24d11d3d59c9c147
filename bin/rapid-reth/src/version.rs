//! What this build is called.

use std::sync::LazyLock;

/// Name of the client, in log lines and as the start of its version string.
pub(crate) const CLIENT_NAME: &str = "rapid-reth";

/// Semantic version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit the program was built from, or `unknown`.
pub(crate) const GIT_SHA: &str = env!("RAPID_RETH_GIT_SHA");
/// When it was built: time of the commit.
pub(crate) const BUILD_TIMESTAMP: &str = env!("RAPID_RETH_BUILD_TIMESTAMP");
/// Target triple.
pub(crate) const TARGET: &str = env!("RAPID_RETH_TARGET");
/// Cargo profile.
pub(crate) const PROFILE: &str = env!("RAPID_RETH_PROFILE");

/// `0.1.0 (1a2b3c4d)`.
pub(crate) static SHORT: LazyLock<String> = LazyLock::new(|| format!("{VERSION} ({})", short_sha()));

/// Several lines, the semantic version first.
pub(crate) static LONG: LazyLock<String> = LazyLock::new(|| {
    format!(
        "Version: {VERSION}\nCommit SHA: {GIT_SHA}\nBuild Timestamp: {BUILD_TIMESTAMP}\nBuild Features: jemalloc\n\
         Build Profile: {PROFILE}"
    )
});

/// What `web3_clientVersion` answers: `rapid-reth/v0.1.0-1a2b3c4d/x86_64-unknown-linux-gnu`.
pub(crate) fn client_version() -> String {
    format!("{CLIENT_NAME}/v{VERSION}-{}/{TARGET}", short_sha())
}

/// Default extra data of a header: `rapid-reth/v0.1.0/linux`.
pub(crate) fn extra_data() -> String {
    let mut text = format!("{CLIENT_NAME}/v{VERSION}/{}", std::env::consts::OS);
    text.truncate(32);
    text
}

/// First four bytes of the commit in hex, or `unknown`.
pub(crate) fn short_sha() -> &'static str {
    GIT_SHA.get(..8).unwrap_or(GIT_SHA)
}
