//! Block access lists as reth's import uses them: workers that each read the list through revm's `State`, and one
//! thread that commits what they did in order, rebuilds the list and compares its hash.

use super::{
    Run, Side, Subject,
    revm_state::{Bundled, Parent, Receipts, parent, plain_evm, prepared},
};
use crate::{
    clock::{timed, timed_with_others},
    parallel::block::Block,
};
use alloy_eip7928::compute_block_access_list_hash;
use alloy_evm::Evm;
use eyre::{OptionExt, ensure, eyre};
use rapid_primitives::Receipt;
use rayon::{ThreadPool, ThreadPoolBuilder};
use revm::{
    DatabaseCommit,
    context_interface::result::ResultAndState,
    database::{BundleState, State, states::bundle_state::BundleRetention},
    state::bal::{Bal, BlockAccessIndex},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
    mpsc::{Receiver, Sender, channel},
};

/// A transaction's number, and what came of it.
type Executed = (usize, eyre::Result<ResultAndState>);

/// Threads that execute; the thread that runs the side commits.
pub(super) struct OrderedCommitter {
    workers: usize,
    pool: ThreadPool,
}

impl OrderedCommitter {
    /// Starts the threads.
    ///
    /// # Errors
    /// If one does not start.
    pub(super) fn start(workers: usize) -> eyre::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|index| format!("bench-list-{index}"))
            .build()?;
        Ok(Self { workers, pool })
    }

    fn execute(&self, subject: &Subject, parent: Parent) -> eyre::Result<(Vec<Receipt>, BundleState)> {
        let list = Arc::new(Bal::clone_from_alloy(&subject.list).map_err(|error| eyre!("{error:?}"))?);
        let next = AtomicUsize::new(0);
        let (done, results) = channel();
        self.pool.in_place_scope(|scope| {
            for _ in 0..self.workers {
                let (worker, done, next) = (Worker::new(&list, parent.clone()), done.clone(), &next);
                scope.spawn(move |_| worker.work(&subject.block, next, &done));
            }
            drop(done);
            commit_in_order(subject, parent, &results)
        })
    }
}

impl Side for OrderedCommitter {
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run> {
        let parent = parent(&subject.block)?;
        let (outcome, elapsed) = timed_with_others(|| self.execute(subject, parent));
        let (receipts, bundle) = outcome?;
        subject.expected.check(&receipts, &Bundled(bundle))?;
        Ok(Run::of(elapsed))
    }
}

/// What the parts of the work take, each done alone, for a model of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// Executing all transactions through the list.
    pub(crate) execute_ns: f64,
    /// Committing all in order.
    pub(crate) commit_ns: f64,
}

/// Executes and then commits, on this thread.
///
/// # Errors
/// If a transaction fails or the list differs.
pub(crate) fn parts(subject: &Subject) -> eyre::Result<Parts> {
    let parent = parent(&subject.block)?;
    let list = Arc::new(Bal::clone_from_alloy(&subject.list).map_err(|error| eyre!("{error:?}"))?);
    let (done, results) = channel();
    let worker = Worker::new(&list, parent.clone());
    let ((), executing) = timed(|| worker.work(&subject.block, &AtomicUsize::new(0), &done));
    drop(done);
    let (committed, committing) = timed(|| commit_in_order(subject, parent, &results));
    committed?;
    Ok(Parts {
        execute_ns: executing.cpu.as_secs_f64() * 1e9,
        commit_ns: committing.cpu.as_secs_f64() * 1e9,
    })
}

/// A worker with revm's `State` over the list.
struct Worker {
    state: State<Parent>,
}

impl Worker {
    fn new(list: &Arc<Bal>, parent: Parent) -> Self {
        Self {
            state: State::builder()
                .with_database(parent)
                .with_bal(Arc::clone(list))
                .build(),
        }
    }

    /// Takes transactions in their order until there is none left.
    fn work(self, block: &Block, next: &AtomicUsize, done: &Sender<Executed>) {
        let mut evm = plain_evm(block, self.state);
        loop {
            let index = next.fetch_add(1, Relaxed);
            if index >= block.len() {
                return;
            }
            evm.db_mut()
                .set_bal_index(BlockAccessIndex::new(index as u64 + 1));
            let outcome = evm
                .transact_raw(prepared(block, index))
                .map_err(|error| eyre!("transaction {index}: {error}"));
            if done.send((index, outcome)).is_err() {
                return;
            }
        }
    }
}

fn commit_in_order(
    subject: &Subject,
    parent: Parent,
    results: &Receiver<Executed>,
) -> eyre::Result<(Vec<Receipt>, BundleState)> {
    let block = &subject.block;
    let mut state = State::builder()
        .with_database(parent)
        .with_bundle_update()
        .with_bal_builder()
        .build();
    let mut receipts = Receipts::with_capacity(block.len());
    let mut waiting: Vec<Option<ResultAndState>> = (0..block.len()).map(|_| None).collect();
    for (index, transaction) in block.transactions.iter().enumerate() {
        let outcome = loop {
            if let Some(outcome) = waiting[index].take() {
                break outcome;
            }
            let (done, outcome) = results.recv()?;
            waiting[done] = Some(outcome?);
        };
        let available = block.environment.gas_limit - receipts.gas_used();
        let limit = alloy_consensus::Transaction::gas_limit(transaction);
        ensure!(limit <= available, "transaction {index} does not fit");
        receipts.push(transaction, outcome.result);
        state.set_bal_index(BlockAccessIndex::new(index as u64 + 1));
        // revm's cache takes changes of accounts only that it has loaded; the workers loaded them into their own.
        for address in outcome.state.keys() {
            state.load_cache_account(*address)?;
        }
        state.commit(outcome.state);
    }
    state.merge_transitions(BundleRetention::Reverts);
    let rebuilt = state
        .take_built_alloy_bal()
        .ok_or_eyre("no access list was built")?;
    ensure!(
        compute_block_access_list_hash(&rebuilt) == subject.list_hash,
        "the access list differs"
    );
    Ok((receipts.finish(), state.take_bundle()))
}
