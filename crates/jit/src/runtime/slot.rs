//! What the runtime knows about one contract under one set of rules.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use alloy_primitives::B256;
use parking_lot::{Mutex, MutexGuard};

use super::rules_list::RulesId;
use crate::{CompiledCode, Tier};

/// Identity of machine code: the bytecode and the rules it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) hash: B256,
    pub(super) rules: RulesId,
}

/// Who pays for the gas that heats a contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeatSource {
    /// A transaction's sender.
    #[default]
    Transaction,
    /// Nobody: `eth_call`, tracing, estimates. Its gas counts a sixteenth, and what only calls have heated is compiled
    /// after everything else and leaves half of the CPU budget alone: free calls cannot keep paid contracts out.
    Call,
}

/// Calls heat by their gas divided by this.
const CALL_GAS_DIVISOR: u64 = 16;

/// A contract's heat, its code and what is to become of it. Shared by the map, the queue and the sessions that have seen
/// the contract. Its lock is the innermost one.
#[derive(Debug)]
pub(super) struct Slot {
    key: Key,
    paid: AtomicU64,
    called: AtomicU64,
    /// Epoch of the last use.
    used: AtomicU64,
    state: Mutex<SlotState>,
}

/// The part of a [`Slot`] that changes as a whole.
#[derive(Debug)]
pub(super) struct SlotState {
    pub(super) code: Option<Arc<Installed>>,
    pub(super) next: Next,
}

/// What happens to a contract next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is compiled by this tier when it is hot enough.
    Compile(Tier),
    /// It is queued or being compiled.
    Pending,
    /// Nothing: it has the best code there is, was refused, or is quarantined.
    Nothing,
}

/// Gas by payer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Warmth {
    pub(super) paid: u64,
    pub(super) called: u64,
}

impl Warmth {
    pub(super) const fn total(self) -> u64 {
        self.paid.saturating_add(self.called)
    }
}

impl Slot {
    pub(super) const fn new(key: Key, next: Next, warmth: Warmth) -> Self {
        Self {
            key,
            paid: AtomicU64::new(warmth.paid),
            called: AtomicU64::new(warmth.called),
            used: AtomicU64::new(0),
            state: Mutex::new(SlotState { code: None, next }),
        }
    }

    pub(super) const fn key(&self) -> Key {
        self.key
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock()
    }

    /// Adds gas that was burnt, and returns all of it.
    pub(super) fn heat(&self, source: HeatSource, gas: u64) -> u64 {
        match source {
            HeatSource::Transaction => self.paid.fetch_add(gas, Ordering::Relaxed),
            HeatSource::Call => self.called.fetch_add(gas / CALL_GAS_DIVISOR, Ordering::Relaxed),
        };
        self.warmth().total()
    }

    pub(super) fn warmth(&self) -> Warmth {
        Warmth {
            paid: self.paid.load(Ordering::Relaxed),
            called: self.called.load(Ordering::Relaxed),
        }
    }

    /// Forgets the heat.
    pub(super) fn cool(&self) {
        self.paid.store(0, Ordering::Relaxed);
        self.called.store(0, Ordering::Relaxed);
    }

    /// Notes a use. The line is shared by all that run the contract, so it is written once an epoch.
    pub(super) fn stamp(&self, epoch: u64) {
        if self.used.load(Ordering::Relaxed) < epoch {
            self.used.store(epoch, Ordering::Relaxed);
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether forgetting it loses nothing but heat.
    pub(super) fn is_forgettable(&self) -> bool {
        let state = self.state();
        state.code.is_none() && state.next != Next::Pending
    }
}

impl SlotState {
    /// After a compilation that did not take place: the contract is due again when it is hot enough, from the lowest tier
    /// if its code has gone meanwhile.
    pub(super) const fn try_again(&mut self, tier: Tier) {
        self.next = match self.code {
            Some(_) => Next::Compile(tier),
            None => Next::Compile(Tier::Fast),
        };
    }

    /// Takes the code away. Sessions see that it is retired when the epoch turns.
    pub(super) fn retire(&mut self) {
        if let Some(code) = self.code.take() {
            code.retire();
        }
    }
}

/// Code in use. Sessions hold it while they may run it.
#[derive(Debug)]
pub(super) struct Installed {
    code: CompiledCode,
    retired: AtomicBool,
    retired_bytes: Arc<AtomicU64>,
}

impl Installed {
    /// `retired_bytes` counts what was taken from its slot and is still mapped.
    pub(super) const fn new(code: CompiledCode, retired_bytes: Arc<AtomicU64>) -> Self {
        Self {
            code,
            retired: AtomicBool::new(false),
            retired_bytes,
        }
    }

    #[inline]
    pub(super) const fn code(&self) -> &CompiledCode {
        &self.code
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    const fn bytes(&self) -> u64 {
        self.code.resident_bytes() as u64
    }

    fn retire(&self) {
        if !self.retired.swap(true, Ordering::AcqRel) {
            self.retired_bytes.fetch_add(self.bytes(), Ordering::Relaxed);
        }
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if *self.retired.get_mut() {
            self.retired_bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
        }
    }
}
