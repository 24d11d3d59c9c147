//! What sessions and workers share, and how a contract comes to be compiled.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use parking_lot::Mutex;
use revm::bytecode::Bytecode;

use super::{
    CompilerState, Compiling, RuntimeConfig, Switch,
    budget::{Allowance, CpuBudget},
    metrics::JitMetrics,
    near_cache::{Entry, Gauge, STALE},
    queue::{Admit, Job, JobQueue},
    refused::{Quarantine, Quarantined, RefusedList},
    remembered::Remembered,
    residents::Residents,
    rules_list::RulesList,
    slot::{Key, Next, Slot, Warmth},
    slots::{Claim, Slots},
    totals::Totals,
};
use crate::{CompileError, CompileOptions, CompiledCode, Rules, Tier};

/// Makes machine code: [`crate::compile()`], or a stand-in under test.
pub(super) type CompileFn =
    dyn Fn(&Bytecode, &Rules, &CompileOptions) -> Result<CompiledCode, CompileError> + Send + Sync;

/// Everything but the threads. A contract is cold until it has burnt its target, then due; whoever looks it up next
/// claims it (pending) and queues it; a worker compiles it and installs the code or refuses it.
///
/// Locks are taken in this order: residents, a shard of the slots, a slot; all others alone or last.
pub(super) struct Shared {
    pub(super) config: RuntimeConfig,
    pub(super) rules: RulesList,
    pub(super) totals: Totals,
    pub(super) metrics: JitMetrics,
    pub(super) queue: JobQueue,
    pub(super) slots: Slots,
    pub(super) residents: Mutex<Residents>,
    pub(super) budget: Mutex<CpuBudget>,
    pub(super) refused: RefusedList,
    pub(super) quarantine: Quarantine,
    pub(super) remembered: Remembered,
    pub(super) compile: Box<CompileFn>,
    /// Turns when code comes or goes, when the runtime is switched, and with each tick. Sessions look again when it has
    /// turned, so whoever changes something turns it afterwards.
    epoch: AtomicU64,
    enabled: AtomicBool,
    compiler: AtomicU8,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        config: RuntimeConfig,
        compile: Box<CompileFn>,
        remembered: Remembered,
        now: Instant,
    ) -> Self {
        Self {
            rules: RulesList::new(),
            totals: Totals::default(),
            metrics: JitMetrics::new(),
            queue: JobQueue::new(config.queue_len_max),
            slots: Slots::new(config.slots_max),
            residents: Mutex::new(Residents::new(config.code_bytes_max)),
            budget: Mutex::new(CpuBudget::new(config.cpu_share_permille, config.cpu_burst, now)),
            refused: RefusedList::new(config.refused_len_max),
            quarantine: Quarantine::default(),
            remembered,
            compile,
            epoch: AtomicU64::new(STALE + 1),
            enabled: AtomicBool::new(config.enabled == Switch::On),
            compiler: AtomicU8::new(CompilerState::Ready as u8),
            config,
        }
    }

    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes every session look again.
    pub(super) fn turn_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// Switching on also tries the compiler again if it was unavailable. Once so many contracts were under quarantine
    /// that the list overflowed, the runtime stays off.
    pub(super) fn switch(&self, to: Switch) {
        let on = to == Switch::On && !self.quarantine.has_overflowed();
        if on {
            let (from, to) = (CompilerState::Unavailable as u8, CompilerState::Ready as u8);
            let _ = self
                .compiler
                .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        }
        self.enabled.store(on, Ordering::Release);
        self.turn_epoch();
        self.queue.wake();
    }

    pub(super) fn compiler(&self) -> CompilerState {
        CompilerState::from_number(self.compiler.load(Ordering::Acquire))
    }

    /// Compiles nothing more until the runtime is switched on. Tells whether that is news.
    pub(super) fn compiler_is_unavailable(&self) -> bool {
        let (from, to) = (CompilerState::Ready as u8, CompilerState::Unavailable as u8);
        self.compiler
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Compiles nothing more.
    pub(super) fn stop_compiling(&self) {
        self.compiler
            .store(CompilerState::Stopped as u8, Ordering::Release);
        self.queue.close();
    }

    pub(super) fn quarantine(&self, hash: B256) {
        if self.quarantine.insert(hash) == Quarantined::Overflow {
            tracing::error!("too many contracts under quarantine: no compiled code is run any more");
            self.switch(Switch::Off);
        }
        self.residents.lock().remove_all(hash);
        self.turn_epoch();
    }

    /// The contract's slot, made if it is new.
    pub(super) fn slot(&self, key: Key) -> Arc<Slot> {
        self.slots.get_or_insert(key, || self.new_slot(key))
    }

    fn new_slot(&self, key: Key) -> Slot {
        if self.is_barred(key, Tier::Fast) {
            return Slot::new(key, Next::Nothing, Warmth::default());
        }
        let rules = self.rules.rules(key.rules);
        match rules.and_then(|rules| self.remembered.take(key.hash, rules.fingerprint())) {
            Some(entry) => {
                let warmth = Warmth {
                    paid: entry.heat.max(self.config.target(entry.tier)),
                    called: 0,
                };
                Slot::new(key, Next::Compile(entry.tier), warmth)
            }
            None => Slot::new(key, Next::Compile(Tier::Fast), Warmth::default()),
        }
    }

    /// Whether the contract must not be compiled by this tier.
    fn is_barred(&self, key: Key, tier: Tier) -> bool {
        self.quarantine.contains(key.hash) || self.refused.contains(key, tier)
    }

    /// Brings what a session knows of a contract up to date as of epoch `now`, and asks for it to be compiled if it is
    /// due.
    pub(super) fn look(&self, entry: &mut Entry, bytecode: &Bytecode, now: u64) {
        let meter = &mut entry.meter;
        meter.epoch = now;
        if !self.is_enabled() {
            entry.code = None;
            meter.gauge = Gauge::OFF;
            return;
        }
        meter.slot.stamp(now);
        if let Some(tier) = self.due(&meter.slot) {
            meter.slot = self.request(&meter.slot, tier, bytecode);
        }
        let state = meter.slot.state();
        entry.code.clone_from(&state.code);
        meter.gauge = self.gauge(state.next);
    }

    /// The tier that is to compile the contract now.
    pub(super) fn due(&self, slot: &Slot) -> Option<Tier> {
        let Next::Compile(tier) = slot.state().next else {
            return None;
        };
        let is_hot = slot.warmth().total() >= self.config.target(tier);
        (is_hot && self.compiler() == CompilerState::Ready).then_some(tier)
    }

    fn gauge(&self, next: Next) -> Gauge {
        let target = match next {
            Next::Compile(tier) => self.config.target(tier),
            Next::Pending => u64::MAX,
            Next::Nothing => return Gauge::OFF,
        };
        Gauge {
            quantum: (self.config.fast_gas / 16).max(1),
            target: if self.compiler() == CompilerState::Ready {
                target
            } else {
                u64::MAX
            },
        }
    }

    /// Has a contract compiled that is due. Returns the slot that is known for it.
    pub(super) fn request(&self, slot: &Arc<Slot>, tier: Tier, bytecode: &Bytecode) -> Arc<Slot> {
        let known = match self.slots.claim(slot, tier) {
            Claim::Made(known) => known,
            Claim::Taken(known) => return known,
            Claim::Full => return Arc::clone(slot),
        };
        if self.is_barred(known.key(), tier) {
            known.state().next = Next::Nothing;
            return known;
        }
        let job = Job {
            slot: Arc::clone(&known),
            bytecode: bytecode.clone(),
            tier,
            target: self.config.target(tier),
        };
        match self.config.compiling {
            Compiling::Blocking => {
                self.run(&job);
            }
            Compiling::Background => {
                if let Some(dropped) = self.queue.push(job) {
                    self.put_back(&dropped);
                }
            }
        }
        known
    }

    /// A job that there is no room for: the contract has to heat up anew.
    fn put_back(&self, job: &Job) {
        self.totals.dropped.add(1);
        job.slot.cool();
        job.slot.state().try_again(job.tier);
    }

    /// What the workers may compile.
    pub(super) fn admitted(&self, now: Instant) -> (Admit, Option<Duration>) {
        if !self.is_enabled() || self.compiler() != CompilerState::Ready {
            return (Admit::Nothing, None);
        }
        match self.budget.lock().allowance(now) {
            Allowance::After(wait) => (Admit::Nothing, Some(wait)),
            Allowance::Paid => (Admit::Paid, None),
            Allowance::All => (Admit::All, None),
        }
    }
}
