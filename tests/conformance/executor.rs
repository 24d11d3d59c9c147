//! Who executes the blocks: one after the other, all workers at once with a hint made beforehand, or one after the other and
//! then production, which is given the same transactions.

use std::{
    io,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use production::{Checked, Content, Expected, Fault, Lineage, Rules, Subject, check};
use rapid_chain::{ExecutionMode, Importer};
use rapid_chainspec::ChainSpec;
use rapid_executor::{BlockHint, Pinning, Workers};
use rapid_primitives::{Block, SealedBlock};

use crate::{account::Accounts, arguments::ExecutorMode};

/// Workers of each block in execution. More than there are cores, so that they get in each other's way.
const WORKERS: usize = 3;

/// Executes the blocks of a run of vectors.
#[derive(Debug)]
pub(crate) struct Executor {
    mode: ExecutionMode,
    /// What production made, if valid blocks are to be made again.
    remade: Option<Mutex<Checked>>,
    /// Whether they are also made by the rules of Amsterdam.
    amsterdam: bool,
}

/// The blocks of a test that are made again by production.
#[derive(Debug)]
pub(crate) struct Remaking<'a> {
    executor: &'a Executor,
    lineage: Lineage,
}

impl Executor {
    pub(crate) fn new(mode: ExecutorMode) -> io::Result<Self> {
        Ok(Self {
            mode: match mode {
                ExecutorMode::Sequential | ExecutorMode::Production | ExecutorMode::ProductionAmsterdam => {
                    ExecutionMode::Sequential
                }
                ExecutorMode::Validation => {
                    let count = NonZeroUsize::new(WORKERS).expect("not zero");
                    let workers = Workers::start(count, &Pinning::Free).map_err(io::Error::other)?;
                    ExecutionMode::Parallel(Arc::new(workers.for_every_block()))
                }
            },
            remade: matches!(mode, ExecutorMode::Production | ExecutorMode::ProductionAmsterdam)
                .then(Mutex::default),
            amsterdam: mode == ExecutorMode::ProductionAmsterdam,
        })
    }

    /// For the chain's configuration.
    pub(crate) fn mode(&self) -> ExecutionMode {
        self.mode.clone()
    }

    /// What a block writes, found by executing it one transaction after the other. `None` if that fails: then the block must
    /// be refused anyway.
    pub(crate) fn hint(&self, importer: &mut Importer, block: &Block) -> Option<BlockHint> {
        match self.mode {
            ExecutionMode::Sequential => None,
            ExecutionMode::Parallel(_) => importer.hint_of(block).ok(),
        }
    }

    /// Whether valid blocks are made again.
    pub(crate) const fn remakes(&self) -> bool {
        self.remade.is_some()
    }

    /// To make the valid blocks of a test again that begins with these accounts; `None` if that is not asked for.
    pub(crate) fn remaking(&self, rules: Rules, accounts: &Accounts) -> Option<Remaking<'_>> {
        self.remade.as_ref()?;
        let others = self.others(&rules);
        let lineage = Lineage::new(rules, content(accounts));
        Some(Remaking {
            executor: self,
            lineage: match others {
                Some(others) => lineage.also_by(others),
                None => lineage,
            },
        })
    }

    /// Makes a block again that is in no chain, whether that is asked for or not.
    pub(crate) fn remake(
        &self,
        subject: &Subject<'_>,
        before: &Accounts,
        expected: &Expected<'_>,
    ) -> Result<(), String> {
        let before = content(before);
        self.count(check(subject, &before, expected))
            .map_err(|fault| format!("production: {fault}"))?;
        let Some(others) = self.others(subject.rules) else {
            return Ok(());
        };
        self.count(check(&subject.by(&others), &before, &Expected::Agreement))
            .map_err(|fault| format!("production by the rules of Amsterdam: {fault}"))
    }

    /// The rules of Amsterdam, if blocks are to be made by them as well. Blocks from before Cancun lack too much of what those
    /// ask for.
    fn others(&self, rules: &Rules) -> Option<Rules> {
        let mut genesis = rules.spec.genesis().clone();
        let config = &mut genesis.config;
        if !self.amsterdam || config.cancun_time != Some(0) {
            return None;
        }
        config.prague_time = Some(0);
        config.osaka_time = Some(0);
        config.amsterdam_time = Some(0);
        let spec = ChainSpec::from_genesis(genesis).ok()?;
        Some(Rules {
            spec: Arc::new(spec),
            compiler: rules.compiler.clone(),
        })
    }

    fn count(&self, checked: Result<Checked, Fault>) -> Result<(), Fault> {
        let checked = checked?;
        if let Some(remade) = &self.remade {
            *remade.lock().unwrap_or_else(PoisonError::into_inner) += checked;
        }
        Ok(())
    }

    /// What production made, in a line.
    pub(crate) fn summary(&self) -> Option<String> {
        let remade = self.remade.as_ref()?;
        Some(remade.lock().unwrap_or_else(PoisonError::into_inner).to_string())
    }
}

impl Remaking<'_> {
    /// Makes a valid block again, on the state of its parent.
    pub(crate) fn remake(&mut self, block: &SealedBlock) -> Result<(), String> {
        self.executor.count(self.lineage.check(block)).map_err(|fault| {
            let (number, hash) = (block.number(), block.hash);
            format!("production of block {number} ({hash}): {fault}")
        })
    }
}

fn content(accounts: &Accounts) -> Content {
    Content::new(
        accounts
            .iter()
            .map(|(address, account)| account.to_change(*address)),
    )
}
