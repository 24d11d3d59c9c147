//! One execution on committed values, and its commit.

use std::{convert::Infallible, fmt::Debug, time::Instant};

use alloy_consensus::Transaction;
use alloy_primitives::U256;
use rapid_chainspec::ChainSpec;
use rapid_evm::{
    BlockHashes, Compiler, ExecutionError, Ran, StateDb, TransactionAccesses, TransactionExecutor,
    account_changes, deposits_of,
};
use rapid_primitives::{AccountChange, ReadState};
use rapid_state::{Commit, Conflict, Credit, Newest, ReadSet, Recording, State, StateKey, Writer};
use rapid_sync::now;
use revm::{context_interface::result::ExecutionResult, primitives::hardfork::SpecId};

use super::{
    job::Job,
    outbox::{Alone, Executed, Obstacle, Outcome, StopReason},
    shared::{Block, Shared},
};
use crate::transfer::{self, Transfer, TransferRules, may_receive};

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
    Stopped(Obstacle),
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
    /// Asks for what transactions begin with to be in the cache.
    fn look_ahead<'j>(&mut self, jobs: impl Iterator<Item = &'j J>)
    where
        J: 'j;
    /// Executes a transaction and commits it, and only then takes it.
    fn attempt(&mut self, post: Post<'_, J>, job: &mut Option<J>) -> Attempt;
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
    newest: Newest,
    /// Keys that are asked for, in memory that is used again.
    ahead: Vec<StateKey>,
    /// `None` where transfers are the EVM's.
    transfers: Option<TransferRules>,
}

impl<H: BlockHashes + Clone + Debug> OnState<H> {
    pub(crate) fn new(state: State, hashes: H, compiler: Compiler) -> Self {
        Self {
            writer: state.writer(),
            newest: state.newest(),
            ahead: Vec::new(),
            transfers: None,
            state,
            hashes,
            compiler,
            generation: 0,
            executor: None,
        }
    }

    /// Enters the block that is in execution, if it did not.
    fn in_block<J>(&mut self, shared: &Shared<J>) {
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
    }

    fn enter<J>(&mut self, shared: &Shared<J>, block: &Block) {
        let executor = self.executor.get_or_insert_with(|| {
            let database = StateDb::new(self.state.recording(), self.hashes.clone());
            TransactionExecutor::new(&shared.spec, &block.environment, database, &self.compiler)
        });
        executor.enter_block(&shared.spec, &block.environment);
        executor
            .database_mut()
            .withhold_from(block.environment.beneficiary);
        self.transfers = TransferRules::of(&block.environment, shared.spec.chain_id(), executor.fork());
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
            Ok(_) => Verdict::Stopped(Obstacle::Stops(reason)),
            Err(Conflict { key }) => Verdict::Lost(key),
        }
    }
}

/// A transaction that was executed, and what is to be committed for it.
struct Done {
    result: ExecutionResult,
    changes: Vec<AccountChange>,
    accesses: Option<Box<TransactionAccesses>>,
    credit: Option<Credit>,
    fee: U256,
    ended: Instant,
}

impl<H: BlockHashes + Clone + Debug> OnState<H> {
    /// Does a plain transfer by hand; `None` if it is none, or anything about it is for the EVM.
    ///
    /// The recipient's balance is not read, so transfers to one account do not meet there: it gets the value as a credit, at
    /// the commit, which sees to it that there is no code.
    fn transfer<J: Job>(&self, job: &J) -> Option<Done> {
        let (transaction, sender) = (job.transaction(), job.sender());
        let rules = self.transfers.as_ref()?;
        let to = rules.recipient(transaction, sender)?;
        let Ok(receiver) = self.newest.account(&to);
        if !may_receive(receiver.as_ref()) {
            return None;
        }
        let recording = self.executor.as_ref()?.database().state();
        let Ok(before) = recording.account(&sender);
        let Transfer {
            sender,
            to,
            value,
            fee,
            ..
        } = rules.transfer(transaction, sender, to, &before?)?;
        Some(Done {
            result: transfer::result(),
            changes: vec![sender],
            // From Amsterdam on no transfer is done by hand.
            accesses: None,
            credit: (!value.is_zero()).then_some(Credit {
                address: to,
                wei: value,
            }),
            fee,
            ended: now(),
        })
    }

    /// Executes a transaction in the EVM.
    fn execute<J: Job>(
        executor: &mut TransactionExecutor<StateDb<Recording, H>>,
        spec: &ChainSpec,
        job: &J,
    ) -> Result<Done, ExecutionError<Infallible>> {
        let ran = executor.run_withholding_fee(job.transaction(), job.sender())?;
        let Ran {
            result,
            journal,
            withheld_fee: fee,
        } = ran;
        deposits_of(spec, executor.timestamp(), result.logs())
            .map_err(|error| ExecutionError::InvalidBlock(error.into()))?;
        let changes = account_changes(&journal, executor.fork());
        let listed = executor.fork().is_enabled_in(SpecId::AMSTERDAM);
        let accesses = listed.then(|| Box::new(TransactionAccesses::of(&journal)));
        executor.reuse(journal);
        Ok(Done {
            result,
            changes,
            accesses,
            credit: None,
            fee,
            ended: now(),
        })
    }

    /// Commits what was done, and takes the transaction then.
    fn commit<J: Job>(
        &mut self,
        post: Post<'_, J>,
        job: &mut Option<J>,
        reads: &ReadSet,
        done: Done,
    ) -> Verdict {
        let Done {
            result,
            mut changes,
            accesses,
            credit,
            fee,
            ended,
        } = done;
        // Whoever cuts a version looks into the outboxes then, and has to find what is in it.
        let mut outbox = post.shared.outboxes[post.worker].lock();
        let committed = self.writer.commit(&Commit {
            reads,
            changes: &changes,
            credits: credit.as_slice(),
            withheld: fee,
        });
        let committed = match committed {
            Ok(committed) => committed,
            Err(Conflict { key }) => return Verdict::Lost(key),
        };
        let sequence = committed.sequence;
        if let (Some(credit), [balance]) = (credit, committed.balances()) {
            let credited = AccountChange {
                balance: Some(*balance),
                ..AccountChange::new(credit.address)
            };
            let place = changes.partition_point(|change| change.address < credit.address);
            changes.insert(place, credited);
        }
        let took = ended.duration_since(post.began).as_nanos();
        outbox.outcomes.push(Outcome::Executed(Executed {
            job: job.take().expect("it was executed"),
            sequence,
            result,
            changes,
            accesses,
            fee,
            nanoseconds: u32::try_from(took).unwrap_or(u32::MAX),
        }));
        Verdict::Committed
    }
}

impl<J: Job, H: BlockHashes + Clone + Debug> Attempts<J> for OnState<H> {
    fn look_ahead<'j>(&mut self, jobs: impl Iterator<Item = &'j J>)
    where
        J: 'j,
    {
        self.ahead.clear();
        for job in jobs {
            self.ahead.push(StateKey::Account(job.sender()));
            self.ahead.extend(job.transaction().to().map(StateKey::Account));
        }
        self.newest.prefetch(&self.ahead);
    }

    fn attempt(&mut self, post: Post<'_, J>, job: &mut Option<J>) -> Attempt {
        self.in_block(post.shared);
        let given = job.as_ref().expect("a transaction is given");
        let done = self.transfer(given);
        let executor = self.executor.as_mut().expect("a block was entered");
        let done = match done {
            Some(done) => Ok(done),
            None => {
                // What looking for a transfer read does not count.
                let looked_at = executor.database().state().take_reads();
                executor.database().state().reuse(looked_at);
                Self::execute(executor, &post.shared.spec, given)
            }
        };
        let reads = executor.database().state().take_reads();
        let ended = done.as_ref().map_or_else(|_| now(), |done| done.ended);
        let verdict = match done {
            Ok(done) => self.commit(post, job, &reads, done),
            Err(ExecutionError::ParentHashPending(_)) => {
                Verdict::Stopped(Obstacle::Stops(StopReason::AwaitsParentHash))
            }
            Err(ExecutionError::BeneficiaryRead) => {
                Verdict::Stopped(Obstacle::Alone(Alone::ReadsBeneficiary))
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
