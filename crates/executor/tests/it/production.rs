//! Random transactions, executed by many workers in whatever order, against the same order one after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use alloy_consensus::{Signed, TxLegacy};
use alloy_primitives::{Address, Signature, TxKind, U256};
use rapid_evm::{BlockAccesses, BlockExecutor, Compiler, NoBlockHashes, StateDb};
use rapid_executor::{
    Class, Executed, Job, Pinning, Production, ProductionConfig, ProductionParts, StopReason,
};
use rapid_primitives::{AccessListMerger, AccountChange, ReadState, Receipt, TransactionSigned};
use rapid_state::{Newest, State};

use crate::{
    bed::{Bed, Fork},
    programs::random_block,
    random::seeds,
};

type Transaction = Arc<(TransactionSigned, Address)>;

fn one_after_the_other(bed: &Bed, state: &State) -> BlockExecutor<Newest, NoBlockHashes> {
    let database = StateDb::new(state.newest(), NoBlockHashes);
    BlockExecutor::new(
        Arc::clone(&bed.spec),
        bed.environment.clone(),
        database,
        &Compiler::none(),
    )
}

/// A transaction in the order of production, with what it did.
struct Made {
    job: Transaction,
    receipt: Receipt,
    /// The fee put in.
    changes: Vec<AccountChange>,
}

/// Everything that a sequencer does, without blocks.
struct Producer<'a> {
    bed: &'a Bed,
    state: State,
    production: Production<Transaction>,
    block: BlockExecutor<Newest, NoBlockHashes>,
    fees: U256,
    made: Vec<Made>,
    refused: Vec<Transaction>,
    alone: usize,
    /// What was touched until the last cut.
    touched: AccessListMerger,
}

impl<'a> Producer<'a> {
    fn new(bed: &'a Bed, workers: usize) -> Self {
        bed.parent.adopt(&bed.state).unwrap();
        let state = bed.state.clone();
        let config = ProductionConfig {
            workers,
            spin: false,
            pinning: Pinning::Free,
        };
        let parts = ProductionParts {
            spec: Arc::clone(&bed.spec),
            state: state.clone(),
            hashes: NoBlockHashes,
            compiler: Compiler::none(),
        };
        let mut production = Production::start(config, parts, || {}).unwrap();
        production.enter_block(bed.environment.clone(), None);
        let mut producer = Self {
            block: one_after_the_other(bed, &state),
            bed,
            state,
            production,
            fees: U256::ZERO,
            made: Vec::new(),
            refused: Vec::new(),
            alone: 0,
            touched: AccessListMerger::default(),
        };
        producer.settle_fees();
        producer
    }

    fn settle_fees(&mut self) {
        let account = self
            .state
            .newest()
            .account(&self.bed.environment.beneficiary)
            .unwrap();
        self.fees = account.unwrap_or_default().balance;
    }

    fn hand_out(&mut self, job: &Transaction) {
        while !self.production.has_room(Class::default()) {
            self.production
                .wait_for_room(std::time::Instant::now() + std::time::Duration::from_millis(1));
            self.serve();
        }
        self.production.hand_out(Arc::clone(job), Class::default());
    }

    fn serve(&mut self) {
        self.production.collect();
        while let Some(stopped) = self.production.next_stopped() {
            assert!(
                matches!(stopped.reason, StopReason::Refused(_)),
                "{:?}",
                stopped.reason
            );
            self.refused.push(stopped.job);
            for successor in &stopped.successors {
                self.hand_out(successor);
            }
        }
    }

    fn cut(&mut self) {
        let (version, executed) = self.production.cut();
        for executed in executed {
            assert!(executed.sequence <= version);
            self.absorb(executed);
        }
        let touched = self.block.take_accesses();
        touched
            .into_iter()
            .for_each(|accesses| self.touched.push(accesses.finish()));
    }

    fn absorb(&mut self, executed: Executed<Transaction>) {
        let Executed {
            job,
            result,
            mut changes,
            accesses,
            fee,
            ..
        } = executed;
        let receipt = self.block.absorb(job.transaction(), result).unwrap();
        self.fees += fee;
        let change = AccountChange {
            balance: (!fee.is_zero()).then_some(self.fees),
            ..AccountChange::new(self.bed.environment.beneficiary)
        };
        if let Some(mut accesses) = accesses {
            accesses.credit(&change);
            self.block.absorb_transaction_accesses(&accesses);
        }
        if !change.is_noop() {
            changes.push(change);
            changes.sort_by_key(|change| change.address);
        }
        self.made.push(Made {
            job,
            receipt,
            changes,
        });
    }

    /// Runs until nothing is left.
    fn finish(&mut self) {
        loop {
            self.production.quiet();
            self.cut();
            self.serve();
            let Some(job) = self.production.next_alone() else {
                if self.production.is_quiet() {
                    return;
                }
                continue;
            };
            self.alone += 1;
            let behind = self.production.ran_alone(job.sender());
            self.production.quiet();
            self.cut();
            match self.block.execute(job.transaction(), job.sender()) {
                Ok(executed) => {
                    self.made.push(Made {
                        job,
                        receipt: executed.receipt,
                        changes: executed.changes,
                    });
                }
                Err(_) => self.refused.push(job),
            }
            self.settle_fees();
            for (job, _) in behind {
                self.hand_out(&job);
            }
        }
    }
}

fn sorted(mut changes: Vec<AccountChange>) -> Vec<AccountChange> {
    changes
        .iter_mut()
        .for_each(|change| change.storage.sort_unstable());
    changes
}

/// Executes what was made again in its order, and compares everything.
fn assert_serial(seed: u64, fork: Fork, producer: &Producer<'_>, count: u64) {
    let again = random_block(seed, fork, count);
    again.parent.adopt(&again.state).unwrap();
    let mut block = one_after_the_other(&again, &again.state);
    for (index, made) in producer.made.iter().enumerate() {
        let executed = block.execute(made.job.transaction(), made.job.sender());
        let executed = executed.unwrap_or_else(|error| panic!("seed {seed}, transaction {index}: {error}"));
        assert_eq!(executed.receipt, made.receipt, "seed {seed}, receipt {index}");
        assert_eq!(
            sorted(executed.changes),
            sorted(made.changes.clone()),
            "seed {seed}, changes {index}"
        );
    }
    let touched = block.take_accesses().map(BlockAccesses::finish);
    assert_eq!(
        producer.touched.clone().finish(),
        touched.unwrap_or_default(),
        "seed {seed}"
    );
    assert_eq!(producer.block.gas_used(), block.gas_used(), "seed {seed}");
    let (found, expected) = (producer.state.newest(), again.state.newest());
    for change in producer.made.iter().flat_map(|made| &made.changes) {
        let address = change.address;
        assert_eq!(
            found.account(&address).unwrap(),
            expected.account(&address).unwrap(),
            "{address}"
        );
        for (slot, _) in &change.storage {
            assert_eq!(
                found.storage(&address, slot).unwrap(),
                expected.storage(&address, slot).unwrap(),
                "{address} {slot}"
            );
        }
    }
}

#[test]
fn the_order_of_the_commits_gives_the_same_one_after_the_other() {
    produce_and_compare(Fork::Osaka, 120);
}

#[test]
fn with_access_lists_it_does_so_too() {
    produce_and_compare(Fork::Amsterdam, 80);
}

fn produce_and_compare(fork: Fork, blocks: u64) {
    const COUNT: u64 = 120;
    let (mut made, mut refused, mut alone) = (0, 0, 0);
    for seed in seeds(blocks) {
        let bed = random_block(seed, fork, COUNT);
        let workers = 1 + seed as usize % 8;
        let mut producer = Producer::new(&bed, workers);
        for (transaction, sender) in bed.transactions.iter().zip(&bed.senders) {
            producer.hand_out(&Arc::new((transaction.clone(), *sender)));
            if made % 7 == 0 {
                producer.cut();
            }
        }
        producer.finish();
        assert_eq!(
            producer.made.len() + producer.refused.len(),
            COUNT as usize,
            "seed {seed}"
        );
        assert_serial(seed, fork, &producer, COUNT);
        made += producer.made.len();
        refused += producer.refused.len();
        alone += producer.alone;
    }
    assert!(
        made > 1_000 && refused > 0 && alone > 0,
        "{made} {refused} {alone}"
    );
}

/// A transaction that breaks whoever looks at it while it is armed, once.
#[derive(Clone)]
struct Breaking(Transaction, Arc<AtomicBool>);

impl Job for Breaking {
    fn transaction(&self) -> &TransactionSigned {
        assert!(!self.1.swap(false, SeqCst), "it breaks the worker");
        self.0.transaction()
    }

    fn sender(&self) -> Address {
        self.0.sender()
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }
}

/// Hands everything out, lets `work` see to it that it is done while the first transaction is armed, and looks at what
/// came of it.
fn break_a_worker(workers: usize, work: impl FnOnce(&mut Production<Breaking>)) {
    let bed = random_block(3, Fork::Osaka, 40);
    bed.parent.adopt(&bed.state).unwrap();
    let parts = ProductionParts {
        spec: Arc::clone(&bed.spec),
        state: bed.state.clone(),
        hashes: NoBlockHashes,
        compiler: Compiler::none(),
    };
    let config = ProductionConfig {
        workers,
        spin: false,
        pinning: Pinning::Free,
    };
    let mut production = Production::start(config, parts, || {}).unwrap();
    production.enter_block(bed.environment.clone(), None);
    let breaker = bed.senders[0];
    let armed = Arc::new(AtomicBool::new(false));
    let harmless = Arc::new(AtomicBool::new(false));
    let others = (1..bed.senders.len()).filter(|index| bed.senders[*index] != breaker);
    for index in others.chain([0]) {
        let job = Arc::new((bed.transactions[index].clone(), bed.senders[index]));
        // Of another class, it is in no batch that is looked at as a whole.
        let (flag, class) = match index {
            0 => (&armed, Class::new(1)),
            _ => (&harmless, Class::new(0)),
        };
        production.hand_out(Breaking(job, Arc::clone(flag)), class);
    }
    armed.store(true, SeqCst);
    work(&mut production);
    let (_, executed) = production.cut();
    assert!(!executed.is_empty(), "the workers live");
    assert!(executed.iter().all(|executed| executed.job.sender() != breaker));
    let mut panicked = 0;
    while let Some(stopped) = production.next_stopped() {
        if matches!(stopped.reason, StopReason::Panicked) {
            panicked += 1;
            assert_eq!(stopped.job.sender(), breaker);
        }
    }
    assert_eq!(panicked, 1);
}

#[test]
fn what_breaks_the_thread_that_hands_out_is_given_back_and_the_others_run() {
    break_a_worker(1, Production::quiet);
}

#[test]
fn what_breaks_a_worker_is_given_back_and_the_others_run() {
    // The last to be handed out is kept back until something is collected, and this thread executes nothing.
    break_a_worker(2, |production| {
        while !production.is_quiet() {
            production.collect();
            thread::yield_now();
        }
    });
}

/// A batch is looked at as a whole before it is executed. Whatever goes wrong there is no transaction's fault.
#[test]
fn what_breaks_a_worker_that_looks_ahead_breaks_nothing_else() {
    let bed = random_block(3, Fork::Osaka, 40);
    bed.parent.adopt(&bed.state).unwrap();
    let parts = ProductionParts {
        spec: Arc::clone(&bed.spec),
        state: bed.state.clone(),
        hashes: NoBlockHashes,
        compiler: Compiler::none(),
    };
    let config = ProductionConfig {
        workers: 1,
        spin: false,
        pinning: Pinning::Free,
    };
    let mut production = Production::start(config, parts, || {}).unwrap();
    production.enter_block(bed.environment.clone(), None);
    let armed = Arc::new(AtomicBool::new(false));
    let mut senders: Vec<_> = bed.senders.clone();
    senders.sort_unstable();
    senders.dedup();
    let transfers = senders.iter().map(|sender| {
        let account = bed.state.newest().account(sender).unwrap().unwrap_or_default();
        let transfer = TxLegacy {
            nonce: account.nonce,
            gas_price: 100,
            gas_limit: 21_000,
            to: TxKind::Call(Address::repeat_byte(0x77)),
            ..TxLegacy::default()
        };
        let transfer = Signed::new_unhashed(transfer, Signature::test_signature());
        Breaking(Arc::new((transfer.into(), *sender)), Arc::clone(&armed))
    });
    // The first goes by itself, since nothing else is handed out, and comes last; the others are a batch.
    for (index, transfer) in transfers.enumerate() {
        production.hand_out(transfer, Class::new(if index == 0 { 4 } else { 0 }));
    }
    armed.store(true, SeqCst);
    production.quiet();
    assert!(!armed.load(SeqCst), "somebody looked");
    let (_, executed) = production.cut();
    let mut stopped = Vec::new();
    while let Some(next) = production.next_stopped() {
        stopped.push(next);
    }
    let panicked = |stopped: &&rapid_executor::Stopped<_>| matches!(stopped.reason, StopReason::Panicked);
    assert_eq!(executed.len() + stopped.len(), senders.len());
    assert!(executed.len() > 1);
    assert_eq!(
        stopped.iter().find(panicked).map(|stopped| stopped.job.sender()),
        None
    );
}
