//! One execution on committed values, and its commit.

use std::{fmt::Debug, time::Instant};

use alloy_primitives::U256;
use rapid_evm::{
    BlockHashes, Compiler, ExecutionError, Ran, StateDb, TransactionExecutor, account_changes, deposits_of,
};
use rapid_state::{Commit, Conflict, ReadSet, Recording, State, StateKey, Writer};

use super::{
    job::{Job, Task},
    outbox::{Alone, Executed, Outcome, StopReason},
    shared::{Block, Shared},
};

/// What became of an execution.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) verdict: Verdict,
    /// When the EVM was done.
    pub(crate) ended: Instant,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is in the state and in the outbox.
    Committed,
    /// Somebody else committed what it had read.
    Lost(StateKey),
    /// It is not going to be executed now.
    Stopped(StopReason),
}

/// A worker's side of what all share, and when it began.
#[derive(Clone, Copy)]
pub(crate) struct Post<'a, J> {
    pub(crate) shared: &'a Shared<J>,
    pub(crate) worker: usize,
    pub(crate) began: Instant,
}

/// Executes transactions for a worker; all of its state is the worker's own.
pub(crate) trait Attempts<J: Job> {
    /// Executes a transaction and commits it.
    fn attempt(&mut self, post: Post<'_, J>, task: &Task<J>) -> Attempt;
    /// Forgets everything that an execution may have left half done.
    fn start_over(&mut self);
}

/// Execution on the newest committed values of the state.
pub(crate) struct OnState<H: BlockHashes + Debug> {
    state: State,
    hashes: H,
    compiler: Compiler,
    writer: Writer,
    /// Number of the block that the executor is in.
    generation: u64,
    executor: Option<TransactionExecutor<StateDb<Recording, H>>>,
}

impl<H: BlockHashes + Clone + Debug> OnState<H> {
    pub(crate) fn new(state: State, hashes: H, compiler: Compiler) -> Self {
        Self {
            writer: state.writer(),
            state,
            hashes,
            compiler,
            generation: 0,
            executor: None,
        }
    }

    /// The executor, in the block that is in execution.
    fn in_block<J: Clone>(&mut self, shared: &Shared<J>) -> &mut TransactionExecutor<StateDb<Recording, H>> {
        if let Some((generation, block)) = shared.new_block(self.generation) {
            self.enter(shared, &block);
            self.generation = generation;
        }
        let executor = self
            .executor
            .as_mut()
            .expect("a block is entered before anything is handed out");
        match shared.pending_parent() {
            Some(number) => executor.database_mut().parent_hash_pending(number),
            None => executor.database_mut().parent_hash_arrived(),
        }
        executor
    }

    fn enter<J: Clone>(&mut self, shared: &Shared<J>, block: &Block) {
        let executor = self.executor.get_or_insert_with(|| {
            let database = StateDb::new(self.state.recording(), self.hashes.clone());
            TransactionExecutor::new(&shared.spec, &block.environment, database, &self.compiler)
        });
        executor.enter_block(&shared.spec, &block.environment);
        executor
            .database_mut()
            .withhold_from(block.environment.beneficiary);
    }

    /// A verdict that rests on what was read: final only if that still holds.
    fn unless_stale(&mut self, reads: &ReadSet, reason: StopReason) -> Verdict {
        let nothing = Commit {
            reads,
            changes: &[],
            credits: &[],
            withheld: U256::ZERO,
        };
        match self.writer.commit(&nothing) {
            Ok(_) => Verdict::Stopped(reason),
            Err(Conflict { key }) => Verdict::Lost(key),
        }
    }
}

impl<J: Job, H: BlockHashes + Clone + Debug> Attempts<J> for OnState<H> {
    fn attempt(&mut self, post: Post<'_, J>, task: &Task<J>) -> Attempt {
        let shared = post.shared;
        let executor = self.in_block(shared);
        let ran = executor.run_withholding_fee(task.job.transaction(), task.job.sender());
        let (fork, timestamp) = (executor.fork(), executor.timestamp());
        let reads = executor.database().state().take_reads();
        let ended = Instant::now();
        let ran = ran.and_then(|ran| {
            deposits_of(&shared.spec, timestamp, ran.result.logs())
                .map_err(|error| ExecutionError::InvalidBlock(error.into()))?;
            Ok(ran)
        });
        let verdict = match ran {
            Ok(ran) => {
                let Ran {
                    result,
                    journal,
                    withheld_fee: fee,
                } = ran;
                let changes = account_changes(journal, fork);
                let commit = Commit {
                    reads: &reads,
                    changes: &changes,
                    credits: &[],
                    withheld: fee,
                };
                // Whoever cuts a version looks into the outboxes then, and has to find what is in it.
                let mut outbox = shared.outboxes[post.worker].lock();
                match self.writer.commit(&commit) {
                    Ok(committed) => {
                        let took = ended.duration_since(post.began).as_nanos();
                        outbox.outcomes.push(Outcome::Executed(Executed {
                            job: task.job.clone(),
                            sequence: committed.sequence,
                            result,
                            changes,
                            fee,
                            nanoseconds: u32::try_from(took).unwrap_or(u32::MAX),
                        }));
                        Verdict::Committed
                    }
                    Err(Conflict { key }) => Verdict::Lost(key),
                }
            }
            Err(ExecutionError::ParentHashPending(_)) => Verdict::Stopped(StopReason::AwaitsParentHash),
            Err(ExecutionError::BeneficiaryRead) => {
                Verdict::Stopped(StopReason::Alone(Alone::ReadsBeneficiary))
            }
            Err(ExecutionError::Fatal(reason)) => self.unless_stale(&reads, StopReason::Failed(reason)),
            Err(error) => self.unless_stale(&reads, StopReason::Refused(error)),
        };
        if let Some(executor) = &self.executor {
            executor.database().state().reuse(reads);
        }
        Attempt { verdict, ended }
    }

    fn start_over(&mut self) {
        self.executor = None;
        self.generation = 0;
    }
}
