//! One EVM's way to compiled code.

use std::{ops::Deref, sync::Arc};

use alloy_primitives::B256;
use revm::{
    bytecode::Bytecode, context_interface::cfg::GasParams, interpreter::instructions::GasTable,
    primitives::hardfork::SpecId,
};

use super::{
    Runtime,
    near_cache::{Entry, Meter, NearCache, STALE},
    rules_list::RulesId,
    slot::{HeatSource, Key},
};
use crate::{CompiledCode, RunCounts};

/// What one EVM instance holds of the [`Runtime`]: the rules it runs under, a cache of the contracts it has met, and
/// counts that the runtime has not been told of. Made for each EVM, used by one thread at a time.
///
/// A contract that is in the cache costs one atomic load: the runtime's epoch, which turns whenever any code comes or goes
/// and once a second. An entry of an older epoch is looked at again.
#[derive(Debug)]
pub struct Session {
    runtime: Arc<Runtime>,
    /// None if there are too many sets of rules: everything is interpreted.
    rules: Option<RulesId>,
    source: HeatSource,
    cache: NearCache,
    /// The epoch in which the session last settled.
    epoch: u64,
    hits: u64,
    misses: u64,
    ran: RunCounts,
}

/// How to run a contract.
#[derive(Debug)]
pub enum Found<'a> {
    /// As machine code.
    Compiled(Compiled<'a>),
    /// In the interpreter, telling the gas it took.
    Interpret(Heat<'a>),
}

/// Machine code of a contract. It stays mapped while the session is borrowed.
#[derive(Debug)]
pub struct Compiled<'a> {
    code: &'a CompiledCode,
    heat: Heat<'a>,
}

/// Takes note of the gas that a contract burns.
#[derive(Debug)]
pub struct Heat<'a> {
    meter: Option<&'a mut Meter>,
    source: HeatSource,
}

impl Session {
    /// For an EVM with these rules, whose instruction table is revm's own. Its gas heats as
    /// [`HeatSource::Transaction`] does.
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, spec: SpecId, gas_table: &GasTable, gas_params: &GasParams) -> Self {
        Self {
            rules: runtime.shared().rules.id(spec, gas_table, gas_params),
            runtime,
            source: HeatSource::Transaction,
            cache: NearCache::default(),
            epoch: STALE,
            hits: 0,
            misses: 0,
            ran: RunCounts::default(),
        }
    }

    /// Says who pays for the gas that this EVM burns.
    #[must_use]
    pub const fn heated_by(mut self, source: HeatSource) -> Self {
        self.source = source;
        self
    }

    /// How to run the contract with this code hash. Not to be asked for init code, which runs once, nor for code whose
    /// hash is not known to be `hash`.
    #[inline]
    pub fn find(&mut self, hash: B256, bytecode: &Bytecode) -> Found<'_> {
        let now = self.runtime.shared().epoch();
        let found = match self.cache.fresh(&hash, now) {
            Some(at) => self.cache.at_mut(at),
            None => {
                self.look_up(hash, bytecode, now);
                self.cache.get_mut(&hash)
            }
        };
        let Some(Entry { code, meter, .. }) = found else {
            self.misses += 1;
            return Found::Interpret(Heat {
                meter: None,
                source: self.source,
            });
        };
        let heat = Heat {
            meter: Some(meter),
            source: self.source,
        };
        match code {
            Some(installed) => {
                self.hits += 1;
                Found::Compiled(Compiled {
                    code: installed.code(),
                    heat,
                })
            }
            None => {
                self.misses += 1;
                Found::Interpret(heat)
            }
        }
    }

    /// Notes what compiled code did.
    #[inline]
    pub fn record(&mut self, counts: &RunCounts) {
        self.ran.entered += counts.entered;
        for (total, &count) in self.ran.exits.iter_mut().zip(&counts.exits) {
            *total += count;
        }
    }

    /// Looks at the contract's slot, and asks for it to be compiled if it is due.
    #[cold]
    #[inline(never)]
    fn look_up(&mut self, hash: B256, bytecode: &Bytecode, now: u64) {
        let Some(rules) = self.rules else {
            return;
        };
        if self.epoch != now {
            self.settle();
            self.epoch = now;
        }
        let shared = self.runtime.shared();
        let source = self.source;
        if let Some(entry) = self.cache.get_mut(&hash) {
            entry.meter.pour(source);
            shared.look(entry, bytecode, now);
            return;
        }
        let slot = shared.slot(Key { hash, rules });
        let (entry, replaced) = self.cache.insert(Entry::new(slot));
        shared.look(entry, bytecode, now);
        if let Some(mut replaced) = replaced {
            replaced.meter.pour(source);
        }
    }

    /// Tells the runtime the counts, and lets go of code that has been evicted.
    fn settle(&mut self) {
        let totals = &self.runtime.shared().totals;
        totals.hits.add(std::mem::take(&mut self.hits));
        totals.misses.add(std::mem::take(&mut self.misses));
        totals.ran(&std::mem::take(&mut self.ran));
        for entry in self.cache.iter_mut() {
            if entry.code.as_ref().is_some_and(|code| code.is_retired()) {
                entry.code = None;
                entry.meter.epoch = STALE;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.settle();
        for entry in self.cache.iter_mut() {
            entry.meter.pour(self.source);
        }
    }
}

impl<'a> Compiled<'a> {
    /// For the gas that the code burns: code of the fast tier is compiled again when it is hot enough.
    #[must_use]
    pub const fn heat(self) -> Heat<'a> {
        self.heat
    }
}

impl Deref for Compiled<'_> {
    type Target = CompiledCode;

    #[inline]
    fn deref(&self) -> &CompiledCode {
        self.code
    }
}

impl Heat<'_> {
    /// Adds the gas that the frame burnt itself: not what it passed on to frames it called.
    #[inline]
    pub fn add(self, gas: u64) {
        if let Some(meter) = self.meter {
            meter.add(gas, self.source);
        }
    }
}
