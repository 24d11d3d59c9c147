//! Production of one block, driven as the sequencer's loop drives it: hand out, collect, cut, and execute here what has to
//! run alone. What would be cheaper here goes to the workers too.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, U256};
use rapid_evm::Promised;
use rapid_executor::{
    CLASSES, Class, Executed, Job, Pinning, Production, ProductionConfig, ProductionParts, StopReason,
};
use rapid_primitives::{AccountChange, TransactionSigned};

use crate::{
    Fault,
    gate::Gate,
    opened::{Opened, failed},
    outcome::{Outcome, Step, sorted},
};

/// How long at most to sleep while there is no room.
const WAIT_MAX: Duration = Duration::from_millis(1);

/// How transactions are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The next when the one before is in the state: the order is the block's.
    OneByOne,
    /// As many as there is room for.
    AllAtOnce,
}

/// A block that was made.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) outcome: Outcome,
    /// How many of its transactions ran alone.
    pub(crate) alone: usize,
}

/// Makes a block by production.
///
/// Transactions that are refused are tried again until none of those that are left can be executed. So each that is not
/// in the outcome was refused on the state after all others.
pub(crate) fn produce(block: Opened<'_>, given: Given, workers: usize) -> Result<Produced, Fault> {
    let mut producer = Producer::start(block, given, workers)?;
    let mut left: Vec<_> = (0..producer.block.subject.transactions.len()).collect();
    loop {
        let made = producer.steps.len();
        producer.run(left)?;
        left = producer.refused.keys().copied().collect();
        if left.is_empty() || producer.steps.len() == made {
            return producer.finish();
        }
        producer.refused.clear();
    }
}

/// A transaction and its place in the block.
#[derive(Debug)]
struct Numbered {
    index: usize,
    transaction: TransactionSigned,
    sender: Address,
    encoded_len: usize,
    gate: Arc<Gate>,
    /// Whether a worker was at the gate for it. When it is executed again it does not wait.
    passed: AtomicBool,
}

/// As the pool hands it out: each has its own reference count.
#[derive(Clone, Debug)]
struct Shared(Arc<Numbered>);

impl Job for Shared {
    /// A worker asks for this when it begins.
    fn transaction(&self) -> &TransactionSigned {
        let gate = &self.0.gate;
        if gate.is_for_this_thread() && !self.0.passed.swap(true, Relaxed) {
            gate.pass();
        }
        &self.0.transaction
    }

    fn sender(&self) -> Address {
        self.0.sender
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len
    }
}

struct Producer<'a> {
    block: Opened<'a>,
    production: Production<Shared>,
    given: Given,
    gate: Arc<Gate>,
    jobs: Vec<Shared>,
    /// To be handed out next.
    waiting: VecDeque<usize>,
    /// The beneficiary's balance after everything taken up.
    beneficiary_balance: U256,
    steps: Vec<Step>,
    refused: BTreeMap<usize, String>,
    alone: usize,
}

impl<'a> Producer<'a> {
    fn start(block: Opened<'a>, given: Given, workers: usize) -> Result<Self, Fault> {
        let subject = block.subject;
        let parts = ProductionParts {
            spec: Arc::clone(&subject.rules.spec),
            state: block.state.clone(),
            hashes: subject.hashes.clone(),
            compiler: subject.rules.compiler.clone(),
        };
        let config = ProductionConfig {
            workers,
            spin: false,
            pinning: Pinning::Free,
        };
        let mut production = Production::start(config, parts, || {})?;
        production.enter_block(subject.environment.clone(), None);
        let senders: BTreeSet<_> = subject.senders.iter().collect();
        let gate = Arc::new(Gate::new(match given {
            Given::OneByOne => 1,
            // Of one sender only one is executed at a time.
            Given::AllAtOnce => workers.min(senders.len()),
        }));
        let transactions = subject.transactions.iter().zip(subject.senders).enumerate();
        let jobs: Vec<_> = transactions
            .map(|(index, (transaction, sender))| {
                Shared(Arc::new(Numbered {
                    index,
                    encoded_len: transaction.encode_2718_len(),
                    transaction: transaction.clone(),
                    sender: *sender,
                    gate: Arc::clone(&gate),
                    passed: AtomicBool::new(false),
                }))
            })
            .collect();
        let mut producer = Self {
            jobs,
            block,
            production,
            given,
            gate,
            waiting: VecDeque::new(),
            beneficiary_balance: U256::ZERO,
            steps: Vec::new(),
            refused: BTreeMap::new(),
            alone: 0,
        };
        producer.begin_withholding();
        Ok(producer)
    }

    /// Hands these out, and goes on until nothing is left to do.
    fn run(&mut self, indices: Vec<usize>) -> Result<(), Fault> {
        self.waiting.extend(indices);
        loop {
            while let Some(index) = self.waiting.pop_front() {
                self.take(index)?;
            }
            self.settle()?;
            if self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// Hands a transaction out, or has it wait until there is room for it. Then others of its sender may come before it.
    fn take(&mut self, index: usize) -> Result<(), Fault> {
        if let Err(reason) = self.check_fits(index) {
            if self.is_settled() {
                self.refused.insert(index, reason);
            } else {
                self.waiting.push_front(index);
                self.settle()?;
            }
            return Ok(());
        }
        let class = self.class(index);
        if !self.production.has_room(class) {
            self.waiting.push_front(index);
            return self.wait_for_room();
        }
        self.production.hand_out(self.jobs[index].clone(), class);
        match self.given {
            Given::OneByOne => self.settle(),
            Given::AllAtOnce => Ok(()),
        }
    }

    /// Whether a transaction fits what is left of the block besides what others may take of it.
    fn check_fits(&self, index: usize) -> Result<(), String> {
        let promised = if self.is_settled() {
            Promised::default()
        } else {
            self.production.promised()
        };
        let transaction = &self.block.subject.transactions[index];
        self.block
            .executor
            .check_fits(transaction, promised)
            .map_err(|error| error.to_string())
    }

    /// Classes change what workers take first, so all at once they are mixed.
    fn class(&self, index: usize) -> Class {
        match self.given {
            Given::OneByOne => Class::default(),
            Given::AllAtOnce => {
                let hash = self.block.subject.transactions[index].tx_hash();
                Class::new(usize::from(hash[31]) % CLASSES)
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.production.uncut().0 == 0 && self.production.alone_len() == 0
    }

    fn wait_for_room(&mut self) -> Result<(), Fault> {
        if self.production.is_quiet() {
            return self.settle();
        }
        self.gate.owner_works(true);
        self.production.wait_for_room(Instant::now() + WAIT_MAX);
        self.gate.owner_works(false);
        self.take_stopped()?;
        self.cut()
    }

    /// Waits for the workers, takes up what they did, and executes here what has to run alone.
    fn settle(&mut self) -> Result<(), Fault> {
        self.gate.owner_works(true);
        self.production.quiet();
        self.gate.owner_works(false);
        self.cut()?;
        self.take_stopped()?;
        while let Some(job) = self.production.next_alone() {
            let behind = self.production.ran_alone(job.sender());
            self.wait_first(behind.iter().map(|(job, _)| job));
            self.run_alone(job.0.index);
        }
        Ok(())
    }

    fn take_stopped(&mut self) -> Result<(), Fault> {
        while let Some(stopped) = self.production.next_stopped() {
            let index = stopped.job.0.index;
            self.wait_first(stopped.successors.iter());
            match stopped.reason {
                StopReason::Refused(error) => {
                    self.refused.insert(index, error.to_string());
                }
                other => {
                    return Err(Fault::GivenBack {
                        index,
                        reason: format!("{other:?}"),
                    });
                }
            }
        }
        Ok(())
    }

    /// These are handed out before all others, in this order.
    fn wait_first<'j>(&mut self, jobs: impl DoubleEndedIterator<Item = &'j Shared>) {
        for job in jobs.rev() {
            self.waiting.push_front(job.0.index);
        }
    }

    fn run_alone(&mut self, index: usize) {
        let (transaction, sender) = (
            &self.block.subject.transactions[index],
            self.block.subject.senders[index],
        );
        match self.block.executor.execute(transaction, sender) {
            Ok(executed) => {
                self.alone += 1;
                self.steps.push(Step {
                    index,
                    receipt: executed.receipt,
                    changes: sorted(executed.changes),
                });
            }
            Err(error) => {
                self.refused.insert(index, error.to_string());
            }
        }
        self.begin_withholding();
    }

    fn begin_withholding(&mut self) {
        self.beneficiary_balance = self.block.beneficiary().unwrap_or_default().balance;
    }

    /// Takes up what the workers executed, in the order of their commits.
    fn cut(&mut self) -> Result<(), Fault> {
        let (_, executed) = self.production.cut();
        executed
            .into_iter()
            .try_for_each(|executed| self.absorb(executed))?;
        self.block.end_part();
        Ok(())
    }

    /// Takes up the next transaction, with its fee, as the sequencer's open block does.
    fn absorb(&mut self, executed: Executed<Shared>) -> Result<(), Fault> {
        let Executed {
            job,
            result,
            mut changes,
            accesses,
            fee,
            ..
        } = executed;
        let receipt = self
            .block
            .executor
            .absorb(job.transaction(), result)
            .map_err(failed)?;
        self.beneficiary_balance += fee;
        let change = AccountChange {
            balance: (!fee.is_zero()).then_some(self.beneficiary_balance),
            ..AccountChange::new(self.block.subject.environment.beneficiary)
        };
        if let Some(mut accesses) = accesses {
            accesses.credit(&change);
            self.block.executor.absorb_transaction_accesses(&accesses);
        }
        if !change.is_noop() {
            let place = changes.partition_point(|other| other.address < change.address);
            changes.insert(place, change);
        }
        self.steps.push(Step {
            index: job.0.index,
            receipt,
            changes: sorted(changes),
        });
        Ok(())
    }

    /// Ends the block. The workers are stopped before, as nothing is left for them.
    fn finish(self) -> Result<Produced, Fault> {
        drop(self.production);
        Ok(Produced {
            outcome: self.block.close(self.steps, self.refused)?,
            alone: self.alone,
        })
    }
}
