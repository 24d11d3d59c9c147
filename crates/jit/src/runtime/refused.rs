//! Contracts that get no machine code.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use alloy_primitives::{
    B256,
    map::{B256HashSet, HashMap},
};
use parking_lot::Mutex;

use super::slot::Key;
use crate::{CompileError, Tier};

/// Why a contract is not compiled (again).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Machine code would gain nothing.
    Simple,
    /// It is under quarantine.
    Quarantined,
    /// Compiling failed.
    Failed(FailureKind),
}

/// How compiling a contract fails, as a metric tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FailureKind {
    TooLarge,
    NotLegacy,
    Codegen,
    Panic,
    /// The caller's hash is not that of the bytecode.
    WrongHash,
}

impl FailureKind {
    pub(super) const ALL: [Self; 5] = [
        Self::TooLarge,
        Self::NotLegacy,
        Self::Codegen,
        Self::Panic,
        Self::WrongHash,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotLegacy => "not_legacy",
            Self::Codegen => "codegen",
            Self::Panic => "panic",
            Self::WrongHash => "wrong_hash",
        }
    }
}

/// Whose fault a failed compilation is.
#[derive(Debug)]
pub(super) enum Fault {
    /// The contract's: it is not tried again.
    Contract(Refusal),
    /// The machine's: nothing can be compiled.
    Machine(CompileError),
}

impl From<CompileError> for Fault {
    fn from(error: CompileError) -> Self {
        let kind = match error {
            CompileError::NotWorthwhile => return Self::Contract(Refusal::Simple),
            CompileError::Memory(_) | CompileError::Unsupported(_) => return Self::Machine(error),
            CompileError::TooLarge { .. } => FailureKind::TooLarge,
            CompileError::NotLegacy => FailureKind::NotLegacy,
            CompileError::Codegen(_) => FailureKind::Codegen,
        };
        Self::Contract(Refusal::Failed(kind))
    }
}

/// Contracts that are not compiled again under the same rules, at most `len_max` of them. When full the oldest is
/// forgotten: it must burn [`super::RuntimeConfig::fast_gas`] before it can cost another try.
#[derive(Debug)]
pub(super) struct RefusedList {
    refused: Mutex<Refused>,
    len_max: usize,
}

#[derive(Debug, Default)]
struct Refused {
    from: HashMap<Key, Tier>,
    order: VecDeque<Key>,
}

impl RefusedList {
    pub(super) fn new(len_max: usize) -> Self {
        Self {
            refused: Mutex::default(),
            len_max,
        }
    }

    /// Refuses a contract to this tier and those above.
    pub(super) fn insert(&self, key: Key, tier: Tier) {
        let mut refused = self.refused.lock();
        let known = refused.from.get(&key).copied();
        refused
            .from
            .insert(key, known.map_or(tier, |known| known.min(tier)));
        if known.is_some() {
            return;
        }
        refused.order.push_back(key);
        if refused.order.len() > self.len_max
            && let Some(oldest) = refused.order.pop_front()
        {
            refused.from.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, key: Key, tier: Tier) -> bool {
        let refused = self.refused.lock();
        refused.from.get(&key).is_some_and(|&from| from <= tier)
    }

    pub(super) fn len(&self) -> usize {
        self.refused.lock().order.len()
    }
}

/// Code hashes under quarantine.
const QUARANTINE_MAX: usize = 4096;

/// Code whose compiled form was found to differ from the interpreter, until the process ends. When full, nothing is
/// trusted any more: see [`Quarantined::Overflow`].
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    hashes: Mutex<B256HashSet>,
    /// Spares those who look a contract up the lock while there is none.
    len: AtomicUsize,
    overflowed: AtomicBool,
}

/// What came of [`Quarantine::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quarantined {
    /// The hash is in.
    Held,
    /// So many contracts were compiled wrongly that the compiler must be switched off.
    Overflow,
}

impl Quarantine {
    pub(super) fn insert(&self, hash: B256) -> Quarantined {
        let mut hashes = self.hashes.lock();
        if hashes.len() >= QUARANTINE_MAX && !hashes.contains(&hash) {
            self.overflowed.store(true, Ordering::Release);
            return Quarantined::Overflow;
        }
        hashes.insert(hash);
        self.len.store(hashes.len(), Ordering::Release);
        Quarantined::Held
    }

    pub(super) fn contains(&self, hash: B256) -> bool {
        self.len() > 0 && self.hashes.lock().contains(&hash)
    }

    /// Whether a hash could not be held, and so nothing compiled may be run.
    pub(super) fn has_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Acquire)
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }
}
