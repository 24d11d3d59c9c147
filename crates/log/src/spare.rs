//! The helper thread: makes the next segment before it is needed, and looks at the free space.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{DiskState, metrics::LogMetrics, segment::Segment, storage::Storage};

/// How often the free space is read.
const FREE_SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// The next segment, being made or ready.
#[derive(Debug)]
pub(crate) struct Spare {
    dir: PathBuf,
    storage: Arc<dyn Storage>,
    min_free_bytes: u64,
    metrics: LogMetrics,
    free_bytes: AtomicU64,
    failed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    next: Next,
    stopping: bool,
}

#[derive(Debug)]
enum Next {
    /// Nobody asked yet.
    Idle,
    /// To be made by the thread, with at least this many bytes.
    Wanted {
        index: u64,
        bytes: u64,
    },
    Ready(Segment),
    /// The last attempt failed; the thread tries again when the free space is next read.
    Failed {
        index: u64,
        bytes: u64,
        error: io::Error,
    },
}

impl Spare {
    /// Starts the thread.
    pub(crate) fn start(
        dir: PathBuf,
        storage: Arc<dyn Storage>,
        min_free_bytes: u64,
        metrics: LogMetrics,
    ) -> io::Result<(Arc<Self>, JoinHandle<()>)> {
        let spare = Arc::new(Self {
            dir,
            storage,
            min_free_bytes,
            metrics,
            free_bytes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            state: Mutex::new(State {
                next: Next::Idle,
                stopping: false,
            }),
            changed: Condvar::new(),
        });
        spare.read_free_space()?;
        let thread_spare = Arc::clone(&spare);
        let thread = thread::Builder::new()
            .name("log-segments".into())
            .spawn(move || thread_spare.run())?;
        Ok((spare, thread))
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn disk_state(&self) -> DiskState {
        if self.failed.load(Ordering::Relaxed) || self.free_bytes() < self.min_free_bytes {
            DiskState::Low
        } else {
            DiskState::Ok
        }
    }

    /// Asks for a segment to be made in the background.
    pub(crate) fn want(&self, index: u64, bytes: u64) {
        self.state.lock().next = Next::Wanted { index, bytes };
        self.changed.notify_all();
    }

    /// Takes the next segment; waits for it if it is not ready. One that is smaller than `needed` is thrown away and
    /// made anew with `bytes`.
    pub(crate) fn take(&self, index: u64, needed: u64, bytes: u64) -> io::Result<Segment> {
        let mut state = self.state.lock();
        let mut waited = false;
        loop {
            match std::mem::replace(&mut state.next, Next::Idle) {
                Next::Ready(segment) if segment.capacity >= needed => return Ok(segment),
                Next::Ready(segment) => {
                    self.storage.remove(&segment.path)?;
                    state.next = Next::Wanted { index, bytes };
                }
                Next::Wanted { index, bytes: asked } => {
                    state.next = Next::Wanted {
                        index,
                        bytes: asked.max(bytes),
                    }
                }
                Next::Failed { error, .. } if waited => {
                    state.next = Next::Failed {
                        index,
                        bytes,
                        error: error.kind().into(),
                    };
                    return Err(error);
                }
                Next::Idle | Next::Failed { .. } => state.next = Next::Wanted { index, bytes },
            }
            if !waited {
                self.metrics.segment_waits.increment(1);
                waited = true;
            }
            self.changed.notify_all();
            self.changed.wait(&mut state);
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    fn run(&self) {
        let mut read_at = Instant::now();
        let mut state = self.state.lock();
        while !state.stopping {
            if let Next::Wanted { index, bytes } = state.next {
                // `take` may raise the size meanwhile, so the result is compared with what is wanted then.
                parking_lot::MutexGuard::unlocked(&mut state, || self.make(index, bytes))
                    .store(&mut state.next);
                self.changed.notify_all();
                continue;
            }
            self.changed.wait_until(&mut state, read_at + FREE_SPACE_INTERVAL);
            if read_at.elapsed() >= FREE_SPACE_INTERVAL {
                read_at = Instant::now();
                if let Next::Failed { index, bytes, .. } = state.next {
                    state.next = Next::Wanted { index, bytes };
                }
                parking_lot::MutexGuard::unlocked(&mut state, || self.refresh_free_space());
            }
        }
    }

    fn make(&self, index: u64, bytes: u64) -> Made {
        let made = Segment::create(&*self.storage, &self.dir, index, bytes);
        self.failed.store(made.is_err(), Ordering::Relaxed);
        if let Err(error) = &made {
            tracing::warn!(target: "log", %error, bytes, "Cannot prepare the next log segment");
        }
        Made { index, bytes, made }
    }

    fn refresh_free_space(&self) {
        if let Err(error) = self.read_free_space() {
            tracing::warn!(target: "log", %error, "Cannot read the free disk space");
        }
    }

    fn read_free_space(&self) -> io::Result<()> {
        let free = self.storage.free_bytes(&self.dir)?;
        self.free_bytes.store(free, Ordering::Relaxed);
        self.metrics.free_bytes.set(free as f64);
        Ok(())
    }
}

#[derive(Debug)]
struct Made {
    index: u64,
    bytes: u64,
    made: io::Result<Segment>,
}

impl Made {
    /// Publishes the outcome. If a larger segment is wanted by now, `take` sees the small one and asks again.
    fn store(self, next: &mut Next) {
        let Self { index, bytes, made } = self;
        *next = match made {
            Ok(segment) => Next::Ready(segment),
            Err(error) => Next::Failed { index, bytes, error },
        };
    }
}
