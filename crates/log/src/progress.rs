//! How far the log is written, under sync, and durable; and the fault that ends it all.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rapid_primitives::MiniBlockNumber;

use crate::LogError;

/// Numbers that move from appended to covered (an `fdatasync` was started after they were written) to durable.
#[derive(Debug)]
pub(crate) struct Progress {
    appended: AtomicU64,
    durable: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    uncovered_since: Option<Instant>,
    uncovered_bytes: u64,
    fault: Option<Fault>,
    stopping: bool,
}

#[derive(Clone, Debug)]
struct Fault {
    operation: &'static str,
    error: Arc<io::Error>,
}

impl Fault {
    fn to_error(&self) -> LogError {
        LogError::Fatal {
            operation: self.operation,
            source: Arc::clone(&self.error),
        }
    }
}

impl Progress {
    pub(crate) fn new(newest: MiniBlockNumber) -> Self {
        Self {
            appended: AtomicU64::new(newest.0),
            durable: AtomicU64::new(newest.0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn appended(&self) -> MiniBlockNumber {
        MiniBlockNumber(self.appended.load(Ordering::Acquire))
    }

    pub(crate) fn durable(&self) -> MiniBlockNumber {
        MiniBlockNumber(self.durable.load(Ordering::Acquire))
    }

    /// Fails if the log is poisoned.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        self.state
            .lock()
            .fault
            .as_ref()
            .map_or(Ok(()), |fault| Err(fault.to_error()))
    }

    /// Poisons the log: the first fault stays.
    pub(crate) fn poison(&self, operation: &'static str, error: io::Error) -> LogError {
        tracing::error!(target: "log", %error, operation, "Log failed; it takes nothing more");
        let mut state = self.state.lock();
        let fault = state
            .fault
            .get_or_insert(Fault {
                operation,
                error: Arc::new(error),
            })
            .to_error();
        self.changed.notify_all();
        fault
    }

    /// Notes a written record; returns the bytes no sync covers yet.
    pub(crate) fn note_append(&self, number: MiniBlockNumber, bytes: u64) -> u64 {
        let mut state = self.state.lock();
        self.appended.store(number.0, Ordering::Release);
        state.uncovered_bytes += bytes;
        if state.uncovered_since.is_none() {
            state.uncovered_since = Some(Instant::now());
            self.changed.notify_all();
        }
        state.uncovered_bytes
    }

    /// Notes that a sync of everything appended is about to start.
    pub(crate) fn note_covered(&self) {
        let mut state = self.state.lock();
        state.uncovered_since = None;
        state.uncovered_bytes = 0;
        self.changed.notify_all();
    }

    pub(crate) fn note_durable(&self, number: MiniBlockNumber) {
        let _state = self.state.lock();
        self.durable.fetch_max(number.0, Ordering::AcqRel);
        self.changed.notify_all();
    }

    /// Waits until the oldest record that no sync covers is younger than `age`; returns whether it had to wait.
    pub(crate) fn wait_uncovered_younger(&self, age: Duration) -> Result<bool, LogError> {
        let mut state = self.state.lock();
        let mut waited = false;
        loop {
            if let Some(fault) = &state.fault {
                return Err(fault.to_error());
            }
            if state.uncovered_since.is_none_or(|since| since.elapsed() <= age) {
                return Ok(waited);
            }
            waited = true;
            self.changed.wait(&mut state);
        }
    }

    /// Waits until the record is durable, or the log is poisoned.
    pub(crate) fn wait_durable(&self, number: MiniBlockNumber) -> Result<(), LogError> {
        let mut state = self.state.lock();
        while self.durable() < number {
            if let Some(fault) = &state.fault {
                return Err(fault.to_error());
            }
            self.changed.wait(&mut state);
        }
        Ok(())
    }

    /// For the syncer: waits until there is something to sync and `due` has come; false when it shall end.
    pub(crate) fn wait_work(&self, due: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.stopping || state.fault.is_some() {
                return false;
            }
            match due {
                _ if state.uncovered_since.is_none() => self.changed.wait(&mut state),
                Some(due) if Instant::now() < due => {
                    self.changed.wait_until(&mut state, due);
                }
                _ => return true,
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }
}
