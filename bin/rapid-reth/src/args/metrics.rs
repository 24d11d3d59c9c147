//! The metrics listener.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

/// Where metrics are served.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsArgs {
    /// Serve Prometheus metrics on this address, given as ADDRESS:PORT, or PORT on 127.0.0.1.
    #[arg(long, alias = "metrics.prometheus", value_name = "PROMETHEUS", value_parser = socket_address)]
    pub(crate) metrics: Option<SocketAddr>,
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let local = |port: &str| {
        port.parse()
            .ok()
            .map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    };
    let bare = text
        .strip_prefix("localhost:")
        .or_else(|| text.strip_prefix(':'))
        .unwrap_or(text);
    local(bare)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "ADDRESS:PORT or PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_local() {
        let local: SocketAddr = "127.0.0.1:9001".parse().unwrap();
        for text in ["9001", ":9001", "localhost:9001", "127.0.0.1:9001"] {
            assert_eq!(socket_address(text), Ok(local), "{text}");
        }
        assert_eq!(socket_address("[::1]:9"), Ok("[::1]:9".parse().unwrap()));
        assert!(socket_address("example.org:9001").is_err() && socket_address("99999").is_err());
    }
}
