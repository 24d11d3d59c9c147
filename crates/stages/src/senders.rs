//! Senders: the signatures of the blocks to come are recovered while those before them are executed.

use std::time::{Duration, Instant};

use rapid_chain::{Chain, CheckedBlock, Effort, RecoveredBlock, thread_cpu_time};
use rayon::{ThreadPool, prelude::*};

use crate::{
    ExecInput, ExecOutput, Stage, StageError, StageId, UnwindInput, UnwindOutput,
    chunk::{Chunk, ChunkReceiver, ChunkSender},
};

/// Recovers the senders of checked blocks, on threads of its own: the tries of the block in execution use the common
/// pool, and must not wait behind thousands of signatures there.
#[derive(Debug)]
pub(crate) struct SenderRecovery {
    pool: ThreadPool,
    checked: ChunkReceiver<CheckedBlock>,
    recovered: ChunkSender<RecoveredBlock>,
    wall: Duration,
}

impl SenderRecovery {
    /// Recovers on `threads` threads.
    ///
    /// # Errors
    /// [`StageError::Thread`].
    pub(crate) fn new(
        threads: usize,
        checked: ChunkReceiver<CheckedBlock>,
        recovered: ChunkSender<RecoveredBlock>,
    ) -> Result<Self, StageError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("stages-senders-{index}"))
            .build()
            .map_err(|error| StageError::Thread(std::io::Error::other(error)))?;
        Ok(Self {
            pool,
            checked,
            recovered,
            wall: Duration::ZERO,
        })
    }

    /// Time spent on signatures, CPU time of all its threads; not waiting for the stages around.
    pub(crate) fn effort(&self) -> Effort {
        Effort {
            wall: self.wall,
            cpu: self.pool.broadcast(|_| thread_cpu_time()).into_iter().sum(),
        }
    }

    /// The blocks before the first that is bad, and what is wrong with that.
    fn recover(
        &self,
        chain: &Chain,
        chunk: Chunk<CheckedBlock>,
    ) -> (Chunk<RecoveredBlock>, Result<(), StageError>) {
        let results: Vec<_> = self.pool.install(|| {
            chunk
                .into_par_iter()
                .map(|(origin, block)| {
                    let number = block.header().number;
                    match block.recover(chain.spec()) {
                        Ok(recovered) => Ok((origin, recovered)),
                        Err(error) => Err(StageError::block(origin, number, error)),
                    }
                })
                .collect()
        });
        let mut good = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Ok(recovered) => good.push(recovered),
                Err(error) => return (good, Err(error)),
            }
        }
        (good, Ok(()))
    }
}

impl Stage<Chain> for SenderRecovery {
    fn ids(&self) -> &'static [StageId] {
        &[StageId::SenderRecovery]
    }

    fn execute(&mut self, chain: &mut Chain, input: ExecInput) -> Result<ExecOutput, StageError> {
        let Some(chunk) = self.checked.receive() else {
            return Ok(ExecOutput {
                checkpoint: input.checkpoint,
                done: true,
            });
        };
        let start = Instant::now();
        let (good, recovered) = self.recover(chain, chunk);
        self.wall += start.elapsed();
        let newest = good.last().map(|(_, block)| block.header().number);
        let wanted = good.is_empty() || self.recovered.send(good);
        recovered?;
        Ok(ExecOutput {
            checkpoint: newest.unwrap_or(input.checkpoint),
            done: !wanted,
        })
    }

    fn unwind(&mut self, _: &mut Chain, input: UnwindInput) -> Result<UnwindOutput, StageError> {
        self.checked.close();
        self.recovered.close();
        Ok(UnwindOutput {
            checkpoint: input.checkpoint.min(input.unwind_to),
        })
    }
}
