//! RPC servers and their limits.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use alloy_rpc_types_engine::JwtSecret;
use clap::Args;
use rapid_rpc::{EthConfig, IpcConfig, NamespaceSelection, RpcServerConfig, ServerLimits, TcpConfig};

use super::{Ports, time};

/// Which servers run, where, and what a caller may ask of them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "RPC")]
pub(crate) struct RpcArgs {
    /// Start the HTTP server; --dev does too.
    #[arg(long)]
    pub(crate) http: bool,

    /// Address the HTTP server listens on.
    #[arg(long = "http.addr", value_name = "HTTP_ADDR", default_value = "127.0.0.1")]
    pub(crate) http_addr: IpAddr,

    /// Port the HTTP server listens on.
    #[arg(long = "http.port", value_name = "HTTP_PORT", default_value_t = 8545)]
    pub(crate) http_port: u16,

    /// Namespaces served over HTTP, comma separated, or `all` or `none`.
    #[arg(long = "http.api", value_name = "HTTP_API", default_value = "eth,net,web3")]
    pub(crate) http_api: NamespaceSelection,

    /// Origins that browsers may call from over HTTP, comma separated, or `*`.
    #[arg(long = "http.corsdomain", value_name = "HTTP_CORSDOMAIN")]
    pub(crate) http_corsdomain: Option<String>,

    /// Start the WebSocket server.
    #[arg(long)]
    pub(crate) ws: bool,

    /// Address the WebSocket server listens on.
    #[arg(long = "ws.addr", value_name = "WS_ADDR", default_value = "127.0.0.1")]
    pub(crate) ws_addr: IpAddr,

    /// Port the WebSocket server listens on.
    #[arg(long = "ws.port", value_name = "WS_PORT", default_value_t = 8546)]
    pub(crate) ws_port: u16,

    /// Origins that browsers may connect from over WebSocket, comma separated, or `*`.
    #[arg(long = "ws.origins", value_name = "WS_ORIGINS", alias = "ws.corsdomain")]
    pub(crate) ws_origins: Option<String>,

    /// Namespaces served over WebSocket, comma separated, or `all` or `none`.
    #[arg(long = "ws.api", value_name = "WS_API", default_value = "eth,net,web3")]
    pub(crate) ws_api: NamespaceSelection,

    /// Do not start the IPC server.
    #[arg(long)]
    pub(crate) ipcdisable: bool,

    /// Path of the IPC socket.
    #[arg(long, value_name = "IPCPATH", default_value = "/tmp/reth.ipc")]
    pub(crate) ipcpath: PathBuf,

    /// Mode of the IPC socket, in octal.
    #[arg(long = "ipc.permissions", value_name = "IPC_SOCKET_PERMISSIONS", value_parser = octal_mode)]
    pub(crate) ipc_permissions: Option<u32>,

    /// Address the Engine API listens on.
    #[arg(long = "authrpc.addr", value_name = "AUTH_ADDR", default_value = "127.0.0.1")]
    pub(crate) auth_addr: IpAddr,

    /// Port the Engine API listens on.
    #[arg(long = "authrpc.port", value_name = "AUTH_PORT", default_value_t = 8551)]
    pub(crate) auth_port: u16,

    /// File with the secret shared with the consensus client.
    ///
    /// Default: <DATA_DIR>/jwt.hex, written on the first start.
    #[arg(long = "authrpc.jwtsecret", value_name = "PATH")]
    pub(crate) auth_jwtsecret: Option<PathBuf>,

    /// Do not start the Engine API server.
    #[arg(long, alias = "disable-engine-api")]
    pub(crate) disable_auth_server: bool,

    /// Secret that protects the HTTP and WebSocket servers, 32 bytes in hexadecimal.
    #[arg(long = "rpc.jwtsecret", value_name = "HEX", value_parser = jwt_secret)]
    pub(crate) rpc_jwtsecret: Option<JwtSecret>,

    /// Largest request body in MB.
    #[arg(
        long = "rpc.max-request-size",
        value_name = "MEGABYTES",
        alias = "rpc-max-request-size",
        default_value_t = 15
    )]
    pub(crate) max_request_megabytes: u32,

    /// Largest response body in MB.
    #[arg(
        long = "rpc.max-response-size",
        value_name = "MEGABYTES",
        alias = "rpc-max-response-size",
        visible_alias = "rpc.returndata.limit",
        default_value_t = 160
    )]
    pub(crate) max_response_megabytes: u32,

    /// Subscriptions per connection.
    #[arg(
        long = "rpc.max-subscriptions-per-connection",
        value_name = "COUNT",
        alias = "rpc-max-subscriptions-per-connection",
        default_value_t = 1024
    )]
    pub(crate) max_subscriptions_per_connection: u32,

    /// Connections per server.
    #[arg(
        long = "rpc.max-connections",
        value_name = "COUNT",
        alias = "rpc-max-connections",
        default_value_t = 500
    )]
    pub(crate) max_connections: u32,

    /// Calls that may read state or blocks at the same time.
    #[arg(
        long = "rpc.max-blocking-io-requests",
        value_name = "COUNT",
        alias = "rpc-max-blocking-io-requests",
        default_value_t = 256
    )]
    pub(crate) max_blocking_requests: usize,

    /// Blocks one eth_getLogs may span; 0 is no limit.
    #[arg(
        long = "rpc.max-blocks-per-filter",
        value_name = "COUNT",
        alias = "rpc-max-blocks-per-filter",
        default_value_t = 100_000
    )]
    pub(crate) max_blocks_per_filter: u64,

    /// Logs one eth_getLogs may return; 0 is no limit.
    #[arg(
        long = "rpc.max-logs-per-response",
        value_name = "COUNT",
        alias = "rpc-max-logs-per-response",
        default_value_t = 20_000
    )]
    pub(crate) max_logs_per_response: usize,

    /// Gas of one eth_call or estimation.
    #[arg(
        long = "rpc.gascap",
        value_name = "GAS_CAP",
        alias = "rpc-gascap",
        default_value_t = 50_000_000
    )]
    pub(crate) gas_cap: u64,

    /// Fee in ether above which a submitted transaction is refused; 0 is no limit.
    #[arg(long = "rpc.txfeecap", value_name = "TX_FEE_CAP", alias = "rpc-txfeecap", default_value = "1.0",
          value_parser = ether_to_wei)]
    pub(crate) tx_fee_cap_wei: u128,

    /// Memory in bytes of one eth_call or estimation.
    #[arg(
        long = "rpc.evm-memory-limit",
        value_name = "BYTES",
        alias = "rpc-evm-memory-limit",
        default_value_t = 4_294_967_295
    )]
    pub(crate) evm_memory_limit: u64,

    /// Blocks behind the head whose proofs eth_getProof answers, as far as they are in memory.
    #[arg(long = "rpc.eth-proof-window", value_name = "BLOCKS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=1_209_600))]
    pub(crate) proof_window: u64,

    /// Default and longest wait of eth_sendRawTransactionSync.
    #[arg(long = "rpc.send-raw-transaction-sync-timeout", value_name = "SECONDS", default_value = "30s",
          value_parser = time::seconds_or_human)]
    pub(crate) sync_send_timeout: Duration,
}

impl RpcArgs {
    /// The ports and the IPC path before any shift.
    pub(crate) fn ports(&self) -> Ports {
        Ports {
            http: self.http_port,
            ws: self.ws_port,
            auth: self.auth_port,
            ipc: self.ipcpath.clone(),
        }
    }

    /// The public servers, on the ports after the shift; `dev` starts HTTP.
    pub(crate) fn server_config(&self, ports: &Ports, dev: bool) -> RpcServerConfig {
        let http = TcpConfig {
            address: SocketAddr::new(self.http_addr, ports.http),
            namespaces: self.http_api.clone(),
            cors: self.http_corsdomain.clone(),
        };
        let ws = TcpConfig {
            address: SocketAddr::new(self.ws_addr, ports.ws),
            namespaces: self.ws_api.clone(),
            cors: self.ws_origins.clone(),
        };
        let ipc = IpcConfig {
            path: ports.ipc.clone(),
            permissions: self.ipc_permissions,
        };
        RpcServerConfig {
            http: (self.http || dev).then_some(http),
            ws: self.ws.then_some(ws),
            ipc: (!self.ipcdisable).then_some(ipc),
            auth: None,
            public_secret: self.rpc_jwtsecret,
            limits: ServerLimits {
                max_connections: self.max_connections,
                max_request_bytes: megabytes(self.max_request_megabytes),
                max_response_bytes: megabytes(self.max_response_megabytes),
                max_subscriptions_per_connection: self.max_subscriptions_per_connection,
                ..ServerLimits::default()
            },
        }
    }

    /// The bounds of the methods that these flags set.
    pub(crate) fn eth_config(&self) -> EthConfig {
        EthConfig {
            gas_cap: self.gas_cap,
            memory_limit: self.evm_memory_limit,
            log_blocks_max: self.max_blocks_per_filter,
            logs_max: self.max_logs_per_response,
            proof_window: self.proof_window,
            sync_timeout: self.sync_send_timeout,
            heavy_calls_waiting_max: self.max_blocking_requests,
            ..EthConfig::default()
        }
    }
}

const fn megabytes(count: u32) -> u32 {
    count.saturating_mul(1024 * 1024)
}

fn jwt_secret(text: &str) -> Result<JwtSecret, String> {
    JwtSecret::from_hex(text).map_err(|error| error.to_string())
}

fn octal_mode(text: &str) -> Result<u32, String> {
    let digits = text.trim_start_matches("0o");
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "a file mode in octal, for example 0600".to_owned())
}

/// Ether with up to 18 decimals to wei.
fn ether_to_wei(text: &str) -> Result<u128, String> {
    let invalid = || "an amount of ether, for example 1.5".to_owned();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) || fraction.len() > 18
    {
        return Err(invalid());
    }
    format!("{whole}{fraction:0<18}").parse().map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_is_read_exactly() {
        assert_eq!(ether_to_wei("1.0"), Ok(1_000_000_000_000_000_000));
        assert_eq!(ether_to_wei("0"), Ok(0));
        assert_eq!(ether_to_wei("0.000000000000000001"), Ok(1));
        assert_eq!(ether_to_wei("12"), Ok(12_000_000_000_000_000_000));
        for wrong in [
            "",
            ".",
            "-1",
            "1e18",
            "1.0000000000000000001",
            "999999999999999999999999999999",
        ] {
            assert!(ether_to_wei(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(octal_mode("0600"), Ok(0o600));
        assert_eq!(octal_mode("0o660"), Ok(0o660));
        assert!(octal_mode("980").is_err() && octal_mode("17777").is_err());
    }
}
