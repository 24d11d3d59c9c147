//! The threads that compile. They alone read clocks: their own CPU time for the budget, and the monotonic clock for the
//! budget, the tick and the eviction of idle code.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use revm::{
    bytecode::Bytecode, context_interface::cfg::GasParams, interpreter::instructions::gas_table_spec,
};

use super::{
    CodeSource, CompilerState,
    profile::{self, ProfileEntry},
    queue::Next,
    remembered,
    shared::Shared,
    slot::Key,
};

/// How often the epoch turns at least, metrics are set and idle code is looked for.
const TICK: Duration = Duration::from_secs(1);

/// How often the profile is written while the process runs: so much heat is lost if it is killed.
const PROFILE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Below everything else in the process. The scheduler's weight of this niceness is about a tenth of the usual one: with
/// all cores busy a worker still gets about a tenth of one, twice what the default budget lets it use. At the lowest
/// priority, 19, it would get a seventieth, and a node that always builds would never compile.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// What a worker does besides compiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// The ticks, the profile.
    Housekeeping,
    /// Nothing.
    CompilingOnly,
}

/// A worker's life, until the queue is closed.
pub(super) fn work(shared: &Shared, duty: Duty) {
    lower_priority();
    if let (Duty::Housekeeping, Some(source)) = (duty, &shared.config.code_source) {
        shared.queue_remembered(source);
    }
    let started = Instant::now();
    let (mut tick_at, mut profile_at) = (started + TICK, started + PROFILE_INTERVAL);
    loop {
        let now = Instant::now();
        if now >= tick_at {
            tick_at = now + TICK;
            if duty == Duty::Housekeeping {
                shared.tick(now);
            }
        }
        if now >= profile_at {
            profile_at = now + PROFILE_INTERVAL;
            if duty == Duty::Housekeeping {
                shared.save_profile();
            }
        }
        let (admit, wait) = shared.admitted(now);
        let until_tick = tick_at.saturating_duration_since(now);
        let timeout = wait.map_or(until_tick, |wait| wait.min(until_tick));
        match shared.queue.next(admit, timeout) {
            Next::Job(job) => {
                let spent = shared.run(&job);
                shared.budget.lock().charge(spent);
            }
            Next::TimedOut => {}
            Next::Closed => return,
        }
    }
}

impl Shared {
    /// Evicts what is idle, turns the epoch so that uses are noted, and sets the metrics.
    pub(super) fn tick(&self, now: Instant) {
        let evicted = self.residents.lock().evict_idle(now, self.config.idle_evict);
        self.totals.evicted_idle.add(evicted as u64);
        self.turn_epoch();
        self.metrics.report(&self.totals, &self.status());
    }

    /// Queues what the profile calls hot, the hottest first, before anybody asks for it. At most half the queue: the
    /// other half is for what is hot now.
    pub(super) fn queue_remembered(&self, source: &CodeSource) {
        let hottest = self.remembered.hottest();
        for entry in hottest.into_iter().take(self.config.queue_len_max / 2) {
            if self.compiler() != CompilerState::Ready || !self.is_enabled() {
                return;
            }
            if let Some(key) = self.key_of(&entry)
                && let Some(bytecode) = code_of(&entry, source)
            {
                let slot = self.slot(key);
                if let Some(tier) = self.due(&slot) {
                    self.request(&slot, tier, &bytecode);
                }
            }
        }
    }

    /// The key, if the entry's rules are those of an Ethereum fork. Others are not known before an EVM comes with them.
    fn key_of(&self, entry: &ProfileEntry) -> Option<Key> {
        let (table, params) = (gas_table_spec(entry.spec), GasParams::new_spec(entry.spec));
        let id = self.rules.id(entry.spec, &table, &params)?;
        let is_ethereum = self.rules.rules(id)?.fingerprint() == entry.rules;
        is_ethereum.then_some(Key {
            hash: entry.hash,
            rules: id,
        })
    }

    /// Writes the profile, if there is to be one. It is worth no more than a warning.
    pub(super) fn save_profile(&self) {
        let Some(path) = &self.config.profile else {
            return;
        };
        if let Err(error) = self.write_profile(path) {
            tracing::warn!(path = %path.display(), %error, "compiler profile is not written");
        }
    }

    fn write_profile(&self, path: &Path) -> std::io::Result<()> {
        let mut residents = self.residents.lock().summaries();
        for resident in &mut residents {
            // What it burnt to get there; the slot counts from there on.
            resident.heat = resident.heat.saturating_add(self.config.target(resident.tier));
        }
        let heat_min = self.config.fast_gas / 8;
        let entries = remembered::compose(residents, &self.rules, &self.remembered, heat_min);
        profile::write(path, &entries)
    }
}

/// The entry's code, if the source has it. A source is not trusted with the hash, which stands for the code from here on.
fn code_of(entry: &ProfileEntry, source: &CodeSource) -> Option<Bytecode> {
    let found = catch_unwind(AssertUnwindSafe(|| source.find(entry.hash)));
    found
        .ok()
        .flatten()
        .filter(|bytecode| bytecode.hash_slow() == entry.hash)
}

/// Makes this thread give way to the others, where the system has priorities of threads.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "compiler thread keeps its priority");
    }
}
