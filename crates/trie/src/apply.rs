//! A batch of changes to the tries of a version.

use crate::{
    TrieError,
    changes::Changes,
    forest::{Change, Shared},
    node::{Contract, Link, Slot},
    parts::{Parts, Threads},
    plan::{Op, Outcome, Plan},
    state::{AccountLeaves, SlotLeaves, TrieState},
    writer::{Writer, unknown},
};

/// Units of a contract leaf for each account, whether it needs one or not.
const CONTRACT_UNITS_EACH: u64 = 4;

/// Applies a batch to the account trie with this root and the storage tries below. Returns the new root. `state` is the
/// one after the batch. If it fails, nothing was changed.
pub(crate) fn apply<S: TrieState>(
    forest: &Shared,
    change: Change,
    root: Slot,
    state: &S,
    mut batch: Changes,
    threads: Threads,
) -> Result<Slot, TrieError> {
    let mut plan = Plan::default();
    plan.add(root, 0, 0..batch.accounts.len());
    let leaves = AccountLeaves(state);
    let mut accounts = Parts::descend(plan, forest, &batch.accounts, &leaves, threads)?;
    let (storages, plan) = Storages::find(forest, &accounts, &batch);
    let mut tries = Parts::descend(plan, forest, &batch.slots, &SlotLeaves(state), threads)?;

    let contract_units = CONTRACT_UNITS_EACH * batch.accounts.len() as u64;
    let units = accounts.units() + tries.units() + contract_units;
    let writers = 1 + accounts.writers() + tries.writers();
    let promise = forest.heap.promise(units, writers)?;
    let mut writer = Writer::new(&forest.heap, change);
    tries.combine(forest, change, &mut writer, &batch.slots);
    storages.put_leaves(&tries, &mut writer, &mut batch);
    accounts.combine(forest, change, &mut writer, &batch.accounts);
    let root = accounts.result(0);
    let (retired, unused) = writer.into_lists();
    drop(promise);
    forest.finish(change, retired, unused);
    Ok(root)
}

/// The storage tries of the accounts of a batch.
struct Storages {
    /// By account: the contract leaf that is there.
    contracts: Vec<Option<u32>>,
    /// By account: what becomes of its storage.
    fates: Vec<Fate>,
}

/// What becomes of an account's storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It stays, if there is one.
    Kept,
    /// It goes.
    Dropped,
    /// It goes, if there is one, and a trie of the plan takes its place.
    Replaced(usize),
    /// It becomes a trie of the plan.
    Changed(usize),
}

impl Storages {
    /// Returns also a plan with one trie per account whose storage is changed.
    fn find(forest: &Shared, accounts: &Parts, batch: &Changes) -> (Self, Plan) {
        let mut contracts = vec![None; batch.accounts.len()];
        for (op, place) in accounts.contracts() {
            contracts[op as usize] = Some(place);
        }
        let mut plan = Plan::default();
        let mut tries = 0;
        let mut fates = Vec::with_capacity(contracts.len());
        for (place, changes) in contracts.iter().zip(&batch.storage) {
            let before = place.map(|place| Contract::load(forest.arena(), place));
            let fate = match before {
                Some(before) if before.storage == changes.storage && changes.slots.is_empty() => Fate::Kept,
                Some(before) if before.storage == changes.storage => {
                    plan.add(before.root.slot, 0, changes.slots.clone());
                    Fate::Changed(tries)
                }
                _ if changes.slots.is_empty() => Fate::Dropped,
                _ => {
                    plan.add(Slot::Empty, 0, changes.slots.clone());
                    Fate::Replaced(tries)
                }
            };
            if let Fate::Changed(_) | Fate::Replaced(_) = fate {
                tries += 1;
            }
            fates.push(fate);
        }
        (Self { contracts, fates }, plan)
    }

    /// Makes the leaves of accounts whose storage has changed, when the plan has come true.
    fn put_leaves(&self, tries: &Parts, writer: &mut Writer<'_>, batch: &mut Changes) {
        for (index, op) in batch.accounts.iter_mut().enumerate() {
            let place = self.contracts[index];
            let before = place.map(|place| Contract::load(writer.arena, place));
            let fate = self.fates[index];
            if let (Some(before), Fate::Dropped | Fate::Replaced(_)) = (&before, fate) {
                writer.give_up_tree(before.root.slot);
            }
            let root = match fate {
                Fate::Kept => before.map(|before| before.root),
                Fate::Dropped => None,
                Fate::Changed(trie) | Fate::Replaced(trie) => {
                    storage_root(tries, trie, &batch.slots, before.map(|before| before.root))
                }
            };
            match (root, place) {
                (Some(root), place) if !op.removes() => {
                    let unchanged = before.is_some_and(|before| before.root == root);
                    op.slot = match place {
                        Some(place) if unchanged => Slot::Contract(place),
                        _ => writer.put_contract(place, op.id, batch.storage[index].storage, root),
                    };
                }
                (_, Some(place)) => writer.give_up_contract(place),
                (_, None) => {}
            }
        }
    }
}

/// The root of a trie of the plan; `None` if it is empty.
fn storage_root(tries: &Parts, trie: usize, slots: &[Op], before: Option<Link>) -> Option<Link> {
    match tries.outcome(trie) {
        (_, Outcome::Now(Slot::Empty, _)) | (Slot::Empty, Outcome::Same) => None,
        (_, Outcome::Now(slot, key)) => Some(Link {
            slot,
            field: unknown(tries.key(slots, key)),
        }),
        (_, Outcome::Same) => before,
    }
}
