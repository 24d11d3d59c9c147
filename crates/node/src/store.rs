//! Opening a datadir for this process alone.

use std::sync::Arc;

use rapid_chain::{Chain, ChainConfig, Driver, ExecutionMode, Opened, Tip};
use rapid_chainspec::ChainSpec;
use rapid_log::LogConfig;

use crate::{DataDir, DataDirError, DataDirLock, LockError, MemoryConfig, MemoryError, MemoryPlan};

/// Why a datadir was not opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It belongs to somebody else, or cannot be created.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// What it holds does not fit in memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Another process holds it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It holds another chain.
    #[error("genesis hash in the storage does not match the specified chainspec: {0}")]
    OtherChain(rapid_history::OpenError),
    /// What it holds cannot be recovered.
    #[error(transparent)]
    Chain(rapid_chain::OpenError),
}

impl From<rapid_chain::OpenError> for StoreError {
    fn from(error: rapid_chain::OpenError) -> Self {
        match error {
            rapid_chain::OpenError::HistoryOpen(error @ rapid_history::OpenError::OtherChain { .. }) => {
                Self::OtherChain(error)
            }
            error => Self::Chain(error),
        }
    }
}

/// What a datadir with reth's files and none of ours means to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignStore {
    /// The operator believes that the chain is there: do not begin at genesis.
    Refuse,
    /// The operator asked for a new store beside it; only a running reth is refused.
    Accept,
}

/// How a datadir is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Durability and sizes of the log.
    pub log: LogConfig,
    /// What files of reth mean.
    pub foreign: ForeignStore,
    /// How much memory there is.
    pub memory: MemoryConfig,
    /// How blocks from elsewhere are executed.
    pub execution: ExecutionMode,
}

impl StoreConfig {
    /// With the defaults of the log, refusing foreign stores, executing sequentially.
    #[must_use]
    pub fn new(memory: MemoryConfig) -> Self {
        Self {
            log: LogConfig::default(),
            foreign: ForeignStore::Refuse,
            memory,
            execution: ExecutionMode::Sequential,
        }
    }
}

/// An open datadir. It is locked until this is dropped.
#[derive(Debug)]
pub struct Store {
    /// The chain, to read.
    pub chain: Chain,
    /// The one handle that advances it.
    pub driver: Driver,
    /// Where it goes on.
    pub tip: Tip,
    /// How much memory there is for it.
    pub memory: MemoryPlan,
    /// Held as long as anything writes.
    pub lock: DataDirLock,
}

impl Store {
    /// Looks whether the state fits in memory, locks the datadir, creates what is missing, and recovers what was announced.
    ///
    /// Takes as long as reading the newest checkpoint and the log behind it does; nothing is executed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(spec: Arc<ChainSpec>, datadir: &DataDir, config: StoreConfig) -> Result<Self, StoreError> {
        match config.foreign {
            ForeignStore::Refuse => datadir.refuse_foreign_store()?,
            ForeignStore::Accept => datadir.refuse_running_reth()?,
        }
        let mut chain_config = ChainConfig {
            log: config.log,
            execution: config.execution,
            ..ChainConfig::new(datadir.store())
        };
        let memory = MemoryPlan::make(&config.memory, &spec, &mut chain_config)?;
        datadir.create()?;
        let lock = DataDirLock::acquire(&datadir.lock_file())?;
        let Opened { chain, driver, tip } = Chain::open(spec, &chain_config)?;
        Ok(Self {
            chain,
            driver,
            tip,
            memory,
            lock,
        })
    }

    /// Makes everything durable and closes the store.
    ///
    /// # Errors
    /// [`rapid_chain::ChainError`] if something could not be made durable.
    pub fn close(self) -> Result<(), rapid_chain::ChainError> {
        let Self { driver, lock, .. } = self;
        driver.shutdown()?;
        drop(lock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &std::path::Path, spec: ChainSpec) -> Result<Store, StoreError> {
        let datadir = DataDir::resolve(dir.to_str(), "test").unwrap();
        Store::open(
            Arc::new(spec),
            &datadir,
            StoreConfig::new(MemoryConfig::default()),
        )
    }

    #[test]
    fn a_datadir_is_opened_once_and_again_after_it_was_closed() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), ChainSpec::dev()).unwrap();
        assert_eq!(store.chain.view().head.hash, ChainSpec::dev().genesis_hash());
        assert!(matches!(
            open(dir.path(), ChainSpec::dev()),
            Err(StoreError::Lock(LockError::Held { .. }))
        ));
        store.close().unwrap();
        open(dir.path(), ChainSpec::dev()).unwrap().close().unwrap();
    }

    #[test]
    fn the_datadir_of_another_chain_is_refused_with_reths_words() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), ChainSpec::dev()).unwrap().close().unwrap();
        let error = open(dir.path(), ChainSpec::realtime()).unwrap_err().to_string();
        assert!(
            error.starts_with("genesis hash in the storage does not match the specified chainspec"),
            "{error}"
        );
        open(dir.path(), ChainSpec::dev())
            .expect("nothing was changed")
            .close()
            .unwrap();
    }
}
