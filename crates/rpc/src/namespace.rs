//! Namespaces: the part of a method name before the underscore, and which of them a transport serves.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// A namespace of the JSON-RPC interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// Node administration.
    Admin,
    /// Raw data and tracing for developers.
    Debug,
    /// The Ethereum interface; `realtime_` methods come with it.
    Eth,
    /// Network identity.
    Net,
    /// Parity-style traces.
    Trace,
    /// Content of the transaction pool.
    Txpool,
    /// Client identity and hashing.
    Web3,
    /// The interface about the interface.
    Rpc,
    /// reth's own methods.
    Reth,
    /// Otterscan's methods.
    Ots,
    /// Block validation for builders.
    Flashbots,
    /// Mining controls.
    Miner,
    /// Bundles.
    Mev,
    /// Block building for tests.
    Testing,
}

impl Namespace {
    /// Every namespace, in the order of their declaration.
    pub const ALL: [Self; 14] = [
        Self::Admin,
        Self::Debug,
        Self::Eth,
        Self::Net,
        Self::Trace,
        Self::Txpool,
        Self::Web3,
        Self::Rpc,
        Self::Reth,
        Self::Ots,
        Self::Flashbots,
        Self::Miner,
        Self::Mev,
        Self::Testing,
    ];

    /// The name as it is written in flags and method names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Debug => "debug",
            Self::Eth => "eth",
            Self::Net => "net",
            Self::Trace => "trace",
            Self::Txpool => "txpool",
            Self::Web3 => "web3",
            Self::Rpc => "rpc",
            Self::Reth => "reth",
            Self::Ots => "ots",
            Self::Flashbots => "flashbots",
            Self::Miner => "miner",
            Self::Mev => "mev",
            Self::Testing => "testing",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A namespace nobody knows; the node must not start with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown RPC namespace `{0}`")]
pub struct UnknownNamespace(pub String);

impl FromStr for Namespace {
    type Err = UnknownNamespace;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|namespace| namespace.name() == name)
            .ok_or_else(|| UnknownNamespace(name.to_owned()))
    }
}

/// The namespaces that a transport serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSelection(BTreeSet<Namespace>);

impl NamespaceSelection {
    /// `eth,net,web3`: what HTTP and WebSocket serve unless told otherwise.
    #[must_use]
    pub fn standard() -> Self {
        Self(BTreeSet::from([Namespace::Eth, Namespace::Net, Namespace::Web3]))
    }

    /// Every namespace: what IPC serves.
    #[must_use]
    pub fn all() -> Self {
        Self(Namespace::ALL.into())
    }

    /// No namespace.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether the namespace is served.
    #[must_use]
    pub fn contains(&self, namespace: Namespace) -> bool {
        self.0.contains(&namespace)
    }

    /// The namespaces in order.
    pub fn iter(&self) -> impl Iterator<Item = Namespace> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Namespace> for NamespaceSelection {
    fn from_iter<I: IntoIterator<Item = Namespace>>(namespaces: I) -> Self {
        Self(namespaces.into_iter().collect())
    }
}

impl fmt::Display for NamespaceSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, namespace) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(namespace.name())?;
        }
        Ok(())
    }
}

impl FromStr for NamespaceSelection {
    type Err = UnknownNamespace;

    /// Parses a comma-separated list. `all` and `none` count when they come first, in any case of letters.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let first = list.split(',').next().unwrap_or_default().trim();
        if first.eq_ignore_ascii_case("all") {
            return Ok(Self::all());
        }
        if first.eq_ignore_ascii_case("none") {
            return Ok(Self::none());
        }
        list.split(',').map(|name| name.trim().parse()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_selects_what_it_names() {
        let selection: NamespaceSelection = "eth, txpool".parse().unwrap();
        assert!(selection.contains(Namespace::Eth) && selection.contains(Namespace::Txpool));
        assert!(!selection.contains(Namespace::Net));
        assert_eq!(selection.to_string(), "eth,txpool");
    }

    #[test]
    fn the_first_item_decides_about_keywords() {
        assert_eq!("ALL,eth".parse(), Ok(NamespaceSelection::all()));
        assert_eq!("None".parse(), Ok(NamespaceSelection::none()));
        assert_eq!(
            "eth,all".parse::<NamespaceSelection>(),
            Err(UnknownNamespace("all".into()))
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!(
            "eth,nope".parse::<NamespaceSelection>(),
            Err(UnknownNamespace("nope".into()))
        );
        assert!("".parse::<NamespaceSelection>().is_err());
    }
}
