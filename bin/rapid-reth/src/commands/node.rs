//! `node`: runs a node until a signal.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use rapid_chainspec::ChainSpec;
use rapid_node::{AuthServer, BuildInfo, Node, NodeConfig, NodeHandle};
use rapid_rpc::{DevSigners, EngineInfo};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::DEFAULT_CHAIN;
use crate::{
    args::{
        BuilderArgs, DevArgs, EnvironmentArgs, ExecutorArgs, GasPriceArgs, JitArgs, LaneArgs, LogArgs,
        MetricsArgs, PortArgs, RpcArgs, SequencerArgs, StateMarkArgs, TxPoolArgs,
    },
    logging, version,
};

/// The chain of `--dev` without `--chain`.
const DEV_CHAIN: &str = "dev";
/// Keys derived from the seed phrase, as many as the local chains fund.
const DEV_SIGNERS: u32 = 20;
/// How long the runtime may take to end what still runs after everything was told to stop.
const RUNTIME_STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs the node.
#[derive(Args, Debug)]
pub(crate) struct NodeCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    marks: StateMarkArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Name of this node in web3_clientVersion.
    ///
    /// Default: the client's name, version, commit and target.
    #[arg(long, value_name = "IDENTITY", help_heading = "Networking")]
    identity: Option<String>,
    #[command(flatten)]
    rpc: RpcArgs,
    #[command(flatten)]
    gas_price: GasPriceArgs,
    #[command(flatten)]
    pool: TxPoolArgs,
    #[command(flatten)]
    lanes: LaneArgs,
    #[command(flatten)]
    builder: BuilderArgs,
    #[command(flatten)]
    sequencer: SequencerArgs,
    #[command(flatten)]
    executor: ExecutorArgs,
    #[command(flatten)]
    jit: JitArgs,
    #[command(flatten)]
    dev: DevArgs,
}

/// What the command line says beside the node's own flags.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Shift of the ports.
    pub(crate) ports: PortArgs,
    /// Log output.
    pub(crate) logs: LogArgs,
    /// Flags without effect, each with its reason.
    pub(crate) warnings: Vec<String>,
    /// The port that `--discovery.port` names, unless discovery is disabled.
    pub(crate) discovery_port: Option<u16>,
}

impl NodeCommand {
    /// Runs until SIGINT or SIGTERM, or until the node fails.
    pub(crate) fn run(self, around: &Surroundings) -> eyre::Result<()> {
        let default_chain = if self.dev.dev { DEV_CHAIN } else { DEFAULT_CHAIN };
        let chain = self.environment.chain.load(default_chain)?;
        let logging = logging::start_node(&around.logs, chain.name())?;
        if let Some(directory) = &logging.file_directory {
            tracing::info!(target: "reth::cli", "Initialized tracing, debug log directory: {}", directory.display());
        }
        tracing::info!(target: "reth::cli", version = %*version::SHORT, "Starting {}", version::CLIENT_NAME);
        around.tell(self.dev.dev);
        let config = self.config(chain, around.ports)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let ended = runtime.block_on(run_until_signal(config));
        runtime.shutdown_timeout(RUNTIME_STOP_TIME_MAX);
        ended
    }

    fn config(self, chain: Arc<ChainSpec>, ports: PortArgs) -> eyre::Result<NodeConfig> {
        let datadir = self.environment.resolve_datadir(&chain)?;
        let config_file = self.environment.config_file(&datadir);
        let executor = self.executor.config();
        let role = self.sequencer.role(&self.dev, &self.builder, executor, &chain)?;
        let ports = ports.adjust(self.rpc.ports());
        let signers = match self.dev.dev {
            true => DevSigners::from_mnemonic(&self.dev.dev_mnemonic, DEV_SIGNERS)?,
            false => DevSigners::none(),
        };
        let mut pool = self.pool.pool_config(chain.chain_id());
        pool.local_fee_cap = self.rpc.tx_fee_cap_wei;
        pool.lanes = self.lanes.config();
        let compiler = self.jit.config();
        let cache_bytes = pool.bytes_max() + compiler.runtime.code_bytes_max;
        let memory = self.marks.mark(self.environment.state.memory(cache_bytes));
        let mut eth = self.rpc.eth_config();
        eth.latest = self.sequencer.rpc_latest.into();
        eth.client_version = self.identity.unwrap_or_else(version::client_version);
        eth.finality_depth = self.dev.dev_finality_depth;
        eth.gas_oracle = self.gas_price.config();
        let auth = (!self.rpc.disable_auth_server).then(|| AuthServer {
            address: SocketAddr::new(self.rpc.auth_addr, ports.auth),
            secret_file: self.rpc.auth_jwtsecret.clone(),
        });
        Ok(NodeConfig {
            rpc: self.rpc.server_config(&ports, self.dev.dev),
            log: self.sequencer.log_config(self.dev.dev),
            compiler,
            executor,
            memory,
            metrics: self.metrics.metrics,
            engine: EngineInfo {
                commit: version::short_sha().to_owned(),
                ..EngineInfo::default()
            },
            build: BuildInfo {
                version: version::VERSION,
                git_sha: version::GIT_SHA,
                build_timestamp: version::BUILD_TIMESTAMP,
                target: version::TARGET,
                profile: version::PROFILE,
            },
            chain,
            datadir,
            config_file,
            role,
            pool,
            eth,
            signers,
            auth,
        })
    }
}

impl Surroundings {
    fn tell(&self, dev: bool) {
        for warning in &self.warnings {
            tracing::warn!(target: "reth::cli", "{warning}");
        }
        if let Some(port) = self.discovery_port.filter(|_| !dev) {
            // Tools that start a node with discovery wait for this line and read the port from it.
            tracing::debug!(
                target: "reth::cli",
                "Updated local ENR without a network: IpV4 UDP Socket: 127.0.0.1:{port}, not listening"
            );
        }
    }
}

async fn run_until_signal(config: NodeConfig) -> eyre::Result<()> {
    // Before the start, so that a signal during recovery is not lost.
    let mut signals = Signals::new()?;
    let node: NodeHandle = tokio::select! {
        launched = Node::launch(config) => launched?,
        () = signals.received() => return Ok(()),
    };
    let failure = tokio::select! {
        failure = node.wait() => Some(failure),
        () = signals.received() => None,
    };
    if let Some(error) = &failure {
        tracing::error!(target: "reth::cli", err = %error, "shutting down due to error");
    }
    let stopped = node.shutdown().await;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(stopped?),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either signal and says which it was.
    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => tracing::info!(target: "reth::cli", "Received ctrl-c"),
            _ = self.terminate.recv() => tracing::info!(target: "reth::cli", "Received SIGTERM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rapid_executor::ExecutorMode;
    use rapid_log::Durability;
    use rapid_node::Role;
    use rapid_sequencer::{BlockPolicy, EmptyBlocks, SequencerConfig, TimestampPolicy};

    use super::*;
    use crate::cli::{self, Commands};

    fn config(arguments: &[&str]) -> eyre::Result<NodeConfig> {
        let all = ["rapid-reth", "node", "--datadir", "/nowhere"]
            .into_iter()
            .chain(arguments.iter().copied());
        let parsed = cli::parse(all)?;
        let Commands::Node(command) = parsed.cli.command else {
            panic!("not the node")
        };
        let chain =
            command
                .environment
                .chain
                .load(if command.dev.dev { DEV_CHAIN } else { DEFAULT_CHAIN })?;
        command.config(chain, parsed.cli.ports)
    }

    fn sequencer(arguments: &[&str]) -> SequencerConfig {
        match config(arguments).unwrap().role {
            Role::Sequencer(sequencer) => sequencer,
            Role::Engine => panic!("not a sequencer"),
        }
    }

    #[test]
    fn dev_alone_mines_as_reth_does() {
        let config = config(&["--dev"]).unwrap();
        assert_eq!(config.chain.name(), "dev");
        assert_eq!(
            config.log.durability,
            Durability::Async(Duration::from_millis(10))
        );
        assert_eq!(config.signers.addresses().len(), 20);
        assert_eq!(
            config.rpc.http.as_ref().unwrap().address.to_string(),
            "127.0.0.1:8545"
        );
        assert!(config.rpc.ws.is_none() && config.auth.is_some());
        let sequencer = sequencer(&["--dev"]);
        assert_eq!(sequencer.block_policy, BlockPolicy::WhenIdle);
        assert_eq!(sequencer.timestamps, TimestampPolicy::RunAhead);
        assert_eq!(sequencer.mini_block_interval, Duration::from_millis(10));
    }

    #[test]
    fn the_real_time_chain_makes_a_block_each_second() {
        let second = Duration::from_secs(1);
        let interval = |interval, empty| BlockPolicy::Interval { interval, empty };
        let realtime = sequencer(&["--dev", "--chain", "realtime"]);
        assert_eq!(realtime.block_policy, interval(second, EmptyBlocks::Make));
        let timed = sequencer(&["--dev", "--dev.block-time", "2s"]);
        assert_eq!(timed.block_policy, interval(2 * second, EmptyBlocks::Make));
        let skipping = sequencer(&[
            "--dev",
            "--block.interval",
            "1s",
            "--sequencer.empty-blocks",
            "false",
        ]);
        assert_eq!(skipping.block_policy, interval(second, EmptyBlocks::Skip));
        let counted = sequencer(&["--dev", "--dev.block-max-transactions", "3"]);
        assert_eq!(counted.block_policy, BlockPolicy::AfterTransactions(3));
    }

    #[test]
    fn a_sequencer_without_dev_is_durable_and_waits_for_the_clock() {
        let arguments = ["--role", "sequencer", "--chain", "realtime"];
        let config = config(&arguments).unwrap();
        assert_eq!(config.log.durability, Durability::Sync);
        assert!(config.signers.addresses().is_empty() && config.rpc.http.is_none());
        assert_eq!(sequencer(&arguments).timestamps, TimestampPolicy::WaitForSecond);
    }

    #[test]
    fn flags_that_contradict_the_role_are_refused() {
        assert!(config(&["--dev", "--role", "engine"]).is_err());
        assert!(
            config(&["--chain", "dev", "--block.interval", "1s"]).is_err(),
            "an engine node makes no blocks"
        );
        assert!(
            config(&["--dev", "--sequencer.empty-blocks", "true"]).is_err(),
            "there is no interval"
        );
    }

    #[test]
    fn instances_shift_what_the_servers_listen_on() {
        let config = config(&["--chain", "dev", "--http", "--ws", "--instance", "3"]).unwrap();
        assert_eq!(config.rpc.http.unwrap().address.port(), 8543);
        assert_eq!(config.rpc.ws.unwrap().address.port(), 8550);
        assert_eq!(config.auth.unwrap().address.port(), 8751);
        assert_eq!(config.rpc.ipc.unwrap().path.to_str(), Some("/tmp/reth.ipc-3"));
    }

    #[test]
    fn both_roles_are_told_how_to_execute() {
        let flags = ["--executor", "sequential", "--executor.workers", "3"];
        let engine = config(&[&["--chain", "dev"][..], &flags].concat()).unwrap();
        assert_eq!(engine.executor.mode, ExecutorMode::Sequential);
        let arguments = [&["--dev"][..], &flags].concat();
        assert_eq!(
            sequencer(&arguments).executor,
            config(&arguments).unwrap().executor
        );
        assert_eq!(sequencer(&arguments).executor.workers.get(), 3);
        assert_eq!(sequencer(&["--dev"]).executor.mode, ExecutorMode::Parallel);
    }
}
