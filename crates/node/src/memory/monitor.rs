//! The watch: samples the process's memory and tells everybody how near the limit it is.

use std::{
    fs, io,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use metrics::{Counter, Gauge, counter, gauge};
use rapid_chain::Chain;
use rapid_primitives::{MemoryPressure, MemoryPressureCell};
use rapid_state::State;

use super::{ByteSize, Marks, MemoryPlan};

/// Time between two samples. Between the marks lies a tenth of the limit by default: on the smallest machine of any use,
/// 16 GiB, growth would have to be 6 GiB a second to pass both unseen.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// Where samples come from.
pub(crate) trait Sampler: Send + 'static {
    /// Anonymous memory of the process: what is not in files and so cannot be given back. `None` if the system does not
    /// tell.
    fn resident(&mut self) -> Option<ByteSize>;
}

/// `/proc/self/statm`: one small read, no walk over the mappings.
#[derive(Debug)]
pub(crate) struct ProcessSampler {
    page_bytes: u64,
}

impl ProcessSampler {
    pub(crate) fn new() -> Self {
        Self {
            page_bytes: rustix::param::page_size() as u64,
        }
    }
}

impl Sampler for ProcessSampler {
    fn resident(&mut self) -> Option<ByteSize> {
        let pages = anonymous_pages(&fs::read_to_string("/proc/self/statm").ok()?)?;
        Some(ByteSize(pages * self.page_bytes))
    }
}

/// `size resident shared ...`, in pages: what is resident and not shared is anonymous.
fn anonymous_pages(statm: &str) -> Option<u64> {
    let mut fields = statm.split_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, shared) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(resident.saturating_sub(shared))
}

/// The thread `node-memory`. Dropping this ends it.
#[derive(Debug)]
pub struct MemoryMonitor {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl MemoryMonitor {
    /// Watches the process for a chain, whose [`Chain::memory`] everybody obeys. Where the plan has no marks, because the
    /// system tells no limit, nothing is watched.
    ///
    /// # Errors
    /// From the system, if the thread cannot be started.
    pub fn start(plan: &MemoryPlan, chain: &Chain) -> io::Result<Self> {
        let Some(marks) = plan.marks() else {
            return Ok(Self { running: None });
        };
        let watch = Watch::new(marks, chain.memory().clone(), Some(chain.state().clone()));
        Self::start_with(watch, ProcessSampler::new(), SAMPLE_INTERVAL)
    }

    fn start_with(mut watch: Watch, mut sampler: impl Sampler, interval: Duration) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let body = move || {
            loop {
                if let Some(resident) = sampler.resident() {
                    watch.sample(resident);
                }
                if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("node-memory".into()).spawn(body)?;
        Ok(Self {
            running: Some((stop, thread)),
        })
    }
}

impl Drop for MemoryMonitor {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!(target: "reth::cli", "The thread that watches memory panicked");
            }
        }
    }
}

/// From samples to pressure, log lines and metrics.
#[derive(Debug)]
struct Watch {
    marks: Marks,
    cell: MemoryPressureCell,
    pressure: MemoryPressure,
    /// Whose numbers a crossing's line has.
    state: Option<State>,
    metrics: WatchMetrics,
}

#[derive(Debug)]
struct WatchMetrics {
    resident: Gauge,
    pressure: Gauge,
    /// By the pressure that began.
    crossings: [Counter; 3],
}

impl WatchMetrics {
    fn new() -> Self {
        Self {
            resident: gauge!("rapid_reth_node_memory_resident_bytes"),
            pressure: gauge!("rapid_reth_node_memory_pressure"),
            crossings: ["none", "soft", "hard"]
                .map(|to| counter!("rapid_reth_node_memory_crossings_total", "to" => to)),
        }
    }
}

impl Watch {
    fn new(marks: Marks, cell: MemoryPressureCell, state: Option<State>) -> Self {
        let pressure = cell.load();
        Self {
            marks,
            cell,
            pressure,
            state,
            metrics: WatchMetrics::new(),
        }
    }

    fn sample(&mut self, resident: ByteSize) {
        let before = self.pressure;
        self.pressure = self.marks.next(before, resident);
        self.cell.store(self.pressure);
        self.metrics.resident.set(resident.0 as f64);
        self.metrics.pressure.set(f64::from(self.pressure as u8));
        if self.pressure != before {
            self.metrics.crossings[self.pressure as usize].increment(1);
            self.tell(before, resident);
        }
    }

    fn tell(&self, before: MemoryPressure, resident: ByteSize) {
        let usage = self.state.as_ref().map(State::usage).unwrap_or_default();
        let says = match (before, self.pressure) {
            (_, MemoryPressure::Hard) => {
                "Memory is above the hard mark: the node is read-only until it is below the soft mark"
            }
            (MemoryPressure::Hard, MemoryPressure::Soft) => {
                "Memory is below the soft mark: the node takes transactions again, slowly"
            }
            (_, MemoryPressure::Soft) => {
                "Memory is above the soft mark: blocks are made slowly, creations and bulk transactions are refused"
            }
            (_, MemoryPressure::None) => "Memory is below the marks again",
        };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "reth::cli",
                    %resident,
                    soft_mark = %self.marks.soft(),
                    hard_mark = %self.marks.hard(),
                    accounts = usage.account_entries,
                    slots = usage.slot_entries,
                    retained = %ByteSize(usage.retained_bytes as u64),
                    "{says}"
                )
            };
        }
        match self.pressure {
            MemoryPressure::None => line!(info),
            MemoryPressure::Soft | MemoryPressure::Hard => line!(warn),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::SeqCst};

    use super::*;
    use crate::memory::Mark;

    /// What the test says.
    struct Told(Arc<AtomicU64>);

    impl Sampler for Told {
        fn resident(&mut self) -> Option<ByteSize> {
            Some(ByteSize(self.0.load(SeqCst))).filter(|size| size.0 > 0)
        }
    }

    #[test]
    fn everybody_is_told_what_the_samples_say() {
        let marks = Marks::new(Mark::Percent(50), Mark::Percent(90), ByteSize(1_000)).unwrap();
        let cell = MemoryPressureCell::default();
        let told = Arc::new(AtomicU64::new(100));
        let watch = Watch::new(marks, cell.clone(), None);
        let sampler = Told(Arc::clone(&told));
        let monitor = MemoryMonitor::start_with(watch, sampler, Duration::from_millis(1)).unwrap();
        let steps = [
            (600, MemoryPressure::Soft),
            (950, MemoryPressure::Hard),
            // The system says nothing, or says the same: nothing changes.
            (0, MemoryPressure::Hard),
            (450, MemoryPressure::Soft),
            (10, MemoryPressure::None),
        ];
        for (resident, expected) in steps {
            told.store(resident, SeqCst);
            while cell.load() != expected {
                thread::yield_now();
            }
        }
        drop(monitor);
        told.store(2_000, SeqCst);
        assert_eq!(cell.load(), MemoryPressure::None, "nobody samples any more");
    }

    #[test]
    fn anonymous_memory_is_what_is_resident_and_not_shared() {
        assert_eq!(anonymous_pages("765 442 413 5 0 123 0\n"), Some(29));
        assert_eq!(anonymous_pages("765"), None);
        assert_eq!(anonymous_pages("a b c"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_is_written_is_seen() {
        let mut sampler = ProcessSampler::new();
        let before = sampler.resident().unwrap();
        let block = vec![1_u8; 64 << 20];
        let after = sampler.resident().unwrap();
        assert!(after.0 >= before.0 + (48 << 20), "{before} {after}");
        drop(block);
    }
}
