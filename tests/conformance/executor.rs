//! Who executes the blocks: one after the other, or all workers at once with a hint made beforehand.

use std::{io, num::NonZeroUsize, sync::Arc};

use rapid_chain::{ExecutionMode, Importer};
use rapid_executor::{BlockHint, Pinning, Workers};
use rapid_primitives::Block;

use crate::arguments::ExecutorMode;

/// Workers of each block in execution. More than there are cores, so that they get in each other's way.
const WORKERS: usize = 3;

/// Executes the blocks of a run of vectors.
#[derive(Debug)]
pub(crate) struct Executor(ExecutionMode);

impl Executor {
    pub(crate) fn new(mode: ExecutorMode) -> io::Result<Self> {
        Ok(Self(match mode {
            ExecutorMode::Sequential => ExecutionMode::Sequential,
            ExecutorMode::Validation => {
                let count = NonZeroUsize::new(WORKERS).expect("not zero");
                let workers = Workers::start(count, &Pinning::Free).map_err(io::Error::other)?;
                ExecutionMode::Parallel(Arc::new(workers.for_every_block()))
            }
        }))
    }

    /// For the chain's configuration.
    pub(crate) fn mode(&self) -> ExecutionMode {
        self.0.clone()
    }

    /// What a block writes, found by executing it one transaction after the other. `None` if that fails: then the block must
    /// be refused anyway.
    pub(crate) fn hint(&self, importer: &mut Importer, block: &Block) -> Option<BlockHint> {
        match self.0 {
            ExecutionMode::Sequential => None,
            ExecutionMode::Parallel(_) => importer.hint_of(block).ok(),
        }
    }
}
