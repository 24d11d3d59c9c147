//! What the models run on: of each transaction its cost, its sender, and what it shares with others.

use crate::parallel::block::Block;
use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use eyre::eyre;
use rapid_evm::Compiler;
use rapid_primitives::{Account, AccountChange, ReadState, WriteState};
use rapid_state::Newest;
use revm::bytecode::Bytecode;
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
    time::Instant,
};

/// Runs of which each transaction's shortest time is its cost.
const COST_RUNS: usize = 5;

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Task {
    /// Nanoseconds that executing it takes, applying its changes included.
    pub(crate) cost_ns: f64,
    /// Its sender's number: a sender's transactions stay in order.
    pub(crate) sender: usize,
    /// Contended keys that it reads or writes.
    pub(crate) touched: Vec<usize>,
    /// Those that it writes.
    pub(crate) written: Vec<usize>,
}

/// A block of transactions.
///
/// A key is contended if one transaction writes it and another one touches it. What commutes is none: the beneficiary's
/// fees, and the recipient of a payment without code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// In the order of the block.
    pub(crate) tasks: Vec<Task>,
    /// How many contended keys there are.
    pub(crate) keys: usize,
}

impl Trace {
    /// Records a block by executing it sequentially.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub(crate) fn record(block: &Block, compiler: &Compiler) -> eyre::Result<Self> {
        let costs = costs(block, compiler)?;
        let accesses = accesses(block)?;
        let mut trace = Self::of_accesses(&accesses);
        let mut senders = HashMap::new();
        for (index, task) in trace.tasks.iter_mut().enumerate() {
            let number = senders.len();
            task.sender = *senders.entry(block.senders[index]).or_insert(number);
            task.cost_ns = costs[index];
        }
        Ok(trace)
    }

    /// What all transactions cost together.
    pub(crate) fn total_ns(&self) -> f64 {
        self.tasks.iter().map(|task| task.cost_ns).sum()
    }

    /// The longest chain of transactions of which each depends on the one before, in the order of the block: no executor of a
    /// fixed order without post-values is faster.
    pub(crate) fn critical_path_ns(&self) -> f64 {
        let mut key_ready = vec![0.0_f64; self.keys];
        let mut sender_ready: HashMap<usize, f64> = HashMap::new();
        let mut longest = 0.0_f64;
        for task in &self.tasks {
            let sender = sender_ready.entry(task.sender).or_default();
            let start = task
                .touched
                .iter()
                .map(|&key| key_ready[key])
                .fold(*sender, f64::max);
            let end = start + task.cost_ns;
            *sender = end;
            for &key in &task.written {
                key_ready[key] = end;
            }
            longest = longest.max(end);
        }
        longest
    }

    fn of_accesses(accesses: &[Accesses]) -> Self {
        let mut touching: HashMap<Key, usize> = HashMap::new();
        let mut written: HashSet<Key> = HashSet::new();
        for access in accesses {
            written.extend(&access.written);
            for key in access.touched() {
                *touching.entry(key).or_default() += 1;
            }
        }
        let mut contended: Vec<_> = touching
            .into_iter()
            .filter(|(key, tasks)| *tasks > 1 && written.contains(key))
            .map(|(key, _)| key)
            .collect();
        contended.sort_unstable();
        let number = |key: &Key| contended.binary_search(key).ok();
        let tasks = accesses.iter().map(|access| Task {
            touched: access.touched().iter().filter_map(number).collect(),
            written: access.written.iter().filter_map(number).collect(),
            ..Task::default()
        });
        Self {
            tasks: tasks.collect(),
            keys: contended.len(),
        }
    }
}

/// An account's fields, or one of its slots.
type Key = (Address, Option<U256>);

/// What one transaction did.
#[derive(Clone, Debug, Default)]
struct Accesses {
    read: BTreeSet<Key>,
    written: BTreeSet<Key>,
}

impl Accesses {
    fn touched(&self) -> BTreeSet<Key> {
        self.read.union(&self.written).copied().collect()
    }

    fn forget(&mut self, address: Address) {
        self.read.remove(&(address, None));
        self.written.remove(&(address, None));
    }
}

/// The shortest time of each transaction.
fn costs(block: &Block, compiler: &Compiler) -> eyre::Result<Vec<f64>> {
    let mut costs = vec![f64::INFINITY; block.len()];
    for _ in 0..COST_RUNS {
        let (mut executor, _) = block.begin(block.state()?.newest(), compiler)?;
        for (index, cost) in costs.iter_mut().enumerate() {
            let started = Instant::now();
            let executed = executor.execute(&block.transactions[index], block.senders[index]);
            *cost = cost.min(started.elapsed().as_nanos() as f64);
            executed.map_err(|error| eyre!("transaction {index}: {error}"))?;
        }
    }
    Ok(costs)
}

fn accesses(block: &Block) -> eyre::Result<Vec<Accesses>> {
    let watched = Watched {
        state: block.state()?.newest(),
        seen: RefCell::default(),
    };
    let (mut executor, _) = block.begin(watched, &Compiler::none())?;
    executor.state().seen.take();
    let mut all = Vec::with_capacity(block.len());
    for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
        executor
            .execute(transaction, *sender)
            .map_err(|error| eyre!("transaction {}: {error}", all.len()))?;
        let mut accesses = executor.state().seen.take();
        accesses.forget(block.environment.beneficiary);
        if let Some(recipient) = transaction.to().filter(|_| transaction.input().is_empty()) {
            let account = executor.state().state.account(&recipient)?;
            if account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY) {
                accesses.forget(recipient);
            }
        }
        all.push(accesses);
    }
    Ok(all)
}

/// A state that notes what is read from it and written to it.
#[derive(Debug)]
struct Watched {
    state: Newest,
    seen: RefCell<Accesses>,
}

impl ReadState for Watched {
    type Error = <Newest as ReadState>::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        self.seen.borrow_mut().read.insert((*address, None));
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        self.seen.borrow_mut().read.insert((*address, Some(*slot)));
        self.state.storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Self::Error> {
        self.state.code(hash)
    }
}

impl WriteState for Watched {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), Self::Error> {
        let seen = self.seen.get_mut();
        for change in changes {
            let slots = change
                .storage
                .iter()
                .map(|(slot, _)| (change.address, Some(*slot)));
            seen.written.extend(slots);
            if change.nonce.is_some() || change.balance.is_some() || change.code.is_some() {
                seen.written.insert((change.address, None));
            }
        }
        self.state.apply(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parallel::block::Fork, scenario::ScenarioKind};

    fn recorded(kind: ScenarioKind, count: usize) -> Trace {
        Trace::record(
            &Block::draw(kind, count, 2, Fork::Osaka).unwrap(),
            &Compiler::none(),
        )
        .unwrap()
    }

    #[test]
    fn payments_and_transfers_share_nothing() {
        for kind in [ScenarioKind::Transfers, ScenarioKind::Erc20] {
            let trace = recorded(kind, 20);
            assert_eq!(trace.keys, 0, "{kind:?}");
            assert!(trace.tasks.iter().all(|task| task.cost_ns > 0.0));
            assert_eq!(trace.tasks[19].sender, 19);
        }
    }

    #[test]
    fn a_counter_is_one_key_that_all_write() {
        let trace = recorded(ScenarioKind::Counter, 20);
        assert_eq!(trace.keys, 1);
        assert!(trace.tasks.iter().all(|task| task.written == [0]));
        let (path, total) = (trace.critical_path_ns(), trace.total_ns());
        assert!((path - total).abs() < 1.0, "all in a row");
    }

    #[test]
    fn hot_holders_are_keys_of_their_transfers() {
        let trace = recorded(ScenarioKind::Erc20Hot16, 160);
        assert_eq!(trace.keys, 16);
        assert!(trace.critical_path_ns() < trace.total_ns() / 4.0);
    }

    #[test]
    fn a_sender_is_a_chain() {
        let trace = recorded(ScenarioKind::Chain1, 20);
        assert!(trace.tasks.iter().all(|task| task.sender == 0));
        assert!((trace.critical_path_ns() - trace.total_ns()).abs() < 1.0);
    }
}
