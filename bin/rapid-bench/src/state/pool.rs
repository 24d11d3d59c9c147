//! Threads whose CPU time is known one by one.

use super::turns::Cost;
use crate::process::own_threads;
use eyre::WrapErr;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What its threads are called.
const THREAD_NAME: &str = "bench-root";

/// Threads whose CPU time is known one by one.
pub(crate) struct Pool(ThreadPool);

impl Pool {
    /// Starts them.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub(crate) fn start(threads: usize) -> eyre::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|_| THREAD_NAME.to_owned())
            .build()
            .wrap_err("threads")?;
        Ok(Self(pool))
    }

    /// Themselves.
    pub(crate) const fn threads(&self) -> &ThreadPool {
        &self.0
    }

    /// Does work on them. The CPU time is that of the thread that had the most to do: what the work takes at least
    /// when each has a core of its own, on whatever machine this is.
    ///
    /// # Errors
    /// If the kernel does not tell times.
    pub(crate) fn timed<T: Send>(
        &self,
        work: impl FnOnce(&ThreadPool) -> T + Send,
    ) -> eyre::Result<(T, Cost)> {
        let before = times()?;
        let start = Instant::now();
        let value = self.0.install(|| work(&self.0));
        let wall = start.elapsed();
        let busiest = times()?
            .into_iter()
            .map(|(id, time)| time.saturating_sub(before.get(&id).copied().unwrap_or_default()))
            .max()
            .unwrap_or_default();
        let cost = Cost {
            cpu_ns: busiest.as_secs_f64() * 1e9,
            wall_ns: wall.as_secs_f64() * 1e9,
        };
        Ok((value, cost))
    }
}

fn times() -> eyre::Result<BTreeMap<u32, Duration>> {
    let threads = own_threads()?.into_iter();
    Ok(threads
        .filter(|(_, (name, _))| name == THREAD_NAME)
        .map(|(id, (_, time))| (id, time))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn the_busiest_thread_counts() {
        let pool = Pool::start(2).unwrap();
        let work = || (0..20_000_000u64).fold(0, |sum, number| black_box(sum ^ number));
        let (_, alone) = pool.timed(|_| work()).unwrap();
        let (_, shared) = pool.timed(|_| rayon::join(work, work)).unwrap();
        assert!(alone.cpu_ns > 0.0);
        // If the system gives the second thread no time, one does both.
        assert!(shared.cpu_ns < 3.0 * alone.cpu_ns);
    }
}
