//! Where a node answers.

use eyre::{OptionExt, WrapErr, bail};
use std::{fmt, str::FromStr};

/// An `http://` or `ws://` address with its host and port taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// JSON-RPC over HTTP POST.
    Http {
        /// `host:port`, for the connection and the `Host` header.
        authority: String,
        /// TCP port.
        port: u16,
        /// Request path, `/` if none was given.
        path: String,
    },
    /// JSON-RPC over WebSocket.
    Ws {
        /// The whole URL, for the handshake.
        url: String,
        /// TCP port.
        port: u16,
    },
}

impl Endpoint {
    /// HTTP at `127.0.0.1:port`.
    pub(crate) fn local_http(port: u16) -> Self {
        Self::Http {
            authority: format!("127.0.0.1:{port}"),
            port,
            path: "/".to_owned(),
        }
    }

    /// The TCP port of the endpoint.
    pub(crate) const fn port(&self) -> u16 {
        match self {
            Self::Http { port, .. } | Self::Ws { port, .. } => *port,
        }
    }
}

impl FromStr for Endpoint {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_eyre("expected http://host:port or ws://host:port")?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, "/".to_owned()),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().wrap_err_with(|| format!("port of {text}"))?),
            None => (authority, 80),
        };
        if host.is_empty() {
            bail!("no host in {text}");
        }
        let authority = format!("{host}:{port}");
        match scheme {
            "http" => Ok(Self::Http {
                authority,
                port,
                path,
            }),
            "ws" => Ok(Self::Ws {
                url: format!("ws://{authority}{path}"),
                port,
            }),
            other => bail!("scheme {other} is neither http nor ws"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { authority, path, .. } => write!(f, "http://{authority}{path}"),
            Self::Ws { url, .. } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, printed, port) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545/", 8545),
            ("http://node/rpc", "http://node:80/rpc", 80),
            ("ws://localhost:8546", "ws://localhost:8546/", 8546),
            ("http://[::1]:1/", "http://[::1]:1/", 1),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), printed);
            assert_eq!(endpoint.port(), port);
        }
    }

    #[test]
    fn refuses_what_it_cannot_reach() {
        for text in [
            "127.0.0.1:8545",
            "https://x:1",
            "ipc://a",
            "http://:1",
            "http://a:port",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
