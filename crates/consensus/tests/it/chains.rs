//! Chains for tests: every fork up to a given one active from genesis.

use rapid_chainspec::ChainSpec;

/// Fields of the configuration in historical order, by the fork that they switch on.
const FORKS: [&str; 14] = [
    r#""homesteadBlock":0"#,
    r#""eip150Block":0"#,
    r#""eip155Block":0"#,
    r#""byzantiumBlock":0"#,
    r#""constantinopleBlock":0"#,
    r#""istanbulBlock":0"#,
    r#""muirGlacierBlock":0"#,
    r#""berlinBlock":0"#,
    r#""londonBlock":0"#,
    r#""terminalTotalDifficulty":0"#,
    r#""shanghaiTime":0"#,
    r#""cancunTime":0"#,
    r#""pragueTime":0"#,
    r#""osakaTime":0"#,
];

/// Number of chains that [`chain`] makes.
pub(crate) const CHAINS: usize = FORKS.len() + 1;

/// Frontier with the first `forks` of the list above.
pub(crate) fn chain(forks: usize) -> ChainSpec {
    with_config(&FORKS[..forks].join(","))
}

/// A chain with this configuration and no accounts.
pub(crate) fn with_config(config: &str) -> ChainSpec {
    let comma = if config.is_empty() { "" } else { "," };
    ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9{comma}{config}}},"gasLimit":"0x1c9c380"}}"#
    ))
    .expect("a well-formed test chain")
}
