//! The transactions of one sender, in nonce order.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use alloy_primitives::{TxHash, U256};

use crate::{
    Lane, PooledTransaction,
    shared::{DropReason, Shared},
    slot::Slot,
    tally::Place,
    validate::SenderAccount,
};

/// A pooled transaction and where it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) transaction: Arc<PooledTransaction>,
    /// Where it is counted.
    pub(crate) place: Place,
    /// Where it was filed: while it is pending, and while the consumer has it. The first place of this nonce, which
    /// leads to the present one if there were replacements, and must live as long for the sake of the places that
    /// were filed behind it.
    pub(crate) slot: Option<Arc<Slot>>,
}

impl Entry {
    /// Its place in the ready queues now.
    fn current_slot(&self) -> Option<Arc<Slot>> {
        self.slot.as_ref().map(Slot::newest)
    }

    /// Takes it out of the consumer's reach. `false` if the consumer has it.
    pub(crate) fn withdraw(&mut self) -> bool {
        let withdrawn = self.current_slot().is_none_or(|slot| slot.withdraw());
        if withdrawn {
            self.slot = None;
        }
        withdrawn
    }

    fn is_dispatched(&self) -> bool {
        self.current_slot().is_some_and(|slot| slot.is_dispatched())
    }
}

/// One sender's queue.
///
/// Nonces `nonce..frontier` are all there, all pending, and filed with the consumer in order; `pending_cost` is what
/// they may cost together, and does not exceed `balance` except for what the consumer already has. What is at
/// `frontier` or later waits: for a nonce, for balance, for a lower base fee, or for room in its lane.
#[derive(Debug)]
pub(crate) struct SenderQueue {
    pub(crate) nonce: u64,
    balance: U256,
    pub(crate) delegated: bool,
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) frontier: u64,
    pending_cost: U256,
    /// The lane whose lack of room keeps the transaction at `frontier` back.
    pub(crate) waits_for: Option<Lane>,
    /// Whether the shard has it in its list of senders that wait for room in a lane.
    pub(crate) listed: bool,
}

impl SenderQueue {
    pub(crate) const fn new(account: &SenderAccount) -> Self {
        Self {
            nonce: account.nonce,
            balance: account.balance,
            delegated: account.delegated,
            entries: BTreeMap::new(),
            frontier: account.nonce,
            pending_cost: U256::ZERO,
            waits_for: None,
            listed: false,
        }
    }

    pub(crate) const fn account(&self) -> SenderAccount {
        SenderAccount {
            nonce: self.nonce,
            balance: self.balance,
            delegated: self.delegated,
        }
    }

    /// Takes in what a submission read of the published state, which may be a little newer or older than the last
    /// mini-block the pool has seen.
    ///
    /// The greater nonce is the newer one. At equal nonces nobody knows which balance is newer; the greater one is
    /// taken, since what it lets through too early is found out at execution, while what it kept back would wait for
    /// a change that has happened already.
    pub(crate) fn learn(&mut self, read: &SenderAccount, shared: &Shared) {
        if read.nonce < self.nonce {
            return;
        }
        if read.nonce > self.nonce {
            self.balance = read.balance;
            self.delegated = read.delegated;
            self.advance(read.nonce, None, shared);
        } else {
            self.balance = self.balance.max(read.balance);
            self.delegated |= read.delegated;
        }
    }

    pub(crate) const fn set_balance(&mut self, balance: U256) {
        self.balance = balance;
    }

    /// Where a transaction that is not in the queue yet would stand.
    pub(crate) fn place_of(&self, transaction: &PooledTransaction, shared: &Shared) -> Place {
        if transaction.nonce() != self.frontier || !self.can_pay(transaction) {
            Place::Queued
        } else if transaction.fee_cap() < shared.base_fee() {
            Place::BaseFee
        } else {
            Place::Pending(transaction.lane())
        }
    }

    fn can_pay(&self, transaction: &PooledTransaction) -> bool {
        self.pending_cost.saturating_add(transaction.cost()) <= self.balance
    }

    /// Adds a transaction with a nonce that is not there yet, counted at `place` already.
    pub(crate) fn add(&mut self, transaction: Arc<PooledTransaction>, place: Place, shared: &Shared) {
        shared.index(&transaction);
        self.entries.insert(
            transaction.nonce(),
            Entry {
                transaction,
                place,
                slot: None,
            },
        );
        self.extend(shared);
    }

    /// Puts a transaction in the place of the one with its nonce. `false` if the consumer has that one.
    ///
    /// It keeps the place in the lane unless it belongs to another one: then it and the sender's later transactions
    /// are filed again, since a place in a lane is not for sale by replacement.
    pub(crate) fn replace(&mut self, transaction: &Arc<PooledTransaction>, shared: &Shared) -> bool {
        let nonce = transaction.nonce();
        let lane = self.lane_to_file(transaction);
        if nonce < self.frontier && !self.supersede(transaction, lane) {
            self.retract_to(nonce, shared);
            if self.frontier > nonce {
                self.extend(shared);
                return false;
            }
        }
        let Some(entry) = self.entries.get_mut(&nonce) else {
            return false;
        };
        if nonce >= self.frontier && !entry.withdraw() {
            return false;
        }
        let old = std::mem::replace(&mut entry.transaction, Arc::clone(transaction));
        shared.tally.at(entry.place).remove(old.encoded_len());
        if nonce < self.frontier {
            entry.place = Place::Pending(transaction.lane());
            self.pending_cost = self
                .pending_cost
                .saturating_sub(old.cost())
                .saturating_add(transaction.cost());
        }
        shared.tally.at(entry.place).add(transaction.encoded_len());
        shared.forget(&old, DropReason::Replaced);
        shared.index(transaction);
        if nonce < self.frontier {
            shared.announce(transaction);
        }
        self.settle(shared);
        true
    }

    /// Replaces in the ready queue itself, if the transaction stays in its lane and the consumer does not have it.
    fn supersede(&mut self, transaction: &Arc<PooledTransaction>, lane: Lane) -> bool {
        let Some(entry) = self.entries.get(&transaction.nonce()) else {
            return false;
        };
        let Some(slot) = entry.current_slot().filter(|slot| slot.lane() == lane) else {
            return false;
        };
        let Some(successor) = slot.supersede(Arc::clone(transaction)) else {
            return false;
        };
        *transaction.slot.lock() = Arc::downgrade(&successor);
        true
    }

    /// The account's nonce is `next` now: everything below was used. `included` is what the published mini-block has
    /// at `next - 1`, to tell what was included from what was overtaken.
    pub(crate) fn advance(&mut self, next: u64, included: Option<TxHash>, shared: &Shared) {
        if next <= self.nonce {
            return;
        }
        self.nonce = next;
        while let Some(first) = self.entries.first_entry() {
            if *first.key() >= next {
                break;
            }
            let (nonce, entry) = first.remove_entry();
            if nonce < self.frontier {
                self.pending_cost = self.pending_cost.saturating_sub(entry.transaction.cost());
            }
            if let Some(slot) = entry.current_slot() {
                slot.finish();
            }
            let mined = included.is_some_and(|hash| hash == entry.transaction.hash());
            shared
                .tally
                .at(entry.place)
                .remove(entry.transaction.encoded_len());
            shared.forget(
                &entry.transaction,
                if mined {
                    DropReason::Included
                } else {
                    DropReason::NonceUsed
                },
            );
        }
        self.frontier = self.frontier.max(next);
    }

    /// [`SenderQueue::settle`] after the base fee changed: looks at every pending transaction.
    pub(crate) fn reprice(&mut self, shared: &Shared) {
        let base_fee = shared.base_fee();
        let too_cheap = self
            .entries
            .range(self.nonce..self.frontier)
            .find(|(_, entry)| entry.transaction.fee_cap() < base_fee && !entry.is_dispatched());
        if let Some((&nonce, _)) = too_cheap {
            self.retract_to(nonce, shared);
        }
        self.settle(shared);
    }

    /// Makes pending what may be and takes back what may not, after the account changed.
    pub(crate) fn settle(&mut self, shared: &Shared) {
        while self.pending_cost > self.balance && self.frontier > self.nonce {
            let last = self.frontier - 1;
            self.retract_to(last, shared);
            if self.frontier > last {
                break;
            }
        }
        self.extend(shared);
    }

    /// Withdraws pending transactions from the last down to `nonce`, as far as the consumer does not have them.
    pub(crate) fn retract_to(&mut self, nonce: u64, shared: &Shared) {
        while self.frontier > nonce.max(self.nonce) {
            let Some(entry) = self.entries.get_mut(&(self.frontier - 1)) else {
                break;
            };
            if !entry.withdraw() {
                break;
            }
            self.demote_last(shared);
        }
    }

    /// As [`SenderQueue::retract_to`], but what the consumer has is no longer counted on either: something before it
    /// was not executed. It keeps its slot, so that it is not filed twice.
    pub(crate) fn unwind_to(&mut self, nonce: u64, shared: &Shared) {
        while self.frontier > nonce.max(self.nonce) {
            let Some(entry) = self.entries.get_mut(&(self.frontier - 1)) else {
                break;
            };
            if entry.current_slot().is_some_and(|slot| slot.orphan()) {
                entry.slot = None;
            }
            self.demote_last(shared);
        }
    }

    fn demote_last(&mut self, shared: &Shared) {
        self.frontier -= 1;
        if let Some(entry) = self.entries.get_mut(&self.frontier) {
            self.pending_cost = self.pending_cost.saturating_sub(entry.transaction.cost());
            shared.recount(entry, Place::Queued);
        }
    }

    /// Files what follows the pending transactions, as far as nonces, balance, base fee and lanes allow.
    pub(crate) fn extend(&mut self, shared: &Shared) {
        if let Some(lane) = self.waits_for.take() {
            shared.tally.lane(lane).remove_waiter();
        }
        while let Some(entry) = self.entries.get_mut(&self.frontier) {
            let transaction = Arc::clone(&entry.transaction);
            if self.pending_cost.saturating_add(transaction.cost()) > self.balance {
                break;
            }
            if transaction.fee_cap() < shared.base_fee() {
                if entry.place == Place::Queued
                    && shared.tally.at(Place::BaseFee).try_add(transaction.encoded_len())
                {
                    shared.tally.at(Place::Queued).remove(transaction.encoded_len());
                    entry.place = Place::BaseFee;
                }
                break;
            }
            let lane = transaction.lane();
            if entry.place != Place::Pending(lane) {
                if !shared.tally.lane(lane).try_add(transaction.encoded_len()) {
                    shared.tally.lane(lane).add_waiter();
                    self.waits_for = Some(lane);
                    break;
                }
                shared.tally.at(entry.place).remove(transaction.encoded_len());
                entry.place = Place::Pending(lane);
            }
            if entry.current_slot().is_none_or(|slot| !slot.adopt()) {
                self.file(&transaction, shared);
            }
            self.pending_cost = self.pending_cost.saturating_add(transaction.cost());
            self.frontier += 1;
        }
    }

    /// Hands a transaction to the ready queue of its lane.
    fn file(&mut self, transaction: &Arc<PooledTransaction>, shared: &Shared) {
        let lane = self.lane_to_file(transaction);
        let slot = Slot::new(
            Arc::clone(transaction),
            lane,
            self.predecessor(transaction).as_ref(),
        );
        *transaction.slot.lock() = Arc::downgrade(&slot);
        if let Some(entry) = self.entries.get_mut(&transaction.nonce()) {
            entry.slot = Some(Arc::clone(&slot));
        }
        shared.queues[lane.index()].push(slot);
        shared.announce(transaction);
    }

    /// The slot of the nonce before, if it is not published yet.
    fn predecessor(&self, transaction: &PooledTransaction) -> Option<Arc<Slot>> {
        self.entries
            .get(&transaction.nonce().checked_sub(1)?)?
            .current_slot()
    }

    /// Its own lane, or that of the nonce before while that one waits in a lower one.
    fn lane_to_file(&self, transaction: &PooledTransaction) -> Lane {
        match self.predecessor(transaction) {
            Some(slot) if slot.is_waiting() => transaction.lane().max(slot.lane()),
            _ => transaction.lane(),
        }
    }

    /// Takes one transaction out, wherever it stands; what follows has a gap before it then.
    pub(crate) fn remove(&mut self, nonce: u64, reason: DropReason, shared: &Shared) {
        self.unwind_to(nonce, shared);
        if let Some(entry) = self.entries.remove(&nonce) {
            if let Some(slot) = entry.current_slot() {
                slot.withdraw();
            }
            shared
                .tally
                .at(entry.place)
                .remove(entry.transaction.encoded_len());
            shared.forget(&entry.transaction, reason);
        }
    }

    /// Counts a transaction that the consumer gave up as waiting at `place`, until something changes.
    pub(crate) fn demote(&mut self, nonce: u64, place: Place, shared: &Shared) {
        if let Some(entry) = self.entries.get_mut(&nonce) {
            entry.slot = None;
            shared.recount(entry, place);
        }
    }

    /// The next nonce after the consecutive ones that are there; `None` without transactions.
    pub(crate) fn pending_nonce(&self) -> Option<u64> {
        if self.entries.is_empty() {
            return None;
        }
        let mut next = self.nonce;
        for nonce in self.entries.keys() {
            if *nonce != next {
                break;
            }
            next += 1;
        }
        Some(next)
    }

    /// Takes the state's word for the account, in either direction: after a reorganisation, or to end a drift.
    pub(crate) fn reset(&mut self, account: &SenderAccount, shared: &Shared) {
        self.balance = account.balance;
        self.delegated = account.delegated;
        if account.nonce < self.nonce {
            self.unwind_to(self.nonce, shared);
            self.nonce = account.nonce;
            self.frontier = account.nonce;
        } else {
            self.advance(account.nonce, None, shared);
        }
        self.settle(shared);
    }
}

impl Shared {
    /// Counts an entry somewhere else.
    pub(crate) fn recount(&self, entry: &mut Entry, place: Place) {
        self.tally.at(entry.place).remove(entry.transaction.encoded_len());
        self.tally.at(place).add(entry.transaction.encoded_len());
        entry.place = place;
    }

    /// The base fee that decides what is held.
    pub(crate) fn base_fee(&self) -> u128 {
        u128::from(self.base_fee.load(Ordering::Relaxed))
    }
}
