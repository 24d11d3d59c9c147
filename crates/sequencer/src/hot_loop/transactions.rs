//! From the lanes into the block: each transaction is executed here, or by a worker and taken up here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rapid_evm::ExecutionError;
use rapid_executor::{Class, Executed, StopReason, Stopped, Way};
use rapid_pool::{DiscardReason, Lane, PooledTransaction};
use rapid_primitives::CommitSequence;

use super::{
    HotLoop, IDLE_SLEEP,
    workers::{PoolJob, Workers},
};
use crate::{
    BlockPolicy, Host, SequencerError,
    cut::CutReason,
    discard::discard_reason,
    open_block::{OpenBlock, Outstanding, WorkersEffect},
};

/// Transactions held for the parent's hash before the loop waits for it: more would only queue up memory.
const HELD_MAX: usize = 1_024;

/// The part of a mini-block's interval that may go into transactions that have to run alone: those who send only such get no
/// more of the time than this, beside what others leave. One that took longer is made up for by mini-blocks without any.
const ALONE_SHARE: u32 = 4;

/// What there is to take.
pub(super) enum Popped {
    Transaction(Arc<PooledTransaction>),
    /// No lane has anything that may be executed now.
    Nothing,
    /// The workers have enough.
    NoRoom,
}

impl<C: Host> HotLoop<C> {
    /// Takes the next transaction out of the lanes. What is urgent need not wait until there is room for others.
    pub(super) fn pop(&mut self, now: Instant) -> Popped {
        let room = |class| {
            self.workers
                .as_ref()
                .is_none_or(|workers| workers.has_room(class))
        };
        let (critical, normal) = (
            Class::new(Lane::Critical.index()),
            Class::new(Lane::Normal.index()),
        );
        let popped = if self.is_pressed() && room(critical) {
            self.ready.pop_pressing_at(now)
        } else if room(normal) {
            self.ready.pop_at(now)
        } else if room(critical) {
            match self.ready.pop_urgent_at(now) {
                None => return Popped::NoRoom,
                popped => popped,
            }
        } else {
            return Popped::NoRoom;
        };
        popped.map_or(Popped::Nothing, Popped::Transaction)
    }

    /// Takes a transaction into the open block, or leaves it for the next one.
    pub(super) fn take(&mut self, transaction: Arc<PooledTransaction>) -> Result<(), SequencerError> {
        self.open_block()?;
        let waiting = self.ready.len();
        let way = self
            .workers
            .as_ref()
            .map_or(Way::Plain, |workers| workers.way(waiting));
        let outstanding = self
            .workers
            .as_ref()
            .map_or_else(Outstanding::default, Workers::outstanding);
        let block = self.block.as_mut().expect("opened above");
        if !block.fits(&transaction, outstanding) {
            if outstanding.transactions > 0 {
                // What was promised to others is not what they take.
                self.ready.requeue_front(transaction);
                return self.settle();
            }
            if self.can_wait_for_close(&transaction) {
                self.ready.requeue_front(transaction);
                return Ok(());
            }
            return self.take_in_next_block(transaction);
        }
        match (way, &mut self.workers) {
            (Way::Parallel, Some(workers)) if block.fits_whatever_it_touches(&transaction, outstanding) => {
                workers.hand_out(transaction, block)
            }
            _ => {
                self.settle()?;
                self.execute(&transaction)
            }
        }
    }

    /// Executes a transaction that fits, on this thread. The workers have nothing.
    fn execute(&mut self, transaction: &Arc<PooledTransaction>) -> Result<(), SequencerError> {
        let block = self.block.as_mut().expect("a transaction fits an open block");
        let executed = block.execute(transaction);
        if let Some(workers) = &mut self.workers {
            workers.executed_plainly();
        }
        match executed {
            Ok(executed) => {
                self.metrics.transactions.increment(1);
                self.gathered.changed(block.access_index(), executed.changes);
                self.gathered.receipts.push(executed.receipt);
                self.gathered.bytes += transaction.encoded_len();
                self.gathered.transactions.push(Arc::clone(transaction));
                self.cut_if_full()
            }
            Err(ExecutionError::ParentHashPending(_)) => self.hold(Arc::clone(transaction)),
            Err(ExecutionError::AccessesExhausted { .. }) => self.take_in_next_block(Arc::clone(transaction)),
            Err(ExecutionError::State(_) | ExecutionError::Fatal(_)) if !self.control.is_stopping() => {
                Err(self.broken(transaction))
            }
            Err(error) => {
                self.discard(Arc::clone(transaction), discard_reason(&error));
                Ok(())
            }
        }
    }

    fn discard(&mut self, transaction: Arc<PooledTransaction>, reason: DiscardReason) {
        self.metrics.discarded.increment(1);
        self.ready.discard(transaction, reason);
    }

    fn broken(&self, transaction: &PooledTransaction) -> SequencerError {
        SequencerError::Execution {
            number: self.block.as_ref().map_or(0, |block| block.environment().number),
            reason: format!("transaction {} broke the executor", transaction.hash()),
        }
    }

    fn cut_if_full(&mut self) -> Result<(), SequencerError> {
        let executed = self
            .block
            .as_ref()
            .map_or(0, |block| block.position().transaction_index);
        let outstanding = self.workers.as_ref().map_or(0, Workers::executed_bytes);
        match self.config.block_policy {
            BlockPolicy::AfterTransactions(count) if executed >= count => self.close_block(),
            _ if self.gathered.bytes + outstanding >= self.config.mini_block_bytes_max => {
                self.cut(CutReason::Size, None)
            }
            _ => Ok(()),
        }
    }

    /// Closes the block, which is full for this transaction, and keeps the transaction for the next one.
    fn take_in_next_block(&mut self, transaction: Arc<PooledTransaction>) -> Result<(), SequencerError> {
        if self.block.as_ref().is_none_or(OpenBlock::is_empty) {
            self.discard(transaction, DiscardReason::ExceedsBlockGasLimit);
            return Ok(());
        }
        self.ready.requeue_front(transaction);
        if self.parent.hash.is_none() {
            // Those held for the hash come first: they would miss every block if each closed before they ran.
            return self.await_parent_hash();
        }
        self.close_block()
    }

    /// Sets a transaction aside that reads the hash of the parent.
    fn hold(&mut self, transaction: Arc<PooledTransaction>) -> Result<(), SequencerError> {
        self.ready.hold(transaction);
        self.metrics.held.set(self.ready.held_len() as f64);
        if self.ready.held_len() >= HELD_MAX {
            self.await_parent_hash()
        } else {
            Ok(())
        }
    }

    // ---- what the workers have done

    /// Whether something is executed that no mini-block has yet.
    pub(super) fn has_content(&self) -> bool {
        let executed = self
            .workers
            .as_ref()
            .is_some_and(|workers| workers.executed_bytes() > 0);
        executed || !self.gathered.is_empty()
    }

    /// Whether a worker has something, or something waits to run alone.
    pub(super) fn is_busy(&self) -> bool {
        self.workers
            .as_ref()
            .is_some_and(|workers| !workers.is_quiet() || workers.alone_len() > 0)
    }

    /// Looks what the workers have done.
    pub(super) fn collect(&mut self) -> Result<(), SequencerError> {
        let Some(workers) = &mut self.workers else {
            return Ok(());
        };
        workers.collect();
        while let Some(stopped) = self.workers.as_mut().and_then(Workers::next_stopped) {
            self.stopped(stopped)?;
        }
        self.cut_if_full()
    }

    fn stopped(&mut self, stopped: Stopped<PoolJob>) -> Result<(), SequencerError> {
        let Stopped {
            job: PoolJob(transaction),
            reason,
            successors,
        } = stopped;
        for PoolJob(successor) in successors.into_iter().rev() {
            self.ready.requeue_front(successor);
        }
        match reason {
            StopReason::Refused(error) => self.discard(transaction, discard_reason(&error)),
            StopReason::AwaitsParentHash => {
                let block = self.block.as_ref();
                if block.is_none_or(|block| block.parent_hash().is_some()) {
                    // It came since.
                    self.ready.requeue_front(transaction);
                } else {
                    return self.hold(transaction);
                }
            }
            StopReason::Panicked => {
                tracing::error!(
                    target: "reth::sequencer",
                    hash = %transaction.hash(),
                    "Executing a transaction broke a worker: it is dropped. Please report it"
                );
                self.discard(transaction, DiscardReason::Invalid);
            }
            StopReason::Failed(reason) => {
                tracing::error!(target: "reth::sequencer", reason, "A worker's EVM failed");
                return Err(self.broken(&transaction));
            }
        }
        Ok(())
    }

    /// Takes up what the workers have executed, in the order of their commits; the version of the state that has it.
    pub(super) fn absorb(&mut self) -> Result<Option<CommitSequence>, SequencerError> {
        let Some(workers) = self.workers.as_mut().filter(|workers| !workers.is_settled()) else {
            return Ok(None);
        };
        let (version, executed) = workers.cut();
        self.metrics.transactions.increment(executed.len() as u64);
        let block = self
            .block
            .as_mut()
            .expect("transactions are handed out in a block");
        for executed in executed {
            let Executed {
                job: PoolJob(transaction),
                result,
                changes,
                accesses,
                fee,
                ..
            } = executed;
            let effect = WorkersEffect {
                changes,
                accesses,
                fee,
            };
            let (receipt, changes) = block.absorb(&transaction, result, effect)?;
            self.gathered.changed(block.access_index(), changes);
            self.gathered.receipts.push(receipt);
            self.gathered.bytes += transaction.encoded_len();
            self.gathered.transactions.push(transaction);
        }
        #[cfg(debug_assertions)]
        self.check_beneficiary(version);
        Ok(Some(version))
    }

    /// The balance that the block's transactions say is the one in the state.
    #[cfg(debug_assertions)]
    fn check_beneficiary(&self, version: CommitSequence) {
        use rapid_primitives::ReadState;
        let (Some(block), Ok(state)) = (&self.block, self.chain.state().get_at(version)) else {
            return;
        };
        if let Ok(account) = state.account(&block.environment().beneficiary) {
            let balance = account.unwrap_or_default().balance;
            assert_eq!(balance, block.beneficiary_balance(), "fees of version {version}");
        }
    }

    /// Waits until the workers have nothing, and takes up what they executed.
    pub(super) fn settle(&mut self) -> Result<(), SequencerError> {
        let Some(workers) = self.workers.as_mut().filter(|workers| !workers.is_settled()) else {
            return Ok(());
        };
        workers.quiet();
        self.absorb()?;
        while let Some(stopped) = self.workers.as_mut().and_then(Workers::next_stopped) {
            self.stopped(stopped)?;
        }
        Ok(())
    }

    /// Executes those that have to run alone, if it is their time.
    pub(super) fn run_due_alone(&mut self, now: Instant) -> Result<(), SequencerError> {
        if now < self.alone_from {
            return Ok(());
        }
        self.run_alone(now)
    }

    /// Executes those that have to run alone, while the workers have nothing, for a part of the interval.
    fn run_alone(&mut self, now: Instant) -> Result<(), SequencerError> {
        if self
            .workers
            .as_ref()
            .is_none_or(|workers| workers.alone_len() == 0)
        {
            return Ok(());
        }
        let until = now + self.schedule.mini_block.interval() / ALONE_SHARE;
        let mut took = Duration::ZERO;
        loop {
            self.settle()?;
            let Some(more) = self.run_next_alone()? else { break };
            took += more;
            if self.host.now() >= until {
                break;
            }
        }
        self.alone_from = self.host.now() + took * (ALONE_SHARE - 1);
        Ok(())
    }

    /// Executes the next of them; how long that took.
    fn run_next_alone(&mut self) -> Result<Option<Duration>, SequencerError> {
        let next = self.workers.as_mut().and_then(Workers::next_alone);
        let Some((transaction, behind)) = next else {
            return Ok(None);
        };
        for later in behind.into_iter().rev() {
            self.ready.requeue_front(later);
        }
        let began = self.host.now();
        self.open_block()?;
        let block = self.block.as_ref().expect("opened above");
        if block.fits(&transaction, Outstanding::default()) {
            self.execute(&transaction)?;
        } else {
            self.take_in_next_block(transaction)?;
        }
        Ok(Some(self.host.now().saturating_duration_since(began)))
    }

    // ---- waiting for them

    /// Nothing more may be handed out: executes with the workers until half is done, or runs what keeps them from getting
    /// more.
    pub(super) fn wait_for_room(&mut self, now: Instant) -> Result<(), SequencerError> {
        let due = self.next_due(now + Duration::from_millis(1));
        match &mut self.workers {
            Some(workers) if workers.is_quiet() => self.run_alone(now),
            Some(workers) => {
                workers.wait_for_room(due);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Nothing to hand out: executes with the workers, or sleeps until something comes, they are done, or something is due.
    pub(super) fn wait_for_workers(&mut self, now: Instant) -> Result<(), SequencerError> {
        let Some(workers) = &mut self.workers else {
            return Ok(());
        };
        if workers.is_quiet() {
            return match self.is_pressed() {
                true => self.wait(now + IDLE_SLEEP),
                false => self.run_alone(now),
            };
        }
        if workers.help() {
            return Ok(());
        }
        if workers.wake_when_quiet() {
            self.wait(now + IDLE_SLEEP)
        } else {
            Ok(())
        }
    }
}
