//! Starting a node and ending it, in the right order.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics::gauge;
use rapid_chain::{Chain, Opened};
use rapid_engine::Engine;
use rapid_log::Durability;
use rapid_pool::{HeadInfo, Pool, PoolConfig, Recovery, RecoveryConfig};
use rapid_rpc::{AuthConfig, EthParts, RpcModules, RpcServerConfig, RpcServers};
use rapid_sequencer::{Sequencer, SystemHost};
use tokio::task::JoinSet;

use crate::{
    AuthServer, BuildInfo, DataDir, DataDirLock, ForeignStore, MemoryMonitor, MetricsRecorder, MetricsServer,
    NodeConfig, NodeError, RethToml, Role, RunningCompiler, Store, StoreConfig, engine_events, events,
    execution::execution_mode, jwt,
};

/// How long production may take to stop and become durable. The servers have their own five seconds before that.
pub const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

/// A running node. Dropping it without [`Self::shutdown`] leaves everything announced in the log, as a crash would.
#[derive(Debug)]
pub struct NodeHandle {
    chain: Chain,
    pool: Pool,
    producer: Producer,
    rpc: RpcServers,
    compiler: RunningCompiler,
    metrics: Option<SocketAddr>,
    /// Ends when this is dropped.
    memory: MemoryMonitor,
    /// Status, block lines, metrics: aborted when this is dropped.
    tasks: JoinSet<()>,
    lock: DataDirLock,
}

/// Who advances the chain.
#[derive(Debug)]
enum Producer {
    Sequencer(Sequencer),
    /// The consensus client behind it.
    Engine(Engine),
}

impl Node {
    /// Starts a node: everything is recovered before anything is served, and it serves when this returns.
    ///
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running then.
    pub async fn launch(config: NodeConfig) -> Result<NodeHandle, NodeError> {
        let recorder = MetricsRecorder::install()?;
        tracing::info!(target: "reth::cli", path = ?config.datadir.store(), "Opening database");
        tracing::info!(target: "reth::cli", role = config.role.name(), "Launching node");
        let store = open_store(&config).await?;
        RethToml::load_or_create(&config.config_file)?;
        tracing::info!(target: "reth::cli", path = ?config.config_file, "Configuration loaded");
        let Store {
            chain,
            driver,
            tip,
            memory,
            lock,
        } = store;
        tell_store(&config, &chain);
        memory.tell();
        let memory = MemoryMonitor::start(&memory, &chain).map_err(NodeError::Thread)?;
        let pool = start_pool(&config.pool, &chain)?;
        let recovery =
            Recovery::start(RecoveryConfig::new(config.pool.decode_limits())).map_err(NodeError::Thread)?;
        tracing::info!(target: "reth::cli", "Transaction pool initialized");
        let compiler = RunningCompiler::start(config.compiler, &config.datadir, &chain)?;
        let mut tasks = JoinSet::new();
        let opened = Opened {
            chain: chain.clone(),
            driver,
            tip,
        };
        let producer = Producer::start(config.role, opened, &pool, &mut tasks)?;
        tracing::info!(target: "reth::cli", "Consensus engine initialized");
        let parts = EthParts {
            chain: chain.clone(),
            pool: pool.clone(),
            recovery: Arc::new(recovery),
            engine: producer.engine().map(|engine| engine.handle().clone()),
            signers: config.signers,
            config: config.eth,
        };
        let modules = RpcModules::of_node(parts, config.engine)
            .map_err(|error| NodeError::Methods(error.to_string()))?;
        tracing::info!(target: "reth::cli", "Engine API handler initialized");
        let rpc = start_rpc(config.rpc, config.auth.as_ref(), &config.datadir, modules).await;
        let rpc = match rpc {
            Ok(rpc) => rpc,
            Err(error) => return Err(give_up(producer, compiler, error).await),
        };
        let metrics = match start_metrics(config.metrics, &recorder, &mut tasks).await {
            Ok(address) => address,
            Err(error) => {
                rpc.stop().await;
                return Err(give_up(producer, compiler, error).await);
            }
        };
        describe(&chain, &config.build);
        tasks.spawn(recorder.upkeep());
        tasks.spawn(events::tell_status(chain.clone()));
        tracing::info!(target: "reth::cli", "Starting consensus engine");
        Ok(NodeHandle {
            chain,
            pool,
            producer,
            rpc,
            compiler,
            metrics,
            memory,
            tasks,
            lock,
        })
    }
}

impl Producer {
    /// Starts what the role asks for, and what tells of its blocks.
    fn start(role: Role, opened: Opened, pool: &Pool, tasks: &mut JoinSet<()>) -> Result<Self, NodeError> {
        match role {
            Role::Engine => {
                let engine = Engine::start(opened, pool.clone())?;
                tasks.spawn(engine_events::tell_engine(engine.handle().subscribe()));
                Ok(Self::Engine(engine))
            }
            Role::Sequencer(settings) => {
                tasks.spawn(events::tell_blocks(opened.chain.subscribe()));
                let sequencer = Sequencer::start(settings, SystemHost, opened, pool.clone())?;
                Ok(Self::Sequencer(sequencer))
            }
        }
    }

    const fn engine(&self) -> Option<&Engine> {
        match self {
            Self::Engine(engine) => Some(engine),
            Self::Sequencer(_) => None,
        }
    }
}

impl NodeHandle {
    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The pool.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Bound address of HTTP.
    #[must_use]
    pub const fn http(&self) -> Option<SocketAddr> {
        self.rpc.http()
    }

    /// Bound address of WebSocket.
    #[must_use]
    pub const fn ws(&self) -> Option<SocketAddr> {
        self.rpc.ws()
    }

    /// Bound address of the JWT port.
    #[must_use]
    pub const fn auth(&self) -> Option<SocketAddr> {
        self.rpc.auth()
    }

    /// Path of the IPC socket.
    #[must_use]
    pub fn ipc(&self) -> Option<&Path> {
        self.rpc.ipc()
    }

    /// Bound address of the metrics.
    #[must_use]
    pub const fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Waits until something without which the node is of no use has failed. Never returns while all is well.
    pub async fn wait(&self) -> NodeError {
        match &self.producer {
            Producer::Sequencer(sequencer) => sequencer.failed().await.into(),
            Producer::Engine(engine) => engine.failed().await.into(),
        }
    }

    /// Stops the servers, then production, makes everything durable, and releases the datadir.
    ///
    /// Takes at most the servers' grace and [`STOP_TIME_MAX`].
    ///
    /// # Errors
    /// [`NodeError`] if the sequencer had failed, or something could not be made durable in time.
    pub async fn shutdown(self) -> Result<(), NodeError> {
        let Self {
            producer,
            rpc,
            compiler,
            memory,
            mut tasks,
            lock,
            ..
        } = self;
        rpc.stop().await;
        let stopped = stop(producer, compiler).await;
        drop(memory);
        tasks.shutdown().await;
        drop(lock);
        stopped
    }
}

async fn open_store(config: &NodeConfig) -> Result<Store, NodeError> {
    let (spec, datadir) = (config.chain.clone(), config.datadir.clone());
    let store = StoreConfig {
        log: config.log.clone(),
        foreign: ForeignStore::Refuse,
        memory: config.memory,
        execution: execution_mode(&config.executor, &config.role)?,
    };
    let open = move || Store::open(spec, &datadir, store);
    Ok(tokio::task::spawn_blocking(open)
        .await
        .expect("recovery reports errors and does not panic")?)
}

fn tell_store(config: &NodeConfig, chain: &Chain) {
    let view = chain.view();
    tracing::info!(
        target: "reth::cli",
        latest_block = view.head.number(),
        mini_block = view.mini_block.0,
        "Database opened"
    );
    tracing::info!(target: "reth::cli", "\n{}", chain.spec().fork_table());
    let durability = config.log.durability;
    tracing::info!(target: "reth::cli", settings = %durability, pruning_mode = "archive", "Loaded storage settings");
    if let (Role::Sequencer(_), Durability::Async(window)) = (&config.role, durability) {
        tracing::info!(
            target: "reth::cli",
            "Mini-blocks are announced before they reach the disk: a power failure may lose the last {window:?}"
        );
    }
}

fn start_pool(config: &PoolConfig, chain: &Chain) -> Result<Pool, NodeError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let environment = chain.simulation_environment(&chain.view(), now)?;
    let config = PoolConfig {
        memory: chain.memory().clone(),
        ..config.clone()
    };
    Ok(Pool::new(config, &HeadInfo::of(chain.spec(), &environment)))
}

async fn start_rpc(
    mut config: RpcServerConfig,
    auth: Option<&AuthServer>,
    datadir: &DataDir,
    modules: RpcModules,
) -> Result<RpcServers, NodeError> {
    if let Some(auth) = auth {
        let secret = match &auth.secret_file {
            Some(path) => jwt::read(path)?,
            None => jwt::read_or_create(&datadir.jwt_file())?,
        };
        config.auth = Some(AuthConfig {
            address: auth.address,
            secret,
        });
    }
    let rpc = RpcServers::start(config, modules).await?;
    if let Some(url) = rpc.auth() {
        tracing::info!(target: "reth::cli", %url, "RPC auth server started");
    }
    if let Some(path) = rpc.ipc() {
        tracing::info!(target: "reth::cli", path = %path.display(), "RPC IPC server started");
    }
    if let Some(url) = rpc.http() {
        tracing::info!(target: "reth::cli", %url, "RPC HTTP server started");
    }
    if let Some(url) = rpc.ws() {
        tracing::info!(target: "reth::cli", %url, "RPC WS server started");
    }
    Ok(rpc)
}

async fn start_metrics(
    address: Option<SocketAddr>,
    recorder: &MetricsRecorder,
    tasks: &mut JoinSet<()>,
) -> Result<Option<SocketAddr>, NodeError> {
    let Some(address) = address else { return Ok(None) };
    let server = MetricsServer::bind(address, recorder.clone()).await?;
    let address = server.address();
    tracing::info!(target: "reth::cli", %address, "Starting metrics endpoint");
    tasks.spawn(server.serve());
    Ok(Some(address))
}

/// The gauges that only say what runs.
fn describe(chain: &Chain, build: &BuildInfo) {
    gauge!("reth_chain_spec", "name" => chain.spec().name().to_owned()).set(1.0);
    gauge!(
        "reth_info",
        "version" => build.version,
        "build_timestamp" => build.build_timestamp,
        "cargo_features" => "jemalloc",
        "git_sha" => build.git_sha,
        "target_triple" => build.target,
        "build_profile" => build.profile
    )
    .set(1.0);
    gauge!("reth_blockchain_tree_canonical_chain_height").set(chain.view().head.number() as f64);
}

/// Ends what was started before the start failed; the first error is the one to tell.
async fn give_up(producer: Producer, compiler: RunningCompiler, error: NodeError) -> NodeError {
    if let Err(also) = stop(producer, compiler).await {
        tracing::warn!(target: "reth::cli", error = %also, "The chain did not close well either");
    }
    error
}

async fn stop(producer: Producer, compiler: RunningCompiler) -> Result<(), NodeError> {
    let stop = tokio::task::spawn_blocking(move || {
        let stopped = match producer {
            Producer::Sequencer(sequencer) => sequencer.stop().map_err(NodeError::from),
            Producer::Engine(engine) => engine.stop().map_err(NodeError::from),
        };
        drop(compiler);
        stopped
    });
    match tokio::time::timeout(STOP_TIME_MAX, stop).await {
        Ok(stopped) => stopped.expect("stopping reports errors and does not panic"),
        Err(_) => Err(NodeError::StopTimeout(STOP_TIME_MAX)),
    }
}
